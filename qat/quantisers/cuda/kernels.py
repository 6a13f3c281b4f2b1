"""The kernels as functions of torch tensors: float32, contiguous, all on one CUDA device. Import it only with Triton.

Values and gradients of x have the bits of the operations of PyTorch, each rounded by itself: division is `div_rn`, and
no multiplication is fused with an addition. Where x is the zero of the other sign than the bound 0, it is kept, as the
kernels in C have it. Sums of a group are added in an order that depends on the layout alone: blocks of a group first,
then one another. So they are the same in every run on a GPU, but for their last bits not those of PyTorch.

A tile is a matrix of members of groups by groups: element (m, g) of a layout (outer, groups, inner), with m from 0 to
outer * inner, lies at ((m // inner) * groups + g) * inner + m % inner.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["learned_quantize", "learned_quantize_backward"]

_TILE = 1024  # elements of a tile, of 4 warps
_PROGRAMS = 4096  # of the backward pass at most, so that there are few partial sums, unless there are more groups
_SHORT = 32  # elements of a group in a row from which on a tile is of one group: a warp reads them at once
_NARROW = 2**30  # elements up to which 32 bits index them all, with those of a last tile that are not there

# A float32 below 2^22 in magnitude plus this, and minus it again, is rounded to an integer, half to even.
_ROUNDING = tl.constexpr(1.5 * 2**23)


@triton.jit
def _rounded(v: tl.tensor) -> tl.tensor:
    near = (v + _ROUNDING) - _ROUNDING
    return tl.where(near == 0, v * 0.0, near)  # keeps the sign of zero


@triton.jit
def _clamped(v: tl.tensor, low: tl.tensor, high: tl.tensor) -> tl.tensor:
    v = tl.where(v < low, low, v)  # no comparison is true of NaN, which stays
    return tl.where(v > high, high, v)


@triton.jit
def _groups_of(index: tl.tensor, SIZE: tl.constexpr, WIDE: tl.constexpr) -> tl.tensor:
    if WIDE:
        index = index.to(tl.int64)
    return (index * SIZE + tl.arange(0, SIZE))[None, :]


@triton.jit
def _members_of(index: tl.tensor, SIZE: tl.constexpr, WIDE: tl.constexpr) -> tl.tensor:
    if WIDE:
        index = index.to(tl.int64)
    return (index * SIZE + tl.arange(0, SIZE))[:, None]


@triton.jit
def _place(m: tl.tensor, g: tl.tensor, groups: tl.tensor, inner: tl.tensor) -> tl.tensor:
    """Where members m of groups g lie."""
    return (m // inner * groups + g) * inner + m % inner


@triton.jit
def _given(
    x: tl.tensor,
    place: tl.tensor,
    there: tl.tensor,
    offset: tl.tensor,
    g: tl.tensor,
    known: tl.tensor,
    scale: tl.tensor,
) -> tuple[tl.tensor, tl.tensor]:
    """The elements of a tile, and v = (x - offset) / scale of them; `scale` of their shape."""
    given = tl.load(x + place, mask=there, other=0.0)
    v = given
    if offset is not None:
        v = v - tl.load(offset + g, mask=known, other=0.0)
    return given, tl.div_rn(v, scale)


@triton.jit
def _operands(
    relative: tl.tensor,
    start: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    g: tl.tensor,
    known: tl.tensor,
    least: tl.constexpr,
    MEMBERS: tl.constexpr,
    GROUPS: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Scales of groups g, a row for each member of a tile, and their bounds."""
    share = tl.load(relative + g, mask=known, other=1.0)
    scale = tl.load(start + g, mask=known, other=1.0) * tl.where(share < least, least, share)
    bottom, top = tl.load(low + g, mask=known, other=0.0), tl.load(high + g, mask=known, other=0.0)
    return tl.broadcast_to(scale, [MEMBERS, GROUPS]), bottom, top


