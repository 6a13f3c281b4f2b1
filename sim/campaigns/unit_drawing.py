"""Random MACs and requantisers: any design with any parameters, and what may happen at its ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec, Precision
from siliquant.inputs import InputError, InputTypeError
from sim.fuzzing import Action, Spec

__all__ = ["draw_codes", "draw_mac", "draw_mac_actions", "draw_parameters", "draw_unit", "draw_unit_actions"]

_MOST_PRODUCTS = 160  # of a sum
LANES = (1, 2, 3, 4, 5, 7, 8, 12, 16)
LENGTHS = (1, 2, 7, 64, 1000, 4096, 1 << 20)


def _tried(design: type[Spec], rng: Random, parameters: dict[str, Any], names: Sequence[str]) -> Spec:
    """The design with these parameters; where they do not go together, without one after the other of ``names``."""
    for name in ("", *rng.sample(list(names), len(names))):
        parameters.pop(name, None)
        try:
            return design(**parameters)
        except (InputError, InputTypeError):
            continue
    return design()


def draw_mac(
    design: type[MacSpec], rng: Random, *, lanes: Sequence[int] = LANES, lengths: Sequence[int] = LENGTHS
) -> MacSpec:
    """A MAC of one design, of any of these sizes and reduction lengths."""
    given: dict[str, Any] = {
        design.size_parameter: rng.choice(lanes),
        "pipeline_stages": rng.randint(0, 2),
        "reduction_length": rng.choice(lengths),
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


def draw_unit(design: type[LoadableSpec], rng: Random, **fixed: int) -> LoadableSpec:
    """A requantiser of one design; ``fixed``: parameters that are not drawn."""
    given: dict[str, Any] = {
        "accumulator_width": rng.choice((2, 3, 16, 20, 48, rng.randint(2, 48))),
        "groups": rng.choice((1, 1, 2, 3, 5, 12)),
        "pipeline_stages": rng.randint(0, 2),
    }
    if design is not PartialSumSpec:
        given |= {"bits": rng.choice((1, 2, 2, 3, 4, 4, 4, rng.randint(1, MAX_BITS))), "signed": rng.random() < 0.5}
    if design is not ThresholdSpec:
        given["multiplier_width"] = rng.choice((1, 4, 12, rng.randint(1, 32)))
    if design is MultiplierSpec:
        given |= {
            "offset_width": rng.choice((2, 12, 24, rng.randint(1, 62))),
            "shift": rng.choice((0, 3, 16, rng.randint(0, 61))),
            "shift_bits": rng.choice((0, 0, 1, rng.randint(0, 5))),
        }
    found = _tried(design, rng, given | fixed, [name for name in given if name not in fixed])
    assert isinstance(found, LoadableSpec)
    return found


def draw_mac_actions(spec: MacSpec, rng: Random) -> Iterator[Action]:
    """Sums of parts, pauses and resets."""
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
            yield Action("part", (*draw_codes(spec, precision, count, count, rng),), str(precision), begins)
            begins = False
            if rng.random() < 0.2:
                yield Action("idle", (rng.randint(1, 4),))
        if rng.random() < 0.15:
            yield Action("reset", (rng.randint(1, 2),))


def draw_codes(spec: MacSpec, precision: Precision, weights: int, activations: int, rng: Random) -> Iterator[int]:
    """So many weights, then so many activations: of any code, of the ends of the range, or one code throughout."""
    for count, known in (
        (weights, spec.weight_values(precision)), (activations, spec.activation_values(precision)),
    ):  # fmt: skip
        values = known.values
        kind = rng.random()
        some = [rng.choice(values)] if kind < 0.1 else [values[0], values[-1]] if kind < 0.3 else values
        yield from (rng.choice(some) for _ in range(count))


def draw_unit_actions(spec: LoadableSpec, rng: Random) -> Iterator[Action]:
    """Parameter sets, accumulators, pauses and resets."""
    sets: dict[int, Sequence[int]] = {}
    for group in range(spec.groups):
        sets[group] = draw_parameters(spec, rng)
        yield Action("load", (group, *sets[group]))
    for _ in range(rng.randint(1, 60)):
        kind = rng.random()
        if kind < 0.1:
            group = rng.randrange(spec.groups)
            sets[group] = draw_parameters(spec, rng)
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


def draw_parameters(spec: LoadableSpec, rng: Random) -> list[int]:
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
    """Any accumulator, an end of the range, or one beside a step of the code or near 0."""
    low, high = spec.accumulator_range
    kind = rng.random()
    steps = spec.steps(numbers)
    if kind < 0.5 and steps:
        return rng.choice(steps) - rng.randint(0, 1)
    if kind < 0.6:
        return rng.choice((low, high))
    return rng.randint(max(low, -300), min(high, 300)) if kind < 0.8 else rng.randint(low, high)
