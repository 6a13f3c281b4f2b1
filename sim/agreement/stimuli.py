"""What is played on a module: a cycle of reset after power-up, some in which nothing enters, then what the tests play.

MACs get the begin of every scenario of :mod:`sim.mac`, requantisers the begin of the suite's sequence for units of
their kind, arrays loads, runs with and without what changes sums, a run that is refused, and resets amid them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import TypeAlias

import numpy as np

from rtl.array import REFUSAL_CYCLES, ArraySpec, Run, load_words
from rtl.logic import joined
from rtl.requant import LoadableSpec, ThresholdSpec
from rtl.spec import MacSpec
from sim.array import random_codes
from sim.mac import SCENARIOS
from sim.mutants import stimulus_of
from sim.simulators import Ports

__all__ = ["Played", "Spec", "played_on"]

Spec: TypeAlias = MacSpec | LoadableSpec | ArraySpec
_QUIET = 6  # cycles after the first reset in which nothing enters: as many as a valid bit takes at most
_SCENARIO = 1200  # cycles of each scenario of a MAC at most
_UNIT = 4000  # of a requantiser
_TURNS = 3  # of an array


@dataclass(frozen=True)
class Played:
    """words: of each cycle, of the inputs side by side, the first lowest. settled: the first cycle after a reset.
    known: cycles in which no bit of an output may be unknown.
    """

    inputs: Ports
    outputs: Ports
    words: Sequence[int]
    settled: int
    known: frozenset[int] = frozenset()


def played_on(spec: Spec, seed: int = 0) -> Played:
    """The stimulus for a design."""
    inputs = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
    outputs = [(port.name, port.width) for port in spec.ports if not port.is_input]
    random = Random(f"{spec.name} {seed}")
    first = _joined(inputs, random, rst=1)
    quiet = [_joined(inputs, random, **_nothing_enters(inputs)) for _ in range(_QUIET)]
    begin = [first, *quiet]
    known: set[int] = set()
    if isinstance(spec, MacSpec):
        words = [word for make in SCENARIOS.values() for word in make(spec).words[:_SCENARIO]]
    elif isinstance(spec, LoadableSpec):
        words = list(stimulus_of(spec).cycles[:_UNIT])
    else:
        array = _Array(spec, inputs, random)
        words, known = array.words(), {len(begin) + cycle for cycle in array.known}
    return Played(inputs, outputs, begin + words, 1, frozenset(known))


def _nothing_enters(inputs: Ports) -> dict[str, int]:
    names = [name for name, _ in inputs if name.startswith("load_") and name != "load_parameters"]
    return dict.fromkeys([*names, "rst", *(name for name, _ in inputs if name in ("in_valid", "start", "hold"))], 0)


def _joined(inputs: Ports, random: Random, **known: int) -> int:
    """A word of all inputs, the first lowest; what is not known is junk."""
    return joined(inputs, {name: known.get(name, random.getrandbits(width)) for name, width in inputs})


class _Array:
    """Cycles of an array. Ports without valid data have junk on them, but for settings, which are legal in a start."""

    def __init__(self, spec: ArraySpec, inputs: Ports, random: Random) -> None:
        self._spec, self._inputs, self._random = spec, inputs, random
        self._rng = np.random.default_rng(random.getrandbits(32))
        self._words: list[int] = []
        self.known: set[int] = set()
        self._quiet = _nothing_enters(inputs)

    def words(self) -> list[int]:
        self._add(2, rst=1)
        self._add(1)
        for turn in range(_TURNS):
            if self._spec.requant is not None:
                self._load_requantisers(self._spec.requant)
            run = self._load()
            self._run(run, turn)
            self._read(run)
            if turn == 0:
                self._add(1, start=1, **{port.name: 0 for port in self._spec.settings})  # no size may be 0
                self._add(REFUSAL_CYCLES + 2)
            if turn == 1:
                self._start(run, {})
                self._add(self._spec.cycles(run) // 2)
                self._add(1, rst=1)
                self._add(2)
        return self._words

    def _add(self, count: int, **known: int) -> None:
        self._words += [_joined(self._inputs, self._random, **{**self._quiet, **known}) for _ in range(count)]

    def _load_requantisers(self, unit: LoadableSpec) -> None:
        for column in range(self._spec.columns):
            for group in range(unit.groups):
                numbers = [self._random.randint(item.low, item.high) for item in unit.parameter_fields]
                if isinstance(unit, ThresholdSpec):
                    numbers = sorted(self._random.randint(-40, 40) for _ in numbers)
                self._add(1, load_requant=1 << column, load_group=group,
                          load_parameters=unit.pack_parameters(numbers))  # fmt: skip

    def _load(self) -> Run:
        """Operands of two tiles a way, and the run that multiplies them."""
        spec = self._spec
        mac, precision = spec.mac, spec.mac.precisions[-1]
        m, n, k = 2 * spec.rows - 1, 2 * spec.columns - 1, 2 * mac.products_per_step(precision) + 1
        activations, weights = random_codes(mac, precision, (m, k, n), self._rng)
        run = spec.run(m, k, n, precision)
        words: list[dict[str, int]] = [{} for _ in range(spec.load_cycles(run))]
        for loads in load_words(spec, run, weights, activations, precision).values():
            for place, load in enumerate(loads):
                words[place] |= load
        for each in words:
            self._add(1, **each)
        return run

    def _start(self, run: Run, more: Mapping[str, int]) -> None:
        plain = {port.name: 0 for port in self._spec.settings}
        self._add(1, start=1, **{**plain, **asdict(run), **more})

    def _run(self, run: Run, turn: int) -> None:
        spec = self._spec
        if spec.requant is not None and turn % 2 == 0:
            more = {"requantise": 1, "group": 0, "group_step": int(spec.requant.groups > 1)}
        else:
            more = {"shift": 1, "negate": 1, "accumulate": turn % 2} if turn else {}
        self._start(run, more)
        for _ in range(2 * spec.cycles(run, changed=bool(more)) + 8):  # with room for holds
            self._add(1, hold=int(turn == 2 and self._random.random() < 0.2))

    def _read(self, run: Run) -> None:
        for address in range(run.tiles * self._spec.drain_rows):
            self._add(1, result_address=address)
            self.known.add(len(self._words))  # the result is there a cycle later
        self._add(2)