@triton.jit
def _forward(
    x: tl.tensor,
    y: tl.tensor,
    relative: tl.tensor,
    start: tl.tensor,
    offset: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    members: tl.tensor,
    groups: tl.tensor,
    inner: tl.tensor,
    tiles: tl.tensor,
    least: tl.constexpr,
    MEMBERS: tl.constexpr,
    GROUPS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    program = tl.program_id(0)
    g = _groups_of(program // tiles, GROUPS, WIDE)
    m = _members_of(program % tiles, MEMBERS, WIDE)
    known = g < groups
    there = (m < members) & known
    place = _place(m, g, groups, inner)
    scale, bottom, top = _operands(relative, start, low, high, g, known, least, MEMBERS, GROUPS)
    _, v = _given(x, place, there, offset, g, known, scale)
    value = _rounded(_clamped(v, bottom, top)) * scale
    if offset is not None:
        value = value + tl.load(offset + g, mask=known, other=0.0)
    tl.store(y + place, value, mask=there)


@triton.jit
def _backward(
    x: tl.tensor,
    grad: tl.tensor,
    grad_x: tl.tensor,
    scale_sums: tl.tensor,
    offset_sums: tl.tensor,
    norms: tl.tensor,
    relative: tl.tensor,
    start: tl.tensor,
    offset: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    members: tl.tensor,
    groups: tl.tensor,
    inner: tl.tensor,
    blocks: tl.tensor,
    steps: tl.tensor,
    of_x: tl.constexpr,
    least: tl.constexpr,
    MEMBERS: tl.constexpr,
    GROUPS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    """The sums for scales, for offsets and of |x| are of [blocks, groups]."""
    program = tl.program_id(0)
    block = program % blocks
    g = _groups_of(program // blocks, GROUPS, WIDE)
    known = g < groups
    scale, bottom, top = _operands(relative, start, low, high, g, known, least, MEMBERS, GROUPS)
    of_scale = tl.zeros([MEMBERS, GROUPS], tl.float32)
    of_offset = tl.zeros([MEMBERS, GROUPS], tl.float32)
    norm = tl.zeros([MEMBERS, GROUPS], tl.float32)
    first = block
    if WIDE:
        first = first.to(tl.int64)
    for step in range(steps):
        m = _members_of(first * steps + step, MEMBERS, WIDE)
        there = (m < members) & known
        place = _place(m, g, groups, inner)
        given, v = _given(x, place, there, offset, g, known, scale)
        change = tl.load(grad + place, mask=there, other=0.0)
        inside = (v >= bottom) & (v <= top)
        tl.store(grad_x + place, tl.where(inside, change, 0.0), mask=there)
        clamped = _clamped(v, bottom, top)
        slope = tl.where(inside, _rounded(clamped) - clamped, clamped)
        of_scale += tl.where(there, slope * change, 0.0)
        if offset is not None:
            of_offset += tl.where(there & (inside == 0), change, 0.0)
        if of_x:
            norm += tl.abs(given)
    at = block * groups + tl.reshape(g, [GROUPS])
    mask = tl.reshape(known, [GROUPS])
    tl.store(scale_sums + at, tl.sum(of_scale, 0), mask=mask)
    if offset is not None:
        tl.store(offset_sums + at, tl.sum(of_offset, 0), mask=mask)
    if of_x:
        tl.store(norms + at, tl.sum(norm, 0), mask=mask)


@triton.jit
def _total(
    sums: tl.tensor,
    g: tl.tensor,
    known: tl.tensor,
    blocks: tl.tensor,
    groups: tl.tensor,
    BLOCKS: tl.constexpr,
    GROUPS: tl.constexpr,
) -> tl.tensor:
    total = tl.zeros([BLOCKS, GROUPS], tl.float32)
    for first in range(0, blocks, BLOCKS):
        b = first + tl.arange(0, BLOCKS)[:, None]
        total += tl.load(sums + b * groups + g, mask=(b < blocks) & known, other=0.0)
    return tl.reshape(tl.sum(total, 0), [1, GROUPS])


@triton.jit
def _finish(
    scale_sums: tl.tensor,
    offset_sums: tl.tensor,
    norms: tl.tensor,
    grad_relative: tl.tensor,
    grad_offset: tl.tensor,
    relative: tl.tensor,
    start: tl.tensor,
    high: tl.tensor,
    size: tl.tensor,
    groups: tl.tensor,
    blocks: tl.tensor,
    of_x: tl.constexpr,
    least: tl.constexpr,
    BLOCKS: tl.constexpr,
    GROUPS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    g = _groups_of(tl.program_id(0), GROUPS, WIDE)
    known = g < groups
    of_scale = _total(scale_sums, g, known, blocks, groups, BLOCKS, GROUPS)
    factor = tl.full([1, GROUPS], 1.0, tl.float32)
    if of_x or size is not None:
        if of_x:
            length = _total(norms, g, known, blocks, groups, BLOCKS, GROUPS)
        else:
            length = tl.load(size + g, mask=known, other=1.0)
        product = length * tl.load(high + g, mask=known, other=1.0)
        factor = tl.div_rn(factor, tl.sqrt_rn(tl.where(product < 1e-12, 1e-12, product)))
    of_scale = of_scale * factor
    share = tl.load(relative + g, mask=known, other=1.0)
    result = of_scale * tl.load(start + g, mask=known, other=1.0)
    tl.store(grad_relative + g, tl.where((share <= least) & (of_scale > 0), 0.0, result), mask=known)
    if grad_offset is not None:
        of_offset = _total(offset_sums, g, known, blocks, groups, BLOCKS, GROUPS)
        tl.store(grad_offset + g, of_offset * factor, mask=known)


class _Tiling(NamedTuple):
    """How a layout is cut: MEMBERS by GROUPS elements a tile, `tiles` of them for the members of a group."""

    members: int
    tile_members: int
    tile_groups: int
    tiles: int
    group_tiles: int

    @classmethod
    def of(cls, layout: tuple[int, int, int]) -> _Tiling:
        outer, groups, inner = layout
        members = outer * inner
        # Short rows of neighbouring groups are read together: memory is read along them.
        beside = 1 if inner >= _SHORT else min(_power(groups), max(2 * _SHORT // _power(inner), 1))
        along = min(_power(members), _TILE // beside)
        return cls(members, along, beside, -(-members // along), -(-groups // beside))


def _power(count: int) -> int:
    """The least power of two from `count` on, at least 1."""
    return 1 << max(count - 1, 0).bit_length()


def learned_quantize(
    x: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    low: Tensor,
    high: Tensor,
    layout: tuple[int, int, int],
    least: float,
) -> Tensor:
    """rint(clamp((x - offset) / scale, low, high)) * scale + offset, scale = start * max(relative, least)."""
    y = torch.empty_like(x)
    if not x.numel():
        return y
    tiling = _Tiling.of(layout)
    with torch.cuda.device_of(x):
        _forward[(tiling.tiles * tiling.group_tiles,)](
            x,
            y,
            relative,
            start,
            offset,
            low,
            high,
            tiling.members,
            layout[1],
            layout[2],
            tiling.tiles,
            least=least,
            MEMBERS=tiling.tile_members,
            GROUPS=tiling.tile_groups,
            WIDE=x.numel() > _NARROW,
            enable_fp_fusion=False,
        )
    return y


def learned_quantize_backward(
    x: Tensor,
    grad: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    low: Tensor,
    high: Tensor,
    size: Tensor | None,
    of_x: bool,
    layout: tuple[int, int, int],
    least: float,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x, relative (groups,) and offset for :func:`learned_quantize`.

    Those of the last two are divided by sqrt(size * high), `size` (groups,) or, if `of_x`, the L1 norm of x in the
    group; with neither they are as they come. Where relative <= least, a gradient that would lower it is 0.
    """
    tiling, groups = _Tiling.of(layout), layout[1]
    grad_x, grad_relative = torch.empty_like(x), torch.empty_like(relative)
    grad_offset = None if offset is None else torch.empty_like(offset)
    if not groups:
        return grad_x, grad_relative, grad_offset
    blocks = min(tiling.tiles, max(_PROGRAMS // tiling.group_tiles, 1))
    steps = -(-tiling.tiles // max(blocks, 1))
    partial = torch.empty((3, blocks, groups), dtype=x.dtype, device=x.device)
    wide = x.numel() + partial.numel() > _NARROW
    with torch.cuda.device_of(x):
        if blocks:
            _backward[(blocks * tiling.group_tiles,)](
                x,
                grad,
                grad_x,
                *partial,
                relative,
                start,
                offset,
                low,
                high,
                tiling.members,
                groups,
                layout[2],
                blocks,
                steps,
                of_x=of_x,
                least=least,
                MEMBERS=tiling.tile_members,
                GROUPS=tiling.tile_groups,
                WIDE=wide,
                enable_fp_fusion=False,
            )
        at_once = min(_power(blocks), 128)
        beside = min(_power(groups), _TILE // at_once)
        _finish[(-(-groups // beside),)](
            *partial,
            grad_relative,
            grad_offset,
            relative,
            start,
            high,
            size,
            groups,
            blocks,
            of_x=of_x,
            least=least,
            BLOCKS=at_once,
            GROUPS=beside,
            WIDE=wide,
            enable_fp_fusion=False,
        )
    return grad_x, grad_relative, grad_offset
