"""What is played on a module, in one sequence of cycles, and what must come out: for MACs every scenario of the cocotb
tests in full, for requantisers the sequence that the suite plays on units of each kind, for arrays what their cocotb
tests drive and look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

import numpy as np

from rtl.array import ArraySpec
from rtl.logic import joined
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from sim.array import trace_array_tests
from sim.fuzzing import Action, Case, Spec, plan_of
from sim.mac import SCENARIOS

__all__ = ["Due", "Stimulus", "stimulus_of", "unit_case"]


class Due(IntEnum):
    """What is looked at in a cycle: nothing, or that out_valid is 0 or 1, and the result."""

    NOTHING = 0
    QUIET = 1  # out_valid is 0
    HELD = 2  # out_valid is 0, and the result is what it was before, unless a reset came between
    VALID = 3  # out_valid is 1, whatever the result
    RESULT = 4  # out_valid is 1 beside this result
    BITS = 5  # the bits of a mask are those of the result


@dataclass(frozen=True)
class Stimulus:
    """cycles: the input ports as one word each, rst lowest, then the ports in their order. due, results: what is looked
    at in each cycle, before its clock edge. forgets: cycles behind which the result need not be held. outputs: the
    ports that a result has, the first lowest, beside out_valid. masks: of each cycle, where bits are looked at.
    """

    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]
    cycles: tuple[int, ...]
    due: tuple[Due, ...]
    results: tuple[int, ...]
    forgets: frozenset[int] = frozenset()
    masks: tuple[int, ...] = ()

    @property
    def has_valid(self) -> bool:
        """Whether there is a port out_valid."""
        return Due.BITS not in self.due


def stimulus_of(spec: Spec | ArraySpec) -> Stimulus:
    """The sequences of the test suite for a MAC (:mod:`sim.mac.scenarios`), a requantisation unit, or an array
    (``sim/array/tests.py``), which are run for that.
    """
    if isinstance(spec, ArraySpec):
        return _of_array(spec)
    return _of_mac(spec) if isinstance(spec, MacSpec) else _of_unit(spec)


def _inputs(spec: Spec | ArraySpec) -> tuple[tuple[str, int], ...]:
    return (("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input))


def _of_array(spec: ArraySpec) -> Stimulus:
    trace = trace_array_tests(spec)
    outputs = tuple((port.name, port.width) for port in spec.ports if not port.is_input)
    due = tuple(Due.BITS if each.mask else Due.NOTHING for each in trace)
    return Stimulus(
        _inputs(spec), outputs, tuple(each.word for each in trace), due, tuple(each.seen for each in trace),
        masks=tuple(each.mask for each in trace),
    )  # fmt: skip


def _of_mac(spec: MacSpec) -> Stimulus:
    inputs = _inputs(spec)
    cycles: list[int] = []
    due: list[Due] = []
    results: list[int] = []
    forgets: set[int] = set()
    for make in SCENARIOS.values():
        sequence = make(spec)
        first = len(cycles)
        cycles += sequence.words
        here = [Due.NOTHING, *[Due.HELD] * (len(sequence.words) - 1)]
        values = [0] * len(sequence.words)
        for each in sequence.expected:
            here[each.cycle] = Due.VALID if each.value is None else Due.RESULT
            values[each.cycle] = (each.value or 0) % (1 << spec.accumulator_width)
        due += here
        results += values
        forgets |= {first + cycle for cycle in sequence.resets}
    outputs = (("accumulator", spec.accumulator_width),)
    return Stimulus(inputs, outputs, tuple(cycles), tuple(due), tuple(results), frozenset(forgets))


def _of_unit(spec: LoadableSpec) -> Stimulus:
    inputs = _inputs(spec)
    plan = plan_of(unit_case(spec))
    cycles = [joined(inputs, words) for words in plan.cycles]
    due = [Due.NOTHING] * 2 + [Due.QUIET] * (len(cycles) - 2)
    results = [0] * len(cycles)
    for cycle, value in plan.due.items():
        due[cycle] = Due.VALID if value is None else Due.RESULT
        results[cycle] = (value or 0) % (1 << plan.width)
    return Stimulus(inputs, ((plan.result, plan.width),), tuple(cycles), tuple(due), tuple(results))


def unit_case(spec: LoadableSpec, seed: int = 0) -> Case:
    """What tries a requantisation unit: accumulators just at, below and above each step of the code, loads of every
    set before and between, in resets and to no set, and resets with accumulators inside.
    """
    rng, chance = np.random.default_rng(seed), Random(seed)
    actions: list[Action] = []
    sets: dict[int, Sequence[int]] = {}
    for turn in range(_TURNS):
        for group in range(spec.groups):
            if turn == 0 or chance.random() < 0.5:
                sets[group] = _parameters(spec, rng, turn)
                actions.append(Action("load", (group, *sets[group])))
        between = Action("reset", (chance.randrange(1, 3),)) if turn % 2 else Action("stray", (chance.randrange(1, 6),))
        for part in (_ENTRIES, _ENTRIES // 2):  # what comes between changes no set
            actions += _entries(spec, sets, part, rng, chance)
            actions.append(between)
    return Case(spec.design, spec.parameters, tuple(_whole(spec, actions)), seed)


def _entries(
    spec: LoadableSpec, sets: Mapping[int, Sequence[int]], count: int, rng: np.random.Generator, chance: Random
) -> Iterator[Action]:
    """Accumulators of any set, with pauses."""
    for _ in range(count):
        group = chance.randrange(spec.groups)
        known = _accumulators(spec, sets[group], rng)
        accumulator = chance.choice(known[:2] if chance.random() < 0.2 else known)
        more = (int(chance.random() < 0.4), int(chance.random() < 0.4)) if isinstance(spec, PartialSumSpec) else ()
        yield Action("enter", (group, accumulator, *more))
        if chance.random() < 0.1:
            yield Action("idle", (chance.randrange(1, 4),))


_TURNS = 120
_ENTRIES = 80


def _whole(spec: LoadableSpec, actions: Sequence[Action]) -> Iterator[Action]:
    """Partial sums that begin after each reset, and of no more accumulators than there are sets."""
    open_, count = False, 0
    for action in actions:
        if action.kind == "reset":
            open_ = False
        if action.kind == "enter" and isinstance(spec, PartialSumSpec):
            group, accumulator, first, last = action.numbers
            first = 1 if not open_ or count == spec.groups else first
            count = 1 if first else count + 1
            open_ = True
            yield Action("enter", (group, accumulator, first, last))
            continue
        yield action


def _parameters(spec: LoadableSpec, rng: np.random.Generator, turn: int) -> tuple[int, ...]:
    """A parameter set: of each field an end of its range or anything; thresholds ascend, near each other or far."""
    low, high = spec.accumulator_range
    if isinstance(spec, ThresholdSpec):
        span = int((high - low + 1) ** rng.random()) + 1
        start = int(rng.integers(low, max(low, high - span) + 1))
        found = np.sort(rng.integers(start, min(start + span, high + 1) + 1, len(spec.parameter_fields)))
        if turn % 8 == 5:
            found[: len(found) // 2], found[len(found) // 2 + 1 :] = low, high + 1
        return tuple(int(value) for value in found)
    values = []
    for item in spec.parameter_fields:
        ends = (item.low, item.low + 1, item.high, *rng.integers(item.low, item.high + 1, 2).tolist())
        values.append(min(int(ends[int(rng.integers(len(ends)))]), item.high))
    return tuple(values)


def _accumulators(spec: LoadableSpec, numbers: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Ends of the range, anything, and what lies at the steps of the code."""
    low, high = spec.accumulator_range
    found = [low, high, -1, 0, 1, *(int(value) for value in rng.integers(low, high + 1, 4))]
    if isinstance(spec, ThresholdSpec):
        found += [value + shift for value in numbers for shift in (-1, 0, 1)]
    elif isinstance(spec, MultiplierSpec) and numbers[0]:
        shift = numbers[2] if spec.shift_bits else spec.shift
        sums = [code << shift for code in range(-1, (1 << spec.bits) + 1)]
        sums += [sign << place for place in range(spec.sum_width) for sign in (1, -1)]
        for total in sums:
            step = (total - numbers[1]) // numbers[0]
            found += [step - 1, step, step + 1]
    return [value for value in found if low <= value <= high]
