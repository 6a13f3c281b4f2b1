"""How a product is cut to fit into an array: tiles, blocks of tiles that its memories hold, and words of them.

All formulas are of whole arrays of sizes at once (int64 [grids]), so that many sizes of array are compared in one go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hwmodel.workload import Width, parts_of
from rtl.array import SIZE_WIDTH, Architecture, ArraySpec, Codes, Pass, plan_passes
from rtl.requant import RequantSpec
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError

__all__ = ["Blocks", "Grids", "IntArray", "Matrices", "TileWords", "Timing", "needed_words", "tile_words"]

IntArray = npt.NDArray[np.int64]
_MOST_STEPS = (1 << SIZE_WIDTH) - 1  # of a run: what its setting can say


@dataclass(frozen=True, kw_only=True)
class Grids:
    """Rows, columns, drains and memory depths (words) of several arrays of one element, int64 [grids] each."""

    rows: IntArray
    columns: IntArray
    drains: IntArray
    activation_depth: IntArray
    weight_depth: IntArray
    result_depth: IntArray

    @property
    def drain_rows(self) -> IntArray:
        """Rows of a drain: words of the result memory that a tile fills."""
        return -(-self.rows // self.drains)

    def drain_cycles(self, changed: bool) -> IntArray:
        """Cycles in which a tile drains, as :meth:`rtl.array.ArraySpec.drain_cycles`."""
        return self.rows if changed else self.drain_rows

    @classmethod
    def of(cls, arrays: Iterable[ArraySpec]) -> Grids:
        """Those of array specs."""
        specs = tuple(arrays)
        return cls(
            **{field.name: np.array([getattr(spec, field.name) for spec in specs], np.int64) for field in fields(cls)}
        )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What of an array its cycles depend on beside its size."""

    mac: MacSpec
    architecture: Architecture = Architecture.BROADCAST
    requant: RequantSpec | None = None
    result_width: int = 32

    @classmethod
    def of(cls, array: ArraySpec) -> Timing:
        """That of an array spec."""
        return cls(
            mac=array.mac, architecture=array.architecture, requant=array.requant, result_width=array.result_width
        )


@dataclass(frozen=True, kw_only=True)
class Matrices:
    """``count`` products of M x K by K x N codes of ``bits`` bits; the second operand, of weights, is signed.

    parameter_sets: 0 where sums are not requantised at the drain, 1 with one set for all columns, N with one a column.
    """

    m: int
    k: int
    n: int
    count: int
    bits: Width
    activation_signed: bool
    parameter_sets: int = 0

    def passes(self, mac: MacSpec) -> tuple[Pass, ...]:
        """The passes that ``mac`` needs for these widths."""
        weight_bits, activation_bits = parts_of(self.bits)
        return plan_passes(mac, Codes(weight_bits, True), Codes(activation_bits, self.activation_signed))

    def changed(self, mac: MacSpec, requant: RequantSpec | None) -> list[bool]:
        """Of each pass, whether its sums are stored otherwise than they are; the last one's may be requantised."""
        found = [each.changed for each in self.passes(mac)]
        found[-1] |= requant is not None and self.parameter_sets > 0
        return found


@dataclass(frozen=True)
class TileWords:
    """Of one row or column tile in one pass: steps of a sum, words of each operand a step."""

    steps: int
    weight_planes: int
    activation_planes: int

    @property
    def cycles(self) -> int:
        """With operands."""
        return self.steps * self.weight_planes * self.activation_planes


@lru_cache(maxsize=1024)
def _planes(mac: MacSpec, precision: Precision) -> tuple[int, int]:
    """Words of each operand a step: found on one unit, since all units have their bits in the same cycles."""
    one: dict[str, Any] = {mac.size_parameter: 1}
    return _planes_of_one(replace(mac, **one), precision)


@lru_cache(maxsize=1024)
def _planes_of_one(mac: MacSpec, precision: Precision) -> tuple[int, int]:
    return ArraySpec(mac=mac, rows=1, columns=1, result_width=max(32, mac.accumulator_width)).planes(precision)


def tile_words(mac: MacSpec, k: int, passes: tuple[Pass, ...]) -> list[TileWords]:
    """Of sums of ``k`` products, for each pass. Raises ValueError where the accumulator does not hold such sums, or a
    run not so many steps.
    """
    if k > mac.reduction_length:
        most = f"{mac.reduction_length} products (reduction_length)"
        raise InputError(f"the reduction must have at most {most}, not {k}")
    steps = [-(-k // mac.products_per_step(each.precision)) for each in passes]
    if max(steps) > _MOST_STEPS:
        raise InputError(f"a sum must have at most {_MOST_STEPS} steps, not {max(steps)} for {k} products")
    return [TileWords(number, *_planes(mac, each.precision)) for number, each in zip(steps, passes, strict=True)]


def needed_words(mac: MacSpec, product: Matrices) -> tuple[int, int]:
    """Least depth of the activation and of the weight memory that holds one tile of a product."""
    words = tile_words(mac, product.k, product.passes(mac))
    return (
        max(each.steps * each.activation_planes for each in words),
        max(each.steps * each.weight_planes for each in words),
    )


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Blocks of rows and of columns: all but the last, which are alike, and the last. int64 [2, grids] each."""

    row_tiles: IntArray
    row_count: IntArray
    column_tiles: IntArray
    column_count: IntArray
    column_size: IntArray

    @classmethod
    def of(cls, timing: Timing, grids: Grids, product: Matrices, words: list[TileWords]) -> Blocks:
        """As many tiles a block as the memories hold, and the groups of requantisers where those are used."""
        needs = (
            ("activation_depth", max(each.steps * each.activation_planes for each in words), grids.activation_depth),
            ("weight_depth", max(each.steps * each.weight_planes for each in words), grids.weight_depth),
        )
        for name, need, depth in needs:
            if (depth < need).any():
                size = f"one tile with sums of {product.k} products"
                raise InputError(f"{name} must be at least {need} words for {size}, not {int(depth.min())}")
        fit = grids.result_depth // grids.drain_rows
        column_tiles = np.minimum(grids.weight_depth // needs[1][1], -(-product.n // grids.columns))
        column_tiles = np.minimum(column_tiles, fit)
        if product.parameter_sets and timing.requant is not None:
            column_tiles = np.minimum(column_tiles, timing.requant.groups)
        row_tiles = np.minimum(grids.activation_depth // needs[0][1], -(-product.m // grids.rows))
        row_tiles = np.minimum(row_tiles, fit // column_tiles)
        _, row_count, row_last = _split(product.m, row_tiles * grids.rows)
        columns, column_count, column_last = _split(product.n, column_tiles * grids.columns)
        return cls(
            row_tiles=np.stack([row_tiles, -(-row_last // grids.rows)]),
            row_count=row_count,
            column_tiles=np.stack([column_tiles, -(-column_last // grids.columns)]),
            column_count=column_count,
            column_size=np.stack([columns, column_last]),
        )

    def parameter_sets(self, product: Matrices) -> IntArray:
        """Sets that are loaded for a block of columns, one a cycle."""
        if product.parameter_sets > 1:
            return self.column_size
        return np.full_like(self.column_size, product.parameter_sets)


def _split(size: int, block: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """``size`` in blocks: their size, the number of [all but the last, the last], and the size of the last."""
    count = -(-size // block)
    return block, np.stack([count - 1, np.ones_like(count)]), size - (count - 1) * block
