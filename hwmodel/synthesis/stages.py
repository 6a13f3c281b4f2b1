"""How many pipeline stages a design gets, and which form: one rule for what is measured and for what is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rtl.spec import MacSpec

__all__ = ["Attempt", "try_stages", "try_trials"]

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
    return _best(tried)[0], tuple(trial for trial, _ in tried)


def try_trials(
    spec: MacSpec,
    stages: Iterable[int],
    find: Callable[[MacSpec], V | None],
    look: Callable[[V], Attempt],
    forms_of: Callable[[MacSpec], Iterable[MacSpec]] = lambda spec: spec.forms,
) -> tuple[V, tuple[V, ...]] | None:
    """As :func:`try_stages` for a MAC, each time in the best of its forms; all that was tried.

    forms_of: the forms there are to choose from. Those with half adders are larger and faster: they are tried where the
    others do not meet the clock at no cost.
    """
    every: list[V] = []

    def best(number: int) -> V | None:
        tried: list[tuple[V, Attempt]] = []
        for faster in (False, True):
            for form in forms_of(replace(spec, pipeline_stages=number)):
                if form.half_adders is faster:
                    trial = find(form)
                    if trial is None:
                        return None
                    tried.append((trial, look(trial)))
            found = _best(tried)[1]
            if found.meets_clock is None or (found.meets_clock and found.relaxed):
                break
        every.extend(trial for trial, _ in tried)
        return _best(tried)[0]

    chosen = try_stages(stages, best, look)
    return None if chosen is None else (chosen[0], tuple(every))


def _best(tried: Sequence[tuple[V, Attempt]]) -> tuple[V, Attempt]:
    """The smallest that meets the clock, or of which it is not known; where none does, the fastest."""
    met = [each for each in tried if each[1].meets_clock is not False]
    if met:
        return min(met, key=lambda each: each[1].area_um2)
    return min(tried, key=lambda each: each[1].minimum_period_ns or 0.0)
