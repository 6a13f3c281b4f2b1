"""How many pipeline stages a design gets: one rule for what is measured and for what is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Attempt", "try_stages"]

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


def try_stages(
    stages: Iterable[int], find: Callable[[int], V | None], look: Callable[[V], Attempt]
) -> tuple[V, tuple[V, ...]] | None:
    """What ``find`` gives for more and more pipeline stages until the clock is met, the best of it and all of it.

    Where meeting the clock cost area, one more is tried. The best is the smallest that meets the clock, the fastest
    where none does. None as soon as ``find`` gives None.
    """
    tried: list[tuple[V, Attempt]] = []
    for number in stages:
        trial = find(number)
        if trial is None:
            return None
        attempt = look(trial)
        before_met = bool(tried) and tried[-1][1].meets_clock
        tried.append((trial, attempt))
        if attempt.meets_clock is None or before_met or attempt.relaxed:
            break
    met = [each for each in tried if each[1].meets_clock]
    if met:
        chosen = min(met, key=lambda each: each[1].area_um2)
    else:
        chosen = min(tried, key=lambda each: each[1].minimum_period_ns or 0.0)
    return chosen[0], tuple(trial for trial, _ in tried)
