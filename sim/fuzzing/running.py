"""Runs a case on an engine and compares every cycle with the golden model."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtl.array import ArraySpec
from rtl.logic import emulate
from rtl.requant import LoadableSpec, PartialSumSpec, RequantSpec
from rtl.spec import MacSpec, Precision
from siliquant.files import raise_if_full
from siliquant.inputs import InputError, at

from .array_plan import ArrayPlan, array_plan
from .benches import run_bench
from .cases import ENGINES, Action, Case, Fault, NetworkSpec, Spec
from .networks import run_network
from .wanted import Want, first_difference

__all__ = ["Plan", "plan_of", "run_case"]

Words = dict[str, int]
_MOST_CYCLES = 1 << 18
_CONTROL = ("out_valid", "busy", "error", "written")


@dataclass(frozen=True)
class Plan:
    """cycles: the words of all input ports, cycle by cycle. due: cycles in which out_valid is 1, with the result, None
    where it has no meaning. result: the port. width: its bits.
    """

    cycles: tuple[Words, ...]
    due: Mapping[int, int | None]
    result: str
    width: int
    keeps: bool = False

    @property
    def wanted(self) -> list[list[Want]]:
        """What must be seen in every cycle. ``keeps``: the result stays until the next one, or until a reset, in whose
        first cycle another may come.
        """
        found: list[list[Want]] = []
        value: int | None = None
        for cycle, words in enumerate(self.cycles):
            wants = [] if cycle < 2 else [Want("out_valid", int(cycle in self.due))]  # not reset before
            if cycle in self.due or not self.keeps or words["rst"]:
                value = self.due.get(cycle)
            if value is not None and wants:
                wants.append(Want(self.result, value % (1 << self.width)))
            found.append(wants)
            value = None if words["rst"] else value
        return found


def plan_of(case: Case) -> Plan:
    """The cycles of a case of a MAC or a requantiser, and what must come out. Raises ValueError for actions that the
    design does not take.
    """
    spec = case.spec
    if isinstance(spec, ArraySpec | NetworkSpec):
        raise InputError(f"the design must be a MAC or a requantiser, not {spec.name}")
    writer = _MacWriter(spec, case) if isinstance(spec, MacSpec) else _UnitWriter(spec, case)
    writer.reset(2)
    for place, action in enumerate(case.actions):
        with at(f"action {place}"):
            writer.act(action)
    writer.idle(spec.latency + 1)
    return Plan(tuple(writer.cycles), writer.due, writer.result, writer.width, isinstance(spec, MacSpec))


def run_case(case: Case, engine: str, compared: Counter[str] | None = None) -> Fault | None:
    """The first difference, or what a generator or a tool ended with; None where there is none. ``compared``: counts of
    simulated cycles and of results in them, to which those of this case are added.

    Raises InputError and InputTypeError for a case that is none: a design or actions that do not go together, or an
    engine of another kind; FileError where the disk is full, which is no fault of the case.
    """
    spec = case.spec
    if engine not in ENGINES[case.kind]:
        raise InputError(f"engine must be one of {', '.join(ENGINES[case.kind])} for {spec.name}, not {engine!r}")
    if isinstance(spec, NetworkSpec):
        return run_network(spec, engine, compared)
    plan = array_plan(case) if isinstance(spec, ArraySpec) else plan_of(case)
    if isinstance(plan, ArrayPlan) and plan.wrong is not None:
        return Fault(engine, plan.wrong, "cycles")
    try:
        if engine == "graph":
            return _on_graph(case)
        wanted = plan.wanted
        found = first_difference(wanted, run_bench(spec, plan.cycles, engine, reset=case.reset))
        if compared is not None:
            compared["cycles"] += len(wanted)
            compared["results"] += sum(want.port not in _CONTROL for wants in wanted for want in wants)
    except Exception as error:  # whatever it is, no case may end with it
        raise_if_full(error)
        return Fault.of(engine, error)
    return None if found is None else Fault(engine, found)


class _Writer:
    """Cycles as they are written. Ports without valid data have junk on them."""

    def __init__(self, spec: Spec, case: Case, result: str) -> None:
        self.inputs = [port for port in spec.ports if port.is_input]
        self.width = next(port.width for port in spec.ports if port.name == result)
        self.result, self.latency = result, spec.latency
        self.cycles: list[Words] = []
        self.due: dict[int, int | None] = {}
        self._junk = random.Random(case.junk)
        self._at_once = case.reset.edge != ""

    def drive(self, **words: int) -> int:
        """One more cycle; returns its number. Raises InputError for too many."""
        if len(self.cycles) == _MOST_CYCLES:
            raise InputError(f"a case must have at most {_MOST_CYCLES:,} cycles")
        junk = {port.name: self._junk.getrandbits(port.width) for port in self.inputs}
        quiet: Words = {name: 0 for name in ("rst", "in_valid", "load_valid") if name == "rst" or name in junk}
        self.cycles.append({**junk, **quiet, **words})
        return len(self.cycles) - 1

    def idle(self, cycles: int) -> None:
        """Nothing enters."""
        for _ in range(cycles):
            self.drive()

    def reset(self, cycles: int) -> None:
        """What has entered and is not out yet never comes."""
        for _ in range(cycles):
            now = self.drive(rst=1, **self.in_reset())
            self.due = {cycle: value for cycle, value in self.due.items() if cycle <= now - self._at_once}
        self.forget()

    def in_reset(self) -> Words:
        """What else happens in a reset, and must do nothing."""
        return {"in_valid": self._junk.getrandbits(1)}

    def forget(self) -> None:
        """No sum is begun."""

    def act(self, action: Action) -> None:
        """One action."""
        if action.kind in ("idle", "reset") and len(action.numbers) == 1 and 0 <= action.cycles <= 1 << 16:
            (self.idle if action.kind == "idle" else self.reset)(action.cycles)
        else:
            self.more(action)

    def more(self, action: Action) -> None:
        """One of the design's own actions."""
        raise InputError(f"an action must be of the design, not {action.kind!r}")


