"""A surrogate of the derivative of rounding: the damped Fourier series of StableQAT (Chen et al., arXiv 2601.19320).

The paper turns the staircase of rounding by 45 degrees, which makes it a triangle wave, keeps the first terms of its
Fourier series with a smaller amplitude A, and turns it back (sections 3 and 3.1, equations 4 and 10):

    c = sqrt(2) * pi * A * sum over m = 0..M of (-1)^m / (2m + 1) * cos((2m + 1) * pi * (v + round(v)))
    d round(v) / d v = (1 - c) / (1 + c)

v + round(v) is v - round(v) and an even integer, and so is computed from v - round(v), from -1/2 to 1/2. With M = 0 the
derivative goes from (1 - a) / (1 + a) in the middle of a bin, with a = sqrt(2) * pi * A, to 1 on its borders. At A = 0
it is 1 everywhere, the straight-through estimator, in the same bits. It stays positive for A below 1 / (sqrt(2) * pi),
where the paper's theorem 4.2 and its section 3.2 end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from siliquant.inputs import InputError

from .granularity import Layout

__all__ = ["FourierSurrogate"]

_FARTHEST = 1 << 20  # bins, far beyond every range: there the gradient is 0, and must not be 0 times NaN
_MOST_AMPLITUDE = 1 / (math.sqrt(2) * math.pi)


@dataclass(frozen=True)
class FourierSurrogate:
    """amplitude: A, from 0 to below 1 / (sqrt(2) pi), 0.2251; the paper's is 0.21.  order: M, 0 or more."""

    amplitude: float
    order: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.amplitude < _MOST_AMPLITUDE:
            raise InputError(
                f"amplitude must be from 0 to below 1 / (sqrt(2) pi), {_MOST_AMPLITUDE:.4f}, not {self.amplitude}"
            )
        if self.order < 0:
            raise InputError(f"order must be at least 0, not {self.order}")

    def derivative(self, v: Tensor) -> Tensor:
        """Of round(v) for v, in units of a bin, in its shape and type."""
        angle = (v - v.round()).mul_(math.pi)
        series = torch.zeros_like(angle)
        for m in range(self.order + 1):
            series.add_((angle * (2 * m + 1)).cos_(), alpha=(-1) ** m / (2 * m + 1))
        series.mul_(math.sqrt(2) * math.pi * self.amplitude)
        return (1 - series).div_(1 + series)

    def shaped(self, x: Tensor, scale: Tensor, offset: Tensor | None, layout: Layout) -> Tensor:
        """`x` as it is, whose gradient will be multiplied by the derivative at (x - offset) / scale."""
        result: Tensor = _Shaped.apply(x, scale, offset, layout, self)
        return result


class _Shaped(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Tensor, offset: Tensor | None, layout: Layout, surrogate: FourierSurrogate) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, Layout, FourierSurrogate], output: Tensor
    ) -> None:
        x, scale, offset, ctx.layout, ctx.surrogate = inputs
        ctx.save_for_backward(x, scale, offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, scale, offset = ctx.saved_tensors
        v = x.to(scale.dtype).reshape(ctx.layout)
        if offset is not None:
            v = v - offset.to(scale.dtype).view(1, -1, 1)
        v = (v / scale.view(1, -1, 1)).clamp(-_FARTHEST, _FARTHEST)
        return (grad * ctx.surrogate.derivative(v).view(x.shape)).to(x.dtype), None, None, None, None
