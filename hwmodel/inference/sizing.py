"""Arrays of other designs that are a match for a given one: of at most its area, or of at most its latency.

The rule. The element of each design is given (units and pipelining). Rows and columns run from 1 to twice the larger
side of the given array, neither more than twice the other, and no more than an array may load (MOST_LOADED_BITS). They
have as many drains as the given array, or as many as their rows allow (rtl.array.most_drains). Each memory keeps the
capacity in bits that it has in the given array: its depth is that capacity over the width of a word, but at least what
one tile of the largest sums needs.

equal area     of the arrays with at most the given one's area, the one with the fewest cycles an inference; of equally
               fast ones the smallest, of those the one with the fewest rows
equal latency  of the arrays with at most as many cycles an inference, the one with the least area; of equally large
               ones the fastest, of those the one with the fewest rows

The area is that of elements and requantisers. Memories are left out of it, since every array has the same capacity:
what differs is how many macros its word takes, and that rounding would decide more than the designs do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hwmodel.workload import Assignment, Scales
from rtl.array import MOST_LOADED_BITS, SIZE_WIDTH, ArraySpec, most_drains
from rtl.requant import RequantSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError

from .inference import element_cost, matrices_of, needed_depth, units_of
from .parts import Costs
from .tiles import Grids, IntArray, Timing
from .tiling import Overlap, cycles_of

__all__ = ["Candidates", "NoArrayError", "candidates", "equal_area", "equal_latency"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Arrays of every size of one element: area without memories and cycles of an inference, [arrays] each."""

    pattern: ArraySpec
    grids: Grids
    logic_um2: npt.NDArray[np.float64]
    cycles: IntArray

    def array(self, number: int) -> ArraySpec:
        """One of them."""
        grids = self.grids
        return replace(
            self.pattern,
            rows=int(grids.rows[number]),
            columns=int(grids.columns[number]),
            drains=int(grids.drains[number]),
            activation_depth=int(grids.activation_depth[number]),
            weight_depth=int(grids.weight_depth[number]),
            result_depth=int(grids.result_depth[number]),
        )


def candidates(
    given: ArraySpec,
    element: MacSpec,
    requant: RequantSpec | None,
    assignment: Assignment,
    costs: Costs,
    *,
    scales: Scales = Scales.HEAD,
    overlap: Overlap = Overlap.NONE,
) -> Candidates:
    """Arrays of ``element`` of all sizes by the rule above, with the memories of ``given``, running ``assignment``."""
    needs = needed_depth(element, assignment, scales=scales, result_width=given.result_width)
    pattern = replace(given, mac=element, requant=requant, rows=1, columns=1, drains=1)
    gemms = assignment.workload.gemms
    products = Counter(matrices_of(gemm, assignment.of(gemm), scales, pattern) for gemm in gemms)
    grids = _grids(given, pattern, needs)
    timing = Timing.of(pattern)
    cycles = np.zeros_like(grids.rows)
    for product, number in products.items():
        cycles = cycles + number * cycles_of(timing, grids, product, overlap)
    units = units_of(pattern, assignment.workload, costs, scales)
    cost = element_cost(pattern, assignment.workload, costs)
    column_um2 = cost.column.area_um2 + sum(unit.area_um2 for unit in units.values())
    rows_um2 = grids.rows * (grids.columns * cost.area_um2 + cost.row.area_um2)
    logic_um2 = rows_um2 + grids.columns * column_um2 + cost.shared.area_um2
    return Candidates(pattern, grids, logic_um2, cycles)


class NoArrayError(InputError):
    """No array of a design is as small, or as fast, as another one."""


def equal_area(among: Candidates, area_um2: float) -> ArraySpec:
    """The fastest array of at most that area. Raises ValueError where none is so small."""
    fits = among.logic_um2 <= area_um2 * (1 + 1e-12)
    if not fits.any():
        raise NoArrayError(
            f"the smallest array of {among.pattern.mac.name} must have at most the logic area of the uniform one, "
            f"{area_um2:.0f} um2, not {float(among.logic_um2.min()):.0f}"
        )
    order = np.lexsort((among.grids.rows, among.logic_um2, among.cycles, ~fits))
    return among.array(int(order[0]))


def equal_latency(among: Candidates, cycles: int) -> ArraySpec:
    """The smallest array of at most so many cycles an inference. Raises ValueError where none is so fast."""
    fits = among.cycles <= cycles
    if not fits.any():
        name, most, least = among.pattern.mac.name, int(among.grids.rows.max()), int(among.cycles.min())
        raise NoArrayError(
            f"the fastest array of {name} of up to {most} rows must take at most {cycles} cycles an inference, those "
            f"of the uniform one, not {least}"
        )
    order = np.lexsort((among.grids.rows, among.cycles, among.logic_um2, ~fits))
    return among.array(int(order[0]))


def _grids(given: ArraySpec, pattern: ArraySpec, needs: tuple[int, int]) -> Grids:
    most = min(2 * max(given.rows, given.columns), 256)
    sides = np.arange(1, most + 1, dtype=np.int64)
    rows, columns = (side.ravel() for side in np.meshgrid(sides, sides, indexing="ij"))
    fits = (rows <= 2 * columns) & (columns <= 2 * rows) & (pattern.loaded_bits(rows, columns) <= MOST_LOADED_BITS)
    rows, columns = rows[fits], columns[fits]
    drains = most_drains(rows, given.drains)
    was, now = given.element.operand_widths, pattern.element.operand_widths

    def depth(capacity_bits: int, word_bits: IntArray, need: npt.ArrayLike) -> IntArray:
        return np.minimum(np.maximum(capacity_bits // word_bits, need), 1 << SIZE_WIDTH)

    return Grids(
        rows=rows,
        columns=columns,
        drains=drains,
        activation_depth=depth(given.activation_depth * given.rows * was[1], rows * now[1], needs[0]),
        weight_depth=depth(given.weight_depth * given.columns * was[0], columns * now[0], needs[1]),
        result_depth=depth(
            given.result_depth * given.drains * given.columns * given.result_width,
            drains * columns * pattern.result_width,
            -(-rows // drains),
        ),
    )