class _MacWriter(_Writer):
    """Sums of parts; each part begins with a step of its own."""

    def __init__(self, spec: MacSpec, case: Case) -> None:
        super().__init__(spec, case, "accumulator")
        self._spec = spec
        self._parts: list[tuple[Sequence[int], Sequence[int], Precision]] = []
        self._begun = False

    def forget(self) -> None:
        self._begun = False

    def more(self, action: Action) -> None:
        if action.kind != "part" or len(action.numbers) % 2:
            super().more(action)
        precision = next((each for each in self._spec.precisions if str(each) == action.precision), None)
        if precision is None:
            raise InputError(f"precision must be one of {self._spec.name}, not {action.precision!r}")
        half = len(action.numbers) // 2
        weights, activations = action.numbers[:half], action.numbers[half:]
        begins = action.begins or not self._begun
        self._parts = [*([] if begins else self._parts), (weights, activations, precision)]
        self._begun = True
        total = self._spec.compute_steps(self._parts)
        words = self._spec.pack(weights, activations, precision)
        count = len(words.pop("clear"))
        for name, mask in self._spec.ignored_bits(precision).items():
            words[name] = [word & ~mask | self._junk.getrandbits(mask.bit_length()) & mask for word in words[name]]
        per_step = self._spec.cycles_per_step(precision)
        for cycle in range(count):
            now = self.drive(
                in_valid=1, clear=int(begins and cycle == 0), **{name: column[cycle] for name, column in words.items()}
            )
            if cycle == count - 1:
                self.due[now + self.latency] = total
            else:  # within a step the sum has no meaning; behind one, the sum of the products so far
                done = (cycle + 1) // per_step * self._spec.products_per_step(precision)
                partial = [*self._parts[:-1], (weights[:done], activations[:done], precision)]
                whole = (cycle + 1) % per_step == 0
                self.due[now + self.latency] = self._spec.compute_steps(partial) if whole else None


