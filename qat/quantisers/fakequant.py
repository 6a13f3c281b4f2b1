"""Learned step-size fake quantisation (LSQ, Esser et al., ICLR 2020): the values, and their gradients.

    v = (x - offset) / scale        y = round(clamp(v, low, high)) * scale + offset

    dy/dx      = 1 where low <= v <= high, else 0
    dy/dscale  = round(v) - v there, low or high outside
    dy/doffset = 0 there, 1 outside

The test is on v, not on the rounded code.  Rounding is half to even.  Scales, offsets and bounds hold one value for
each group of a `Layout`.  For float32 a compiled kernel does it in one pass, in C on the CPU, in Triton on CUDA; the
same operations in PyTorch, with the same bits as result, do it for every other dtype, device and kind of tensor.
`qat.quantisers.operators` makes one differentiable operation of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from qat.quantisers.native import kernels
from siliquant.inputs import InputError

from . import cuda
from .granularity import Layout

__all__ = [
    "RELATIVE_FLOOR",
    "Operands",
    "codes",
    "dense",
    "fused",
    "gradient_factor",
    "learned_backward",
    "learned_forward",
    "lsq_backward",
    "lsq_forward",
    "native",
    "numbers",
]

# A learned scale stays at least this share of its starting value, and so positive.
RELATIVE_FLOOR = 1 / 256


class Operands(NamedTuple):
    """What a tensor is quantised with, scale = start * max(relative, RELATIVE_FLOOR); tensors of [groups].

    size, of_x: what `gradient_factor` takes; the factor multiplies the gradients of relative and offset only.
    """

    relative: Tensor
    start: Tensor
    offset: Tensor | None
    low: Tensor
    high: Tensor
    size: Tensor | None = None
    of_x: bool = False

    @property
    def scale(self) -> Tensor:
        return self.start * self.relative.clamp(min=RELATIVE_FLOOR)


def native(tensors: Iterable[Tensor | None]) -> bool:
    """Whether the compiled kernels take all of these, which is the case for float32 on the CPU."""
    return kernels.serves(tensors)


def fused(tensors: Iterable[Tensor | None]) -> bool:
    """Whether the kernels of CUDA take all of these: float32 on a GPU on which they gave the bits of PyTorch."""
    given = [tensor for tensor in tensors if tensor is not None]
    return cuda.serves(given) and _agree(given[0].device)


@cache
def _agree(device: torch.device) -> bool:
    return cuda.try_out(device, differences)


def differences(device: torch.device) -> str:
    """Runs the kernels of CUDA on some values, with ties, bounds and what is no number, and says which differ from
    those of PyTorch's operations; nothing if none does.
    """
    triton = cuda.loaded()
    layout = Layout(3, 7, 193)
    draw = torch.Generator().manual_seed(0)
    for name, made in (
        ("random values", torch.randn(layout, generator=draw)),
        ("multiples of a quarter", _quarters(layout)),
    ):
        bits = torch.arange(2, 9, device=device)
        x, grad = made.to(device), torch.randn(layout, generator=draw).to(device)
        low, high = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
        start = torch.full((7,), 0.5, device=device) if name != "random values" else 0.3 / bits
        operands = Operands(torch.ones_like(start), start, 0.5 * torch.ones_like(start), low, high)
        values = triton.learned_quantize(x, *operands[:5], layout, RELATIVE_FLOOR)
        grad_x, _, _ = triton.learned_quantize_backward(x, grad, *operands, layout, RELATIVE_FLOOR)
        wanted = lsq_forward(x, operands.scale, *operands[2:5], layout)
        wanted_x, _, _ = lsq_backward(x, grad, operands.scale, *operands[2:5], layout)
        if not _same_bits(values, wanted):
            return f"values of {name} are not those of PyTorch"
        if not _same_bits(grad_x, wanted_x):
            return f"gradients of {name} are not those of PyTorch"
    return ""


def _quarters(layout: Layout) -> Tensor:
    count = layout.outer * layout.groups * layout.inner
    values = (torch.arange(count, dtype=torch.float32) % 601 - 300) / 4
    values[:3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    return values.view(layout)


def _same_bits(ours: Tensor, theirs: Tensor) -> bool:
    """NaN is NaN, whatever its payload."""
    same = (ours.view(torch.int32) == theirs.view(torch.int32)) | (ours.isnan() & theirs.isnan())
    return bool(same.all())


def _grouped(x: Tensor, layout: Layout) -> Tensor:
    return x.reshape(layout)


def _per_group(values: Tensor) -> Tensor:
    return values.view(1, -1, 1)


def _ratio(x: Tensor, scale: Tensor, offset: Tensor | None, layout: Layout) -> Tensor:
    v = _grouped(x, layout)
    if offset is not None:
        v = v - _per_group(offset)
    return v / _per_group(scale)


def codes(x: Tensor, scale: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, layout: Layout) -> Tensor:
    """The integers that `lsq_forward` multiplies by the scale, as int64, in the shape of `x`."""
    v = _ratio(x.detach(), scale, offset, layout)
    return v.clamp_(_per_group(low), _per_group(high)).round_().to(torch.int64).view(x.shape)


def lsq_forward(x: Tensor, scale: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, layout: Layout) -> Tensor:
    """The fake-quantised `x`, in its shape; no gradient is recorded."""
    if native((x, scale, offset, low, high)):
        return kernels.fake_quantize(x, scale, offset, low, high, layout)
    y = _ratio(x, scale, offset, layout).clamp_(_per_group(low), _per_group(high)).round_().mul_(_per_group(scale))
    if offset is not None:
        y = y.add_(_per_group(offset))
    return y.view(x.shape)


def lsq_backward(
    x: Tensor, grad: Tensor, scale: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, layout: Layout
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x (its shape), of the scales and of the offsets (one a group), for the gradient of y, in PyTorch."""
    v = _ratio(x, scale, offset, layout)
    low, high = _per_group(low), _per_group(high)
    outside = ~((v >= low) & (v <= high))  # NaN is outside
    by_group = _grouped(grad, layout)
    grad_x = by_group.masked_fill(outside, 0.0).view(x.shape)
    change = torch.where(outside, v.clamp(low, high), v.round() - v)
    grad_scale = (change * by_group).sum((0, 2))
    grad_offset = None if offset is None else by_group.masked_fill(~outside, 0.0).sum((0, 2))
    return grad_x, grad_scale, grad_offset


