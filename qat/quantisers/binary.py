"""Elastic binarisation (Liu et al., BiT, NeurIPS 2022): one bit with a learned scale and a learned threshold.

    v = (x - threshold) / scale
    signed    code = +1 where x > threshold, else -1  weights, activations of either sign
    unsigned  code = 1 where v > 1/2, else 0          attention probabilities, what follows GELU or ReLU
    y = scale * code

Thresholds of activations start at 0, and sums of {-1, +1} are exactly 0 often. The tie is -1, the lower code, and it is
the integers that tie: what a quantiser of one bit reads comes from a layer that sums codes, not floats
(`qat.network.layers.QuantGemm.exact`), in training as in the integer path, so no rounding decides.

The gradients are those of LSQ with the clipping range [-1, 1] or [0, 1]: dy/dx = 1 inside it, dy/dthreshold = -1
inside it, dy/dscale = code - v inside and code outside.  The threshold only moves the comparison; nothing is added to
the value, so hardware sees plain codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from qat.settings import GradientScale
from siliquant.inputs import InputError

from .fakequant import RELATIVE_FLOOR, dense, gradient_factor, numbers
from .granularity import PER_TENSOR, Granularity, Layout
from .quantiser import Quantizer

__all__ = ["ElasticBinarizer"]


def _binary_codes(above: Tensor, scale: Tensor, signed: bool) -> Tensor:
    """Codes as floats, for `above` = x - threshold of the formulas above: its sign is exact. NaN stays, as no code."""
    codes = (above > 0).to(above.dtype).mul_(2).sub_(1) if signed else (above / scale > 0.5).to(above.dtype)
    return torch.where(above.isnan(), above, codes)


class _Binarize(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        relative: Tensor,
        start: Tensor,
        threshold: Tensor,
        signed: bool,
        layout: Layout,
        factor: Tensor | None,
    ) -> Tensor:
        scale = (start * relative.clamp(min=RELATIVE_FLOOR)).view(1, -1, 1)
        above = x.reshape(layout) - threshold.view(1, -1, 1)
        return (_binary_codes(above, scale, signed).mul_(scale)).view(x.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, relative, start, threshold, ctx.signed, ctx.layout, factor = inputs
        ctx.save_for_backward(x, relative, start, threshold, factor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, relative, start, threshold, factor = ctx.saved_tensors
        by_group = grad.reshape(ctx.layout)
        scale = (start * relative.clamp(min=RELATIVE_FLOOR)).view(1, -1, 1)
        above = x.reshape(ctx.layout) - threshold.view(1, -1, 1)
        v = above / scale
        inside = (v >= (-1.0 if ctx.signed else 0.0)) & (v <= 1.0)
        grad_x = by_group.masked_fill(~inside, 0.0)
        code = _binary_codes(above, scale, ctx.signed)
        grad_scale = (by_group * torch.where(inside, code - v, code)).sum((0, 2))
        grad_threshold = -grad_x.sum((0, 2))
        if factor is not None:
            grad_scale, grad_threshold = grad_scale * factor, grad_threshold * factor
        grad_relative = (grad_scale * start).masked_fill((relative <= RELATIVE_FLOOR) & (grad_scale > 0), 0.0)
        return grad_x.view(x.shape), grad_relative, None, grad_threshold, None, None, None


class ElasticBinarizer(Quantizer):
    """One bit with learned scale and threshold for each group; codes {-1, +1} if signed, else {0, 1}.

    Starts: for weights threshold = mean, scale = mean|w - mean|; for signed activations 0 and mean|x|, for unsigned
    ones 0 and the scale of least squared error on the calibration batches.
    """

    def __init__(
        self,
        bits: int | Sequence[int] = 1,
        *,
        signed: bool,
        granularity: Granularity = PER_TENSOR,
        groups: int = 1,
        gradient_scale: GradientScale = GradientScale.L1,
    ) -> None:
        super().__init__(bits, signed=signed, granularity=granularity, groups=groups, gradient_scale=gradient_scale)
        self.threshold = nn.Parameter(torch.zeros(groups))

    @staticmethod
    def check_bits(bits: int) -> None:
        """ValueError unless 1."""
        if bits != 1:
            raise InputError(f"bits of a binary quantiser must be 1, not {bits}")

    def forward(self, x: Tensor) -> Tensor:
        layout, x = self.layout(x), dense(x)
        if self.search is not None:
            self.search.observe(x, layout)
            return x
        if len(self.off) == self.groups:
            return x
        self._need_scale()
        if self.observer is not None:
            self.to_int(x)
        wide = self.scale.dtype
        size, of_x = self.gradient_size(x)
        given, x = x, x.to(wide)
        factor = gradient_factor(x, self.high, layout, size if size is None else size.to(wide), of_x)
        each = (tensor.to(wide) for tensor in (self.relative, self.start, self.threshold))
        result: Tensor = _Binarize.apply(x, *each, self.signed, layout, factor)
        return self._without_off(result.to(self.relative.dtype), given, layout)

    def to_int(self, x: Tensor) -> Tensor:
        self._need_scale()
        layout, scale = self.layout(x), self.scale
        threshold = self.threshold.detach().to(scale.dtype).view(1, -1, 1)
        above = numbers(x).detach().to(scale.dtype).reshape(layout) - threshold
        codes = _binary_codes(above, scale.view(1, -1, 1), self.signed)
        return self.observed(codes.to(torch.int64).view(x.shape))

    def end_search(self) -> None:
        search = self.search
        super().end_search()
        if self.signed and search is not None:
            self.set_scale(search.mean_magnitude().clamp(min=1e-8))

    def fit(self, weight: Tensor) -> None:
        self.of_weight = True
        grouped = dense(weight).detach().float().reshape(self.layout(weight))
        mean = grouped.mean((0, 2))
        with torch.no_grad():
            self.threshold.copy_(mean)
        elements = torch.full_like(self.magnitude, grouped.shape[0] * grouped.shape[2])
        self.set_scale((grouped - mean.view(1, -1, 1)).abs().mean((0, 2)).clamp(min=1e-8), magnitude=elements)
