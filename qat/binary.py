"""Elastic binarisation (Liu et al., BiT, NeurIPS 2022): one bit with a learned scale and a learned threshold.

    v = (x - threshold) / scale
    signed    code = +1 where v > 0, else -1          weights, activations of either sign
    unsigned  code = 1 where v > 1/2, else 0          attention probabilities, what follows GELU or ReLU
    y = scale * code

The gradients are those of LSQ with the clipping range [-1, 1] or [0, 1]: dy/dx = 1 inside it, dy/dthreshold = -1
inside it, dy/dscale = code - v inside and code outside.  The threshold only moves the comparison; nothing is added to
the value, so hardware sees plain codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from siliquant.errors import InputError

from .fakequant import RELATIVE_FLOOR, gradient_factor
from .granularity import PER_TENSOR, Granularity, Layout
from .quantizer import Quantizer
from .ranges import GradientScale

__all__ = ["ElasticBinarizer"]


def _binary_codes(v: Tensor, signed: bool) -> Tensor:
    """Codes as floats, for v of the formulas above."""
    return (v > 0).float().mul_(2).sub_(1) if signed else (v > 0.5).float()


class _Binarize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        relative: Tensor,
        start: Tensor,
        threshold: Tensor,
        signed: bool,
        layout: Layout,
        factor: Tensor | None,
    ) -> Tensor:
        scale = start * relative.clamp(min=RELATIVE_FLOOR)
        ctx.save_for_backward(x, relative, start, scale, threshold, factor)
        ctx.signed, ctx.layout = signed, layout
        v = (x.reshape(layout) - threshold.view(1, -1, 1)) / scale.view(1, -1, 1)
        return (_binary_codes(v, signed).mul_(scale.view(1, -1, 1))).view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, relative, start, scale, threshold, factor = ctx.saved_tensors
        by_group = grad.reshape(ctx.layout)
        v = (x.reshape(ctx.layout) - threshold.view(1, -1, 1)) / scale.view(1, -1, 1)
        inside = (v >= (-1.0 if ctx.signed else 0.0)) & (v <= 1.0)
        grad_x = by_group.masked_fill(~inside, 0.0)
        code = _binary_codes(v, ctx.signed)
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
        layout = self.layout(x)
        if self.search is not None:
            self.search.observe(x, layout)
            return x
        self._need_scale()
        if self.observer is not None:
            self.to_int(x)
        factor = gradient_factor(x, self.high, layout, *self.gradient_size(x))
        result: Tensor = _Binarize.apply(
            x.float(), self.relative, self.start, self.threshold, self.signed, layout, factor
        )
        return result

    def to_int(self, x: Tensor) -> Tensor:
        self._need_scale()
        layout = self.layout(x)
        v = (x.detach().float().reshape(layout) - self.threshold.detach().view(1, -1, 1)) / self.scale.view(1, -1, 1)
        return self.observed(_binary_codes(v, self.signed).to(torch.int64).view(x.shape))

    def end_search(self) -> None:
        search = self.search
        super().end_search()
        if self.signed and search is not None:
            self.set_scale(search.mean_magnitude().clamp(min=1e-8))

    def fit(self, weight: Tensor) -> None:
        grouped = weight.detach().float().reshape(self.layout(weight))
        mean = grouped.mean((0, 2))
        with torch.no_grad():
            self.threshold.copy_(mean)
        elements = torch.full_like(self.magnitude, grouped.shape[0] * grouped.shape[2])
        self.set_scale((grouped - mean.view(1, -1, 1)).abs().mean((0, 2)).clamp(min=1e-8), magnitude=elements)