def gradient_factor(x: Tensor, high: Tensor, layout: Layout, size: Tensor | None, of_x: bool) -> Tensor | None:
    """1 / sqrt(size * Qp) of each group, float32 [groups]; `size` is the L1 norm of the group in x if `of_x`.

    None, for a factor of 1, when there is no size.
    """
    if of_x:
        size = torch.linalg.vector_norm(x.detach().reshape(layout), 1, (0, 2))
    return None if size is None else (size * high).clamp_(min=1e-12).rsqrt_()


def learned_forward(x: Tensor, operands: Operands, layout: Layout) -> Tensor:
    """`lsq_forward` with the scale of the operands; `x` contiguous."""
    relative, start, offset, low, high, *_ = operands
    if native((x, relative, start, offset, low, high)):
        return kernels.learned_quantize(x, relative, start, offset, low, high, layout, RELATIVE_FLOOR, served=True)
    if fused((x, relative, start, offset, low, high)):
        return cuda.loaded().learned_quantize(x, relative, start, offset, low, high, layout, RELATIVE_FLOOR)
    return lsq_forward(x, operands.scale, offset, low, high, layout)


def learned_backward(
    x: Tensor, grad: Tensor, operands: Operands, layout: Layout
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x, relative and offset for `learned_forward`; the last two times `gradient_factor`."""
    relative, start, offset, low, high, size, of_x = operands
    rows = None
    if not grad.is_contiguous():
        rows = kernels.rows_of(grad, layout)
        if rows is None:
            grad = grad.contiguous()
    if native((x, grad if rows is None else None, relative, start, offset, low, high, size)):
        return kernels.learned_quantize_backward(x, grad, *operands, layout, RELATIVE_FLOOR, served=True, rows=rows)
    grad = grad.contiguous()
    if fused((x, grad, relative, start, offset, low, high, size)):
        return cuda.loaded().learned_quantize_backward(x, grad, *operands, layout, RELATIVE_FLOOR)
    grad_x, grad_scale, grad_offset = lsq_backward(x, grad, operands.scale, offset, low, high, layout)
    factor = gradient_factor(x, high, layout, size, of_x)
    if factor is not None:
        grad_scale = grad_scale * factor
        grad_offset = None if grad_offset is None else grad_offset * factor
    # At the floor a gradient that would lower the scale further is dropped, one that raises it is kept.
    grad_relative = (grad_scale * start).masked_fill((relative <= RELATIVE_FLOOR) & (grad_scale > 0), 0.0)
    return grad_x, grad_relative, grad_offset


def dense(x: Tensor) -> Tensor:
    """`x` as an ordinary tensor: a sparse one has no element at a place."""
    return x if x.layout is torch.strided else x.to_dense()


def numbers(x: Tensor) -> Tensor:
    """`x` as an ordinary tensor. InputError where it holds NaN: no code stands for that. On meta there are none."""
    found = dense(x)
    if not found.is_meta and bool(found.isnan().any()):
        raise InputError("what becomes codes must be numbers, but holds NaN: the network overflows")
    return found