class _UnitWriter(_Writer):
    """Parameter sets and accumulators."""

    def __init__(self, spec: LoadableSpec, case: Case) -> None:
        super().__init__(spec, case, "total" if isinstance(spec, PartialSumSpec) else "code")
        self._spec = spec
        self._sets: dict[int, Sequence[int]] = {}
        self._sum: list[tuple[int, int]] = []

    def in_reset(self) -> Words:
        return {**super().in_reset(), "load_valid": self._junk.getrandbits(1)}

    def more(self, action: Action) -> None:
        if action.kind == "stray" and len(action.numbers) == 1 and 0 <= action.cycles <= 1 << 16:
            absent = range(self._spec.groups, 1 << self._spec.group_width)
            for _ in range(action.cycles if self._spec.groups > 1 and absent else 0):
                self.drive(load_valid=1, load_group=self._junk.choice(absent))
        elif action.kind == "load" and len(action.numbers) > 1:
            group, *numbers = action.numbers
            self._check_group(group)
            self._sets[group] = numbers
            self.drive(load_valid=1, load_group=group, load_parameters=self._spec.pack_parameters(numbers))
        elif action.kind == "enter" and len(action.numbers) == (4 if isinstance(self._spec, PartialSumSpec) else 2):
            self._enter(*action.numbers)
        else:
            super().more(action)

    def _check_group(self, group: int) -> None:
        if not 0 <= group < self._spec.groups:
            raise InputError(f"a set must be from 0 to {self._spec.groups - 1}, not {group}")

    def _enter(self, group: int, accumulator: int, first: int = 1, last: int = 1) -> None:
        self._check_group(group)
        if group not in self._sets:
            raise InputError(f"set {group} must be loaded before it is chosen")
        self._spec.check_accumulators([accumulator])
        for name, bit in (("first", first), ("last", last)):
            if bit not in (0, 1):
                raise InputError(f"{name} must be 0 or 1, not {bit}")
        word = accumulator % (1 << self._spec.accumulator_width)
        spec, numbers = self._spec, self._sets[group]
        if isinstance(spec, PartialSumSpec):
            now = self.drive(in_valid=1, group=group, accumulator=word, first=first, last=last)
            self._sum = [*([] if first else self._sum), (accumulator, numbers[0])]
            if last:
                self.due[now + self.latency] = sum(one * other for one, other in self._sum)
            return
        assert isinstance(spec, RequantSpec)
        now = self.drive(in_valid=1, group=group, accumulator=word)
        code = int(spec.compute([accumulator], numbers)[0])
        self.due[now + self.latency] = spec.code_values.words[spec.code_values.values.index(code)]


def _on_graph(case: Case) -> Fault | None:
    """The sums of a MAC as its graph of gates has them, each on its own."""
    spec = case.spec
    assert isinstance(spec, MacSpec)
    datapath = spec.build()
    for number, parts in enumerate(_sums(case, spec)):
        words: dict[str, list[int]] = {}
        for place, (weights, activations, precision) in enumerate(parts):
            packed = spec.pack(weights, activations, precision)
            packed["clear"][0] = int(place == 0)
            for name, column in packed.items():
                words.setdefault(name, []).extend(column)
        columns = {name: np.array([[word] for word in column], object) for name, column in words.items()}
        found = spec.unpack(emulate(datapath, columns)[0])
        wanted = spec.compute_steps(parts)
        if found != wanted:
            return Fault("graph", f"sum {number}: the graph gives {found}, not {wanted}")
    return None


def _sums(case: Case, spec: MacSpec) -> Iterator[list[tuple[Sequence[int], Sequence[int], Precision]]]:
    precisions = {str(each): each for each in spec.precisions}
    parts: list[tuple[Sequence[int], Sequence[int], Precision]] = []
    for action in case.actions:
        if action.kind == "reset" or (action.kind == "part" and action.begins):
            if parts:
                yield parts
            parts = []
        if action.kind == "part":
            half = len(action.numbers) // 2
            parts.append((action.numbers[:half], action.numbers[half:], precisions[action.precision]))
    if parts:
        yield parts
