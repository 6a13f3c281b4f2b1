"""Which elements of a tensor share one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from siliquant.inputs import InputError

__all__ = ["PER_TENSOR", "Granularity", "Layout", "PerChannel", "PerHead", "PerTensor"]


class Layout(NamedTuple):
    """A contiguous tensor seen as (outer, groups, inner): all elements of a group share one scale."""

    outer: int
    groups: int
    inner: int


@dataclass(frozen=True)
class PerTensor:
    """One scale for the whole tensor.

    >>> PerTensor().layout((8, 197, 192))
    Layout(outer=1, groups=1, inner=302592)
    """

    def layout(self, shape: Sequence[int]) -> Layout:
        return Layout(1, 1, math.prod(shape))


@dataclass(frozen=True)
class PerChannel:
    """One scale for each index along `axis`.

    >>> PerChannel(axis=0).layout((768, 192))
    Layout(outer=1, groups=768, inner=192)
    """

    axis: int

    def layout(self, shape: Sequence[int]) -> Layout:
        axis = _axis(self.axis, shape)
        return Layout(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


@dataclass(frozen=True)
class PerHead:
    """One scale for each of `num_heads` equal, adjacent slices of `axis`.

    The weight of nn.Linear is (out, in): query, key and value have their heads along axis 0, the output projection,
    which reads the heads, along axis 1.

    >>> PerHead(3, axis=0).layout((192, 192))   # query, key, value
    Layout(outer=1, groups=3, inner=12288)
    >>> PerHead(3, axis=1).layout((192, 192))   # output projection: along the reduction
    Layout(outer=192, groups=3, inner=64)
    >>> PerHead(3, axis=-1).layout((8, 197, 192))   # its input
    Layout(outer=1576, groups=3, inner=64)
    >>> PerHead(3, axis=1).layout((8, 3, 197, 197))   # attention probabilities
    Layout(outer=8, groups=3, inner=38809)
    """

    num_heads: int
    axis: int

    def __post_init__(self) -> None:
        if self.num_heads < 1:
            raise InputError(f"num_heads must be at least 1, not {self.num_heads}")

    def layout(self, shape: Sequence[int]) -> Layout:
        axis = _axis(self.axis, shape)
        if shape[axis] % self.num_heads:
            raise InputError(
                f"axis {self.axis} of shape {tuple(shape)} must be a multiple of num_heads={self.num_heads}, "
                f"not {shape[axis]}"
            )
        inner = shape[axis] // self.num_heads * math.prod(shape[axis + 1 :])
        return Layout(math.prod(shape[:axis]), self.num_heads, inner)


Granularity = PerTensor | PerChannel | PerHead
PER_TENSOR = PerTensor()


def _axis(axis: int, shape: Sequence[int]) -> int:
    if not -len(shape) <= axis < len(shape):
        raise InputError(f"axis must be from {-len(shape)} to {len(shape) - 1} for shape {tuple(shape)}, not {axis}")
    return axis % len(shape)
