"""Of every design the kind that is best for a mixture: what tables show where a design is compared in several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from hwmodel.workload import Width

from .comparison import EQUAL_THROUGHPUT, Row, is_uniform

__all__ = ["best_rows"]


def best_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of uniform designs, and at each mean those of the kind of each design with the least product of area and
    energy at equal throughput, or the least area where energies are not known; one that meets the clock before any that
    misses it. In their order.
    """
    best: dict[tuple[Width, str], Row] = {}
    for row in rows:
        if row.normalisation == EQUAL_THROUGHPUT and not is_uniform(row):
            other = best.setdefault((row.bits, row.family), row)
            if _cost(row) < _cost(other):
                best[row.bits, row.family] = row
    chosen = {(bits, row.design) for (bits, _), row in best.items()}
    return [row for row in rows if is_uniform(row) or (row.bits, row.design) in chosen]


def _cost(row: Row) -> tuple[bool, float]:
    return row.meets_clock is False, inf if row.area_ratio is None else row.area_ratio * (row.power_ratio or 1.0)
