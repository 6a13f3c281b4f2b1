"""Cycles and memory accesses of a product on an array, counted exactly.

The order is that of the simulations (sim.harness): for each matrix, each block of columns, each block of rows, each
pass: load both operands, run. The cycles are those of rtl.array.ArraySpec, which the tests hold them against, for whole
arrays of sizes at once (int64 [grids]).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import numpy as np

from hwmodel.workload import parts_of
from rtl.array import Architecture, width_of_results
from siliquant.inputs import InputError

from .tiles import Blocks, Grids, IntArray, Matrices, TileWords, Timing, tile_words

__all__ = ["Overlap", "Tally", "cycles_of", "tally"]


class Overlap(Enum):
    """NONE: operands are loaded, then the run goes on. DOUBLE: the operands of the next run are loaded meanwhile,
    within a GEMM. That takes operand memories of twice the words, in whose halves the runs have their bases by turns.
    The last word of a load is written in the cycle in which its run is started, when the one before has ended.
    """

    NONE = "none"
    DOUBLE = "double"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of all matrices of a GEMM, int64 [grids].

    cycles: from the first load to the last result. operand_cycles: with operands, each one read of the activation and
    of the weight memory. run_cycles: ``busy``. load_cycles: of operands and parameters. activation_words, weight_words:
    written to the operand memories. drain_cycles: in which sums leave the last row. drained_words: written to a bank of
    the result memory, each a row of sums of all columns. added_words: read from it to be added to. result_words: read
    out at the end. parts: blocks, each loaded and run once
    a pass. code_bits_in: codes that are loaded, packed to their widths, with the parameters of requantisers.
    result_bits_out: results that are read out.
    """

    cycles: IntArray
    operand_cycles: IntArray
    run_cycles: IntArray
    load_cycles: IntArray
    activation_words: IntArray
    weight_words: IntArray
    drain_cycles: IntArray
    drained_words: IntArray
    added_words: IntArray
    result_words: IntArray
    parts: IntArray
    code_bits_in: IntArray
    result_bits_out: IntArray

    def of(self, grid: int) -> dict[str, int]:
        """Every count for one of the arrays."""
        return {field.name: int(getattr(self, field.name)[grid]) for field in fields(self)}


def cycles_of(timing: Timing, grids: Grids, product: Matrices, overlap: Overlap) -> IntArray:
    """Cycles from the first load to the last result. Raises ValueError as :func:`tally`."""
    return _Schedule(timing, grids, product).cycles(overlap)


def tally(timing: Timing, grids: Grids, product: Matrices, overlap: Overlap = Overlap.NONE) -> Tally:
    """The counts of ``product`` on arrays of those sizes.

    Raises ValueError where a memory does not hold one tile or the results do not fit ``result_width``.
    """
    plan = _Schedule(timing, grids, product)
    blocks, words = plan.blocks, plan.words
    rows, columns = blocks.row_count.sum(0), blocks.column_count.sum(0)
    tiles = plan.total(plan.tiles)
    parameters = plan.total(plan.parameters)
    parameter_bits = 0 if timing.requant is None else timing.requant.parameter_width
    weight_bits, activation_bits = parts_of(product.bits)
    in_bits = sum(
        product.m * product.k * columns * min(activation_bits, each.precision.activation_bits)
        + product.n * product.k * rows * min(weight_bits, each.precision.weight_bits)
        for each in plan.passes
    )
    out_bits = timing.requant.bits if timing.requant is not None and product.parameter_sets else timing.result_width
    return Tally(
        cycles=plan.cycles(overlap),
        operand_cycles=tiles * sum(each.cycles for each in words),
        run_cycles=plan.run_cycles,
        load_cycles=plan.load_cycles,
        activation_words=plan.total(plan.row_tiles * sum(each.steps * each.activation_planes for each in words)),
        weight_words=plan.total(plan.column_tiles * sum(each.steps * each.weight_planes for each in words)),
        drain_cycles=tiles * sum(grids.drain_cycles(changed) for _, changed in plan.kinds),
        drained_words=tiles * grids.rows * len(words),
        added_words=tiles * grids.rows * sum(each.accumulate for each in plan.passes),
        result_words=tiles * grids.rows,
        parts=product.count * rows * columns,
        code_bits_in=product.count * in_bits + parameters * parameter_bits,
        result_bits_out=product.m * product.n * product.count * out_bits * np.ones_like(rows),
    )


