"""Random cases: any design with any parameters, and what may happen at its ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from rtl.mac import DESIGNS
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec, Precision
from siliquant.inputs import InputError, InputTypeError

from .cases import UNITS, Action, Case, Spec, spec_of

__all__ = ["draw_case"]

_MOST_PRODUCTS = 160  # of a sum
_LANES = (1, 2, 3, 4, 5, 7, 8, 12, 16)


def draw_case(rng: Random) -> Case:
    """One case. Its design may be any of all that can be generated, of moderate size."""
    number = rng.randrange(len(DESIGNS) + len(UNITS))
    spec: Spec = _mac(DESIGNS[number], rng) if number < len(DESIGNS) else _unit(UNITS[number - len(DESIGNS)], rng)
    actions = _mac_actions(spec, rng) if isinstance(spec, MacSpec) else _unit_actions(spec, rng)
    return Case(spec.design, spec.parameters, tuple(actions), rng.getrandbits(32))


def _tried(design: type[Spec], rng: Random, parameters: dict[str, Any], names: Sequence[str]) -> Spec:
    """The design with these parameters; where they do not go together, without one after the other of ``names``."""
    for name in ("", *rng.sample(list(names), len(names))):
        parameters.pop(name, None)
        try:
            return spec_of(design.design, parameters)
        except (InputError, InputTypeError):
            continue
    return design()


def _mac(design: type[MacSpec], rng: Random) -> MacSpec:
    given: dict[str, Any] = {
        design.size_parameter: rng.choice(_LANES),
        "pipeline_stages": rng.randint(0, 2),
        "reduction_length": rng.choice((1, 2, 7, 64, 1000, 4096, 1 << 20)),
    }
    known = design.parameter_help()
    for name in known:
        if name in ("weight_bits", "activation_bits"):
            given[name] = rng.randint(1, MAX_BITS)
        elif name == "maximum_bits":
            given[name] = rng.randint(2, MAX_BITS)
        elif name == "widths":
            given[name] = _widths(design, rng)
        elif isinstance(known[name][0], bool):
            given[name] = rng.random() < 0.3
    found = _tried(design, rng, given, [name for name in given if name != design.size_parameter])
    assert isinstance(found, MacSpec)
    return found


def _widths(design: type[MacSpec], rng: Random) -> tuple[int, ...]:
    choices: tuple[int, ...] = getattr(design, "width_choices", (8, 4, 2, 1))
    return tuple(sorted(rng.sample(choices, rng.randint(2, len(choices))), reverse=True))


def _unit(design: type[LoadableSpec], rng: Random) -> LoadableSpec:
    given: dict[str, Any] = {
        "accumulator_width": rng.choice((2, 3, 8, 16, 20, 24, 32, 48)),
        "groups": rng.choice((1, 1, 2, 3, 5, 12)),
        "pipeline_stages": rng.randint(0, 2),
    }
    if design is not PartialSumSpec:
        given |= {"bits": rng.choice((1, 2, 3, 4, 4, 6)), "signed": rng.random() < 0.5}
    if design is not ThresholdSpec:
        given["multiplier_width"] = rng.choice((1, 4, 12, 24))
    if design is MultiplierSpec:
        given |= {
            "offset_width": rng.choice((2, 12, 24, 40)),
            "shift": rng.choice((0, 3, 16, 30)),
            "shift_bits": rng.choice((0, 0, 1, 4)),
        }
    found = _tried(design, rng, given, list(given))
    assert isinstance(found, LoadableSpec)
    return found


def _mac_actions(spec: MacSpec, rng: Random) -> Iterator[Action]:
    for _ in range(rng.randint(1, 12)):
        left = min(spec.reduction_length, _MOST_PRODUCTS)
        first = rng.choice(spec.precisions)
        begins = True
        for _ in range(rng.randint(1, 3)):
            same = [each for each in spec.precisions if spec.sum_shift(each) == spec.sum_shift(first)]
            precision = first if begins else rng.choice(same)
            most = min(left, 2 * spec.products_per_step(precision) + 1)
            count = rng.choice((most, rng.randint(0, most)))
            left -= count
            yield Action("part", (*_codes(spec, precision, count, rng),), str(precision), begins)
            begins = False
            if rng.random() < 0.2:
                yield Action("idle", (rng.randint(1, 4),))
        if rng.random() < 0.15:
            yield Action("reset", (rng.randint(1, 2),))


def _codes(spec: MacSpec, precision: Precision, count: int, rng: Random) -> Iterator[int]:
    """Weights, then activations: of any code, of the ends of the range, or one code throughout."""
    for values in (spec.weight_values(precision).values, spec.activation_values(precision).values):
        kind = rng.random()
        some = [rng.choice(values)] if kind < 0.1 else [values[0], values[-1]] if kind < 0.3 else values
        yield from (rng.choice(some) for _ in range(count))


def _unit_actions(spec: LoadableSpec, rng: Random) -> Iterator[Action]:
    sets: dict[int, Sequence[int]] = {}
    for group in range(spec.groups):
        sets[group] = _parameters(spec, rng)
        yield Action("load", (group, *sets[group]))
    for _ in range(rng.randint(1, 60)):
        kind = rng.random()
        if kind < 0.1:
            group = rng.randrange(spec.groups)
            sets[group] = _parameters(spec, rng)
            yield Action("load", (group, *sets[group]))
        elif kind < 0.2:
            yield Action("idle", (rng.randint(1, 3),))
        elif kind < 0.23:
            yield Action("reset", (1,))
        elif isinstance(spec, PartialSumSpec):
            heads = rng.randint(1, spec.groups)
            for head in range(heads):
                yield Action(
                    "enter", (head, _accumulator(spec, sets[head], rng), int(head == 0), int(head == heads - 1))
                )
        else:
            group = rng.randrange(spec.groups)
            yield Action("enter", (group, _accumulator(spec, sets[group], rng)))


def _parameters(spec: LoadableSpec, rng: Random) -> list[int]:
    """A parameter set: small and large numbers, ends of ranges, thresholds in their order."""
    numbers = []
    for item in spec.parameter_fields:
        near = max(item.low, -64), min(item.high, 64)
        kind = rng.random()
        numbers.append(
            rng.choice((item.low, item.high))
            if kind < 0.15
            else rng.randint(*near)
            if kind < 0.4 and near[0] <= near[1]
            else rng.randint(item.low, item.high)
        )
    return sorted(numbers) if isinstance(spec, ThresholdSpec) else numbers


def _accumulator(spec: LoadableSpec, numbers: Sequence[int], rng: Random) -> int:
    """Any accumulator, an end of the range, or one beside a threshold or near 0."""
    low, high = spec.accumulator_range
    kind = rng.random()
    if kind < 0.5 and isinstance(spec, ThresholdSpec):
        return min(max(rng.choice(numbers) - rng.randint(0, 1), low), high)
    if kind < 0.6:
        return rng.choice((low, high))
    return rng.randint(max(low, -300), min(high, 300)) if kind < 0.8 else rng.randint(low, high)
