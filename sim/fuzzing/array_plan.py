"""The cycles of a case of an array, and what must be seen in them.

Actions, by kind, with their numbers; any may come at any time, also while a run goes on:

- "operands": a slot from 0 to 3, M, K, N, the bases of weights, activations and control table, then weights [N, K] and
  activations [M, K], one row after the other. Loads them at a precision, the last words in the next action's cycle.
- "set": a bit for each column, the set, and its parameters. Loads it into the requantisers of those columns.
- "run": a slot, ``result_base``, ``shift``, ``negate``, ``accumulate``, ``halve``, ``requantise``, ``group`` and
  ``group_step``. Starts the run of the operands of that slot.
- "start": any settings, in the order of the ports; those that are missing are 0.
- "pace": in how many of 16 cycles from here on ``hold`` is 1, ``start`` is 1 while the array is busy, and no word is
  loaded where one could be.
- "wait": until no run goes on. "idle", "reset": so many cycles. "read": first word, and how many.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rtl.array import ArraySpec, Run, load_words
from rtl.spec import IntArray, Precision
from siliquant.inputs import InputError, at, counted

from .array_model import ArrayModel, Control, Loads, Operand
from .cases import Action, Case
from .wanted import Want

__all__ = ["MOST_CYCLES", "SLOTS", "ArrayPlan", "array_plan"]

MOST_CYCLES = 1 << 14
SLOTS = 4
RUN = ("result_base", "shift", "negate", "accumulate", "halve", "requantise", "group", "group_step")
_QUIET = ("rst", "load_weights", "load_activations", "load_control", "load_requant", "start", "hold")


@dataclass(frozen=True)
class ArrayPlan:
    """cycles: the words of all input ports. wanted: what must be seen in each. checked: how many results of the result
    memory are. refused: causes of refused runs. wrong: a run that takes other cycles than its spec predicts.
    """

    cycles: tuple[Mapping[str, int], ...]
    wanted: tuple[tuple[Want, ...], ...]
    checked: int
    refused: tuple[int, ...]
    wrong: str | None


def array_plan(case: Case) -> ArrayPlan:
    """The cycles of a case. Raises ValueError for actions that the array does not take."""
    spec = case.spec
    assert isinstance(spec, ArraySpec)
    writer = _ArrayWriter(spec, case)
    writer.reset(2)
    for place, action in enumerate(case.actions):
        with at(f"action {place}"):
            writer.act(action)
    writer.finish()
    model = writer.model
    wanted = ((), *writer.wanted[1:])  # before the first clock edge nothing is known
    return ArrayPlan(tuple(writer.cycles), wanted, model.checked, tuple(model.refused), model.wrong)


class _ArrayWriter:
    """Cycles as they are written. Ports without valid data have junk on them."""

    def __init__(self, spec: ArraySpec, case: Case) -> None:
        self.cycles: list[Mapping[str, int]] = []
        self.wanted: list[tuple[Want, ...]] = []
        self.model = ArrayModel(spec, asynchronous=case.reset.edge != "")
        self._spec = spec
        self._inputs = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
        self._junk = random.Random(case.junk)
        self._pace = (0, 0, 0)
        self._slots: dict[int, Run] = {}
        self._pending: tuple[dict[str, int], Loads] = ({}, {})

    def drive(self, given: Mapping[str, int], loads: Loads = MappingProxyType({})) -> None:
        """One more cycle. Raises InputError for too many."""
        if len(self.cycles) == MOST_CYCLES:
            raise InputError(f"a case of an array must have at most {MOST_CYCLES:,} cycles")
        junk = {name: self._junk.getrandbits(width) for name, width in self._inputs}
        quiet = {name: 0 for name in _QUIET if name in junk}
        hold, stray, _ = self._pace
        quiet["hold"] = int(self._chance(hold))
        quiet["start"] = int(self.model.busy and self._chance(stray))
        more, pending = self._pending
        self._pending = {}, {}
        words = {**junk, **quiet, **more, **given}
        self.wanted.append(tuple(self.model.wants(reset=bool(words["rst"]))))
        self.model.clock(words, {**pending, **loads})
        self.cycles.append(words)

    def finish(self) -> None:
        """The last words, the last run, and all results."""
        self._pace = (0, 0, 0)
        self.drive({})
        self._wait()
        self._read(0, self._spec.result_depth)

    def reset(self, cycles: int) -> None:
        """Starts and parameter sets of these cycles have no effect."""
        if self._pending[0]:
            self.drive({})
        for _ in range(cycles):
            more = {name: self._junk.getrandbits(1) for name in ("start", "hold")}
            if self._spec.requant is not None:
                more["load_requant"] = self._junk.getrandbits(self._spec.columns)
            self.drive({"rst": 1, **more})

    def act(self, action: Action) -> None:
        """One action."""
        numbers = action.numbers
        match action.kind:
            case "operands":
                self._operands(action)
            case "set":
                self._set(numbers)
            case "run" if 1 <= len(numbers) <= 1 + len(RUN) and numbers[0] in self._slots:
                self._start({**dict(zip(RUN, numbers[1:], strict=False))}, self._slots[numbers[0]])
            case "start" if len(numbers) <= len(self._spec.settings):
                self._start({port.name: number for port, number in zip(self._spec.settings, numbers, strict=False)})
            case "pace" if len(numbers) == 3 and all(0 <= number <= 16 for number in numbers):
                self._pace = numbers[0], numbers[1], numbers[2]
            case "wait" if not numbers:
                self._wait()
            case "idle" | "reset" if len(numbers) == 1 and 0 <= numbers[0] <= MOST_CYCLES:
                if action.kind == "reset":
                    self.reset(numbers[0])
                else:
                    for _ in range(numbers[0]):
                        self.drive({})
            case "read" if len(numbers) == 2 and min(numbers) >= 0 and sum(numbers) <= self._spec.result_depth:
                self._read(*numbers)
            case _:
                raise InputError(
                    f"an action must be of an array, not {action.kind!r} with {counted(len(numbers), 'number')}"
                )

    def _chance(self, sixteenths: int) -> bool:
        return self._junk.randrange(16) < sixteenths

    def _wait(self) -> None:
        while self.model.busy:
            self.drive({})

    def _read(self, first: int, count: int) -> None:
        for address in range(first, first + count):
            self.drive({"result_address": address})
        self.drive({})

    def _start(self, settings: Mapping[str, int], run: Run | None = None) -> None:
        known = {port.name: port.width for port in self._spec.settings}
        given = {**dict.fromkeys(known, 0), **({} if run is None else vars(run))}
        for name, value in settings.items():
            if name not in known and value:
                raise InputError(f"{name} must be 0 for an array without requantisers, not {value}")
            if name in known:
                if not 0 <= value < 1 << known[name]:
                    raise InputError(f"{name} must be from 0 to {(1 << known[name]) - 1}, not {value}")
                given[name] = value
        self.drive({"start": 1, **given})

    def _set(self, numbers: tuple[int, ...]) -> None:
        spec, requant = self._spec, self._spec.requant
        if requant is None or len(numbers) < 3:
            raise InputError("a set must have columns, its number and parameters, on an array with requantisers")
        mask, group, *parameters = numbers
        if not 0 <= mask < 1 << spec.columns or not 0 <= group < requant.groups:
            raise InputError(f"a set must be of {spec.columns} columns and {requant.groups} sets, not {mask}, {group}")
        words = {"load_requant": mask, "load_group": group, "load_parameters": requant.pack_parameters(parameters)}
        columns = tuple(column for column in range(spec.columns) if mask >> column & 1)
        self.drive(words, {"requant": (columns, group, tuple(parameters))})

    def _operands(self, action: Action) -> None:
        """Loads operands and the control table, a word of each a cycle; the last are left for the next cycle."""
        slot, run, weights, activations, precision = self._product(action)
        self._slots[slot] = run
        spec = self._spec
        meant: dict[str, Sequence[Operand | Control]] = {
            "weights": _operands_of(spec, run, weights, precision, spec.columns, run.weight_planes, run.column_tiles),
            "activations": _operands_of(
                spec, run, activations, precision, spec.rows, run.activation_planes, run.row_tiles
            ),
            "control": _controls_of(spec, weights.shape[1], precision),
        }
        queues = [
            _queue(name, words, meant[name])
            for name, words in load_words(spec, run, weights, activations, precision).items()
        ]
        while any(queues):
            words: dict[str, int] = {}
            loads: dict[str, Any] = {}
            for queue in queues:
                if queue and not self._chance(self._pace[2]):
                    more, load = queue.pop(0)
                    words |= more
                    loads |= load
            if any(queues):
                self.drive(words, loads)
            else:
                self._pending = words, loads

    def _product(self, action: Action) -> tuple[int, Run, IntArray, IntArray, Precision]:
        precision = next((each for each in self._spec.mac.precisions if str(each) == action.precision), None)
        if precision is None:
            raise InputError(f"precision must be one of {self._spec.mac.name}, not {action.precision!r}")
        if len(action.numbers) < 7:
            raise InputError(
                f"operands must have 7 numbers and then their codes, not {counted(len(action.numbers), 'number')}"
            )
        slot, m, k, n, *bases = action.numbers[:7]
        codes = action.numbers[7:]
        if not 0 <= slot < SLOTS or min(m, k, n, *bases) < 0 or len(codes) != k * (m + n):
            raise InputError(f"operands must have a slot, sizes and {counted(k * (m + n), 'code')}, not {len(codes)}")
        wrong = next((code for code in codes if not -128 <= code <= 255), None)
        if wrong is not None:  # numpy would take some that are larger for others
            raise InputError(f"codes must be from -128 to 255, not {wrong}")
        weight_base, activation_base, control_base = bases
        run = self._spec.run(
            m, k, n, precision, weight_base=weight_base, activation_base=activation_base, control_base=control_base
        )
        weights, activations = np.array(codes[: n * k]).reshape(n, k), np.array(codes[n * k :]).reshape(m, k)
        return slot, run, weights.astype(np.int64), activations.astype(np.int64), precision


def _queue(
    name: str, loads: Sequence[dict[str, int]], meant: Sequence[Operand | Control]
) -> list[tuple[dict[str, int], dict[str, Any]]]:
    """Each word of a memory: what the ports carry, and where it goes and what it is."""
    address = f"{name.removesuffix('s')}_address"
    return [(words, {name: (words[address], each)}) for words, each in zip(loads, meant, strict=True)]


def _operands_of(
    spec: ArraySpec, run: Run, codes: IntArray, precision: Precision, places: int, planes: int, tiles: int
) -> list[Operand]:
    """What the words of an image are, in their order."""
    lanes = spec.mac.products_per_step(precision)
    found = []
    for tile in range(tiles):
        for step in range(run.steps):
            part = codes[tile * places : (tile + 1) * places, step * lanes : (step + 1) * lanes]
            found += [Operand(precision, part, plane) for plane in range(planes)]
    return found


def _controls_of(spec: ArraySpec, k: int, precision: Precision) -> list[Control]:
    """What the words of a control table are, in their order."""
    lanes, cycles = spec.mac.products_per_step(precision), range(spec.mac.cycles_per_step(precision))
    return [Control(precision, used, cycle) for used in (lanes, (k - 1) % lanes + 1) for cycle in cycles]
