"""How many pipeline stages a design gets: one rule for what is measured and for what is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from hwmodel.measurement.row import SynthesisRow
from hwmodel.model.model import LibraryModel, Shape, still_cost
from hwmodel.synthesis.recipes import looks_at_area_alone

__all__ = ["Attempt", "attempt_of_row", "attempt_of_shape", "try_stages"]

V = TypeVar("V")


@dataclass(frozen=True)
class Attempt:
    """What the rule looks at. relaxed: whether the clock is met by what is smallest whatever the clock.

    meets_clock and minimum_period_ns are None without a timing tool.
    """

    area_um2: float
    minimum_period_ns: float | None
    meets_clock: bool | None
    relaxed: bool


def attempt_of_row(row: SynthesisRow) -> Attempt:
    """A synthesised design."""
    relaxed = bool(row.meets_clock) and looks_at_area_alone(row.recipe)
    return Attempt(row.area_um2, row.minimum_period_ns, row.meets_clock, relaxed)


def attempt_of_shape(shape: Shape, model: LibraryModel, clock_mhz: float) -> Attempt:
    """An estimated design. What its operands do is not asked for: counting transitions takes longest."""
    cost = still_cost(shape, model, clock_mhz)
    met = cost.meets_clock
    return Attempt(cost.total_area_um2, cost.minimum_period_ns, met, met and cost.pressure == 0)


def try_stages(
    stages: Iterable[int], find: Callable[[int], V | None], look: Callable[[V], Attempt]
) -> tuple[V, tuple[V, ...]] | None:
    """What ``find`` gives for more and more pipeline stages until the clock is met, the best of it and all of it.

    Where meeting the clock cost area, one more is tried. The best is the smallest that meets the clock, the fastest
    where none does. None as soon as ``find`` gives None.
    """
    tried: list[tuple[V, Attempt]] = []
    for number in stages:
        variant = find(number)
        if variant is None:
            return None
        attempt = look(variant)
        before_met = bool(tried) and tried[-1][1].meets_clock
        tried.append((variant, attempt))
        if attempt.meets_clock is None or before_met or attempt.relaxed:
            break
    met = [each for each in tried if each[1].meets_clock]
    if met:
        chosen = min(met, key=lambda each: each[1].area_um2)
    else:
        chosen = min(tried, key=lambda each: each[1].minimum_period_ns or 0.0)
    return chosen[0], tuple(variant for variant, _ in tried)