class _Schedule:
    """Cycles of every kind of part of a product; [2, 2, grids]: all but the last block of rows or columns, the last."""

    def __init__(self, timing: Timing, grids: Grids, product: Matrices) -> None:
        self.product = product
        self.passes = product.passes(timing.mac)
        self.words = tile_words(timing.mac, product.k, self.passes)
        width = width_of_results(self.passes, product.k)
        if width > timing.result_width:
            raise InputError(
                f"result_width must be at least {width} bits for sums of {product.k} products in {len(self.passes)} "
                f"passes, not {timing.result_width}"
            )
        self.blocks = blocks = Blocks.of(timing, grids, product, self.words)
        self.row_tiles, self.column_tiles = blocks.row_tiles[:, None], blocks.column_tiles[None]
        self.tiles = self.row_tiles * self.column_tiles
        self.many = blocks.row_count[:, None] * blocks.column_count[None]  # parts of each kind in one matrix
        self.parameters = blocks.parameter_sets(product)[None]
        skew = grids.rows + grids.columns - 2 if timing.architecture is Architecture.SYSTOLIC else 0
        rest = timing.mac.latency + skew + (timing.requant.latency if timing.requant else 0) + 1
        self.kinds = list(zip(self.words, product.changed(timing.mac, timing.requant), strict=True))
        self._runs: dict[tuple[TileWords, bool], IntArray] = {}  # passes are often alike
        for kind in dict.fromkeys(self.kinds):
            operands, drain = kind[0].cycles, grids.drain_cycles(kind[1])
            self._runs[kind] = (self.tiles - 1) * np.maximum(operands, drain) + operands + drain + rest
        self._loads: dict[TileWords, IntArray] = {}
        for each in dict.fromkeys(self.words):
            table = 2 * each.weight_planes * each.activation_planes
            activations = self.row_tiles * (each.steps * each.activation_planes)
            weights = self.column_tiles * (each.steps * each.weight_planes)
            self._loads[each] = np.maximum(np.maximum(activations, weights), table)

    def total(self, values: IntArray) -> IntArray:
        """Over all parts of all matrices."""
        return np.asarray(self.product.count * (self.many * values).sum((0, 1)))

    @property
    def run_cycles(self) -> IntArray:
        """Of all passes."""
        runs = (self.total(run) * self.kinds.count(kind) for kind, run in self._runs.items())
        return sum(runs, np.zeros_like(self.row_tiles[0, 0]))

    @property
    def load_cycles(self) -> IntArray:
        """Of all passes, and of parameters once a part."""
        operands = (self.total(load) * self.words.count(each) for each, load in self._loads.items())
        return sum(operands, self.total(self.parameters))

    def cycles(self, overlap: Overlap) -> IntArray:
        """From the first load to the last result."""
        if overlap is Overlap.NONE:
            return self.run_cycles + self.load_cycles
        runs, loads = [self._runs[kind] for kind in self.kinds], [self._loads[each] for each in self.words]
        return _overlapped(runs, loads, self.blocks, self.product.count) + self.total(self.parameters)


def _overlapped(runs: list[IntArray], loads: list[IntArray], blocks: Blocks, count: int) -> IntArray:
    """Cycles of all runs where each load goes on beside the run before: the first load, then the longer of each run,
    with the cycle of the next start, and the load after it, then the last run.
    """
    rows, columns = blocks.row_count[0], blocks.column_count[0]  # all but the last
    first_row, first_column = np.where(rows > 0, 0, 1), np.where(columns > 0, 0, 1)
    grid = np.arange(rows.shape[0])
    result = np.zeros_like(rows)
    # Within a part, from pass to pass.
    many = blocks.row_count[:, None] * blocks.column_count[None]
    for run, load in zip(runs, loads[1:], strict=False):
        result = result + count * (many * np.maximum(run + 1, load)).sum((0, 1))

    def step(last: tuple[int, int], then: tuple[IntArray | int, IntArray | int]) -> IntArray:
        return np.asarray(np.maximum(runs[-1][last[0], last[1]] + 1, loads[0][then[0], then[1], grid]))

    for column, number in ((0, columns), (1, np.ones_like(columns))):
        alike, to_last = np.maximum(rows - 1, 0), np.minimum(rows, 1)
        down = alike * step((0, column), (0, column)) + to_last * step((0, column), (1, column))
        result = result + count * number * down
    alike, to_last = np.maximum(columns - 1, 0), np.minimum(columns, 1)
    result = result + count * alike * step((1, 0), (first_row, 0)) + count * to_last * step((1, 0), (first_row, 1))
    result = result + (count - 1) * step((1, 1), (first_row, first_column))
    return np.asarray(result + loads[0][first_row, first_column, grid] + runs[-1][1, 1])
