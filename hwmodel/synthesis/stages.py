"""How many pipeline stages a design gets, and which form: one rule for what is measured and for what is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rtl.spec import MacSpec, Precision

__all__ = ["Attempt", "try_stages", "try_trials", "weighed_precision"]

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


_NARROW_BITS = 4


def weighed_precision(spec: MacSpec) -> Precision:
    """The precision whose power counts in the choice of a form: the widest of at most four bits, for which such designs
    are made, else the narrowest. Both operands equally wide where the design has that, activations signed.
    """
    signed = [each for each in spec.precisions if each.activation_signed]
    equal = [each for each in signed if each.weight_bits == each.activation_bits] or signed
    narrow = [each for each in equal if max(each.weight_bits, each.activation_bits) <= _NARROW_BITS]
    pick, among = (max, narrow) if narrow else (min, equal)
    return pick(among, key=lambda each: each.weight_bits + each.activation_bits)


def try_stages(
    stages: Iterable[int],
    find: Callable[[int], V | None],
    look: Callable[[V], Attempt],
    power_uw: Callable[[V], float | None],
) -> tuple[V, tuple[V, ...]] | None:
    """What ``find`` gives for more and more pipeline stages until one more does not pay, the best of it and all of it.

    The best of those that meet the clock has the least product of area and power: nobody would take 15 % more power for
    1 % less area. It is the smallest where the power is not known, and the fastest where none meets the clock. None as
    soon as ``find`` gives None. ``power_uw`` is asked only where there is a choice.
    """
    tried: list[tuple[V, Attempt]] = []
    for number in stages:
        trial = find(number)
        if trial is None:
            return None
        before = _best(tried, power_uw)[1] if tried else None
        tried.append((trial, look(trial)))
        paid = before is None or not before.meets_clock or _best(tried, power_uw) is tried[-1]
        if tried[-1][1].meets_clock is None or not paid:
            break
    return _best(tried, power_uw)[0], tuple(trial for trial, _ in tried)


def try_trials(
    spec: MacSpec,
    stages: Iterable[int],
    find: Callable[[MacSpec], V | None],
    look: Callable[[V], Attempt],
    power_uw: Callable[[V], float | None],
    forms_of: Callable[[MacSpec], Iterable[MacSpec]] = lambda spec: spec.forms,
) -> tuple[V, tuple[V, ...]] | None:
    """As :func:`try_stages` for a MAC, each time in the best of its forms; all that was tried.

    power_uw: at :func:`weighed_precision`. forms_of: the forms there are to choose from. Those with half adders are
    larger and faster: they are tried where the others do not meet the clock at no cost.
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
            found = _best(tried, power_uw)[1]
            if found.meets_clock is None or (found.meets_clock and found.relaxed):
                break
        every.extend(trial for trial, _ in tried)
        return _best(tried, power_uw)[0]

    chosen = try_stages(stages, best, look, power_uw)
    return None if chosen is None else (chosen[0], tuple(every))


def _best(tried: Sequence[tuple[V, Attempt]], power_uw: Callable[[V], float | None]) -> tuple[V, Attempt]:
    """The least product of area and power of those that meet the clock, or of which that is not known; where none does,
    the fastest.
    """
    met = [each for each in tried if each[1].meets_clock is not False]
    if not met:
        return min(tried, key=lambda each: each[1].minimum_period_ns or 0.0)
    if len(met) == 1:
        return met[0]
    powers = [power_uw(trial) for trial, _ in met]
    if any(power is None for power in powers):
        return min(met, key=lambda each: each[1].area_um2)
    products = [attempt.area_um2 * (power or 0.0) for (_, attempt), power in zip(met, powers, strict=True)]
    return met[products.index(min(products))]
