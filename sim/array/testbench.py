"""The testbench of one array: loads its memories, starts runs, counts their cycles, reads and checks results."""

from __future__ import annotations

import random
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.simtime import get_sim_time
from cocotb.triggers import FallingEdge, SimTimeoutError, with_timeout

from rtl.array import (
    CHANGES,
    REFUSAL_CYCLES,
    ArraySpec,
    Refusal,
    Run,
    load_words,
    result_matrix,
)
from sim.bench import Layout, MismatchError

from .cases import IntArray, Settings, Step
from .trace import TraceWriter

__all__ = ["ArrayTestbench", "check_results", "rows_of"]

_LOADS = {
    f"load_{name}": (f"{single}_address", f"{single}_data")
    for name, single in (("weights", "weight"), ("activations", "activation"), ("control", "control"))
} | {"load_requant": ("load_group", "load_parameters")}
"""Ports that count only where the first is 1."""
_NO_LOAD = {"load_weights": 0, "load_activations": 0, "load_control": 0}
_PERIOD = 2  # simulation steps of a clock cycle


class ArrayTestbench:
    """One array of the bench. Inputs change at falling edges of its clock, where outputs are sampled, too. All of it
    goes to ``trace``, too, where one is kept.
    """

    def __init__(self, bench: Any, index: int, spec: ArraySpec, trace: TraceWriter | None = None) -> None:
        self.spec = spec
        self._layout = Layout.of(spec)
        self._clk, self._busy = getattr(bench, f"clk_{index}"), getattr(bench, f"busy_{index}")
        self._drive, self._response = getattr(bench, f"drive_{index}"), getattr(bench, f"response_{index}")
        self._inputs: dict[str, int] = {}
        self._chance = random.Random(spec.name)
        self._result_base = 0
        self._idle = {} if spec.requant is None else {"load_requant": 0}
        self._changed = False  # whether the run that goes on changes its sums
        self._trace = trace
        self._opened: int | None = None
        if trace is not None:
            trace.begin()
        self._put({"rst": 1})

    async def open(self) -> None:
        """Runs the clock until the end of the test, and resets."""
        self._opened = int(get_sim_time("step"))
        Clock(self._clk, _PERIOD, unit="step", impl="gpi").start()
        await self.reset()

    async def cycle(self, **inputs: int) -> None:
        """Changes inputs, all others stay as they were, and waits for the next falling edge."""
        self._inputs |= inputs
        self._put(self._inputs)
        await FallingEdge(self._clk)

    def _put(self, inputs: Mapping[str, int]) -> None:
        word = self._layout.word({**inputs, **self._junk(inputs)})
        self._drive.value = word
        if self._trace is not None:
            self._trace.drives(self._edge(), word)

    def _junk(self, inputs: Mapping[str, int]) -> dict[str, int]:
        """Anything on the ports of what is not loaded."""
        chance = self._chance
        return {
            port.name: chance.getrandbits(port.width)
            for port in self.spec.ports
            for load, names in _LOADS.items()
            if port.name in names and not inputs.get(load)
        }

    def _edge(self) -> int:
        """Falling edges since the clock runs."""
        return 0 if self._opened is None else (int(get_sim_time("step")) - self._opened + 1) // _PERIOD

    def _looked(self, edge: int, low: int, bits: str) -> str:
        """Notes that the test fails where these bits of the response, from ``low`` on, are others; returns them."""
        if self._trace is None:
            return bits
        return self._trace.sees(edge, low, bits)

    async def reset(self, cycles: int = 2) -> None:
        """Holds rst; nothing goes on afterwards, and no results are there."""
        self._inputs = {}
        for _ in range(cycles):
            await self.cycle(rst=1)
        self.expect("busy", 0, "in reset")
        self.expect("error", 0, "in reset")
        self.expect("written", 0, "in reset")
        await self.cycle(rst=0)

    def sample(self, name: str) -> int:
        """The word of an output port, of which every bit is checked then. Raises MismatchError where a bit of it is
        unknown.
        """
        return int(self._looked(self._edge(), self._low(name), self._known(name)), 2)

    def glance(self, name: str) -> int:
        """The same, where a test may pass whatever the word is."""
        return int(self._known(name), 2)

    def _known(self, name: str) -> str:
        bits = self._bits(name)
        if set(bits) - {"0", "1"}:
            raise MismatchError(f"{self.spec.name}: expected {name} to be known, not {bits}")
        return bits

    def result_word(self, address: int, run: Run, shape: tuple[int, int]) -> int:
        """The result word ``address`` of a run, which is on the port, with zeros where it has no row. Checked are then
        the results [M, N], which is less than all of the last tiles. Raises MismatchError where a bit of a row is
        unknown.
        """
        spec, (m, n) = self.spec, shape
        column_tile, row_tile = divmod(address // spec.drain_rows, run.row_tiles)
        columns = range(max(0, n - column_tile * spec.columns))
        word = 0
        for drain, row in _rows_of_word(spec, address).items():
            checked = columns if row_tile * spec.rows + row < m else ()
            word += self._part(drain, f"result word {address}", row, checked)
        return word

    def _part(self, drain: int, of: str, row: int, columns: Container[int] | None = None) -> int:
        """What a drain has in the result word on the port, in its place, of an element's ``row``. columns: those that
        are checked then; None: all.
        """
        bits, spec, word = self._bits("result_data"), self.spec, 0
        for column in range(spec.columns):
            place = drain * spec.columns + column
            result = bits[len(bits) - (place + 1) * spec.result_width :][: spec.result_width]
            if set(result) - {"0", "1"}:
                raise MismatchError(f"{spec.name}: {of} (element {row}, {column}): expected bits, not {result}")
            if columns is None or column in columns:
                low = self._low("result_data") + place * spec.result_width
                result = self._looked(self._edge(), low, result)
            word |= int(result, 2) << place * spec.result_width
        return word

    async def read_parts(
        self, rows: Mapping[tuple[int, int], int], columns: Container[int] | None = None
    ) -> dict[tuple[int, int], int]:
        """What the result memory holds, by address and drain, for the rows that these belong to. columns: those that
        are checked then; None: all.
        """
        found = {}
        for (address, drain), row in rows.items():
            await self.cycle(result_address=address)
            found[address, drain] = self._part(drain, f"address {address} of the result memory", row, columns)
        return found

    def _bits(self, name: str) -> str:
        bits = str(self._response.value)
        ((low, width),) = ((low, width) for port, low, width in self._layout.outputs if port == name)
        return bits[len(bits) - low - width : len(bits) - low]

    def _low(self, name: str) -> int:
        ((low, _),) = ((low, width) for port, low, width in self._layout.outputs if port == name)
        return low

    def expect(self, name: str, value: int, when: str) -> None:
        """Raises MismatchError where the output port is not ``value``."""
        actual = self.sample(name)
        if actual != value:
            raise MismatchError(f"{self.spec.name}: {when}: expected {name} {value}, not {actual}")

    def place(self, step: Step) -> Run:
        """The run that multiplies the operands of a step, its words anywhere in the memories, often at an end.

        One that accumulates has its results where those of the run before are.
        """
        spec = self.spec
        (m, k), n = step.activations.shape, len(step.weights)
        run = spec.run(m, k, n, step.precision)
        if not step.settings.accumulate:
            self._result_base = self._base(spec.result_depth - run.tiles * spec.drain_rows)
        cycles = run.weight_planes * run.activation_planes
        return replace(
            run,
            weight_base=self._base(spec.weight_depth - run.weight_words),
            activation_base=self._base(spec.activation_depth - run.activation_words),
            control_base=self._base(spec.control_depth - spec.control_cycles - cycles),
            result_base=self._result_base,
        )

    def _base(self, most: int) -> int:
        return self._chance.choice((0, most, self._chance.randint(0, most)))

    def load_words(self, step: Step, run: Run) -> list[dict[str, int]]:
        """The inputs of each cycle that write operands and control table of a run, side by side."""
        words = [dict(_NO_LOAD) for _ in range(self.spec.load_cycles(run))]
        for loads in load_words(self.spec, run, step.weights, step.activations, step.precision).values():
            for place, load in enumerate(loads):
                words[place] |= load
        return words

    def parameter_words(self, parameters: IntArray) -> list[dict[str, int]]:
        """The inputs of each cycle that write parameter sets [columns, groups, fields] to the requantisers, in any
        order; columns with equal sets of a group share a cycle.
        """
        spec, words = self.spec, []
        assert spec.requant is not None
        for group in range(spec.requant.groups):
            masks: dict[int, int] = {}
            for column in range(spec.columns):
                word = spec.requant.pack_parameters(parameters[column, group])
                masks[word] = masks.get(word, 0) | 1 << column
            words += [{"load_requant": m, "load_group": group, "load_parameters": w} for w, m in masks.items()]
        self._chance.shuffle(words)
        return words

    async def load_parameters(self, parameters: IntArray) -> None:
        """Writes parameter sets [columns, groups, fields] of the requantisers."""
        for inputs in self.parameter_words(parameters):
            await self.cycle(**inputs)
        self._inputs |= self._idle

    async def load(self, step: Step) -> Run:
        """Writes operands and control table anywhere, and returns the run that multiplies them."""
        run = self.place(step)
        for inputs in self.load_words(step, run):
            await self.cycle(**inputs)
        self._inputs |= _NO_LOAD
        return run

    async def start(self, run: Run, settings: Settings, load: Mapping[str, int] = MappingProxyType(_NO_LOAD)) -> None:
        """Starts a run, beside the last cycle of a ``load``; on return its first cycle is half over."""
        self._inputs |= load
        await self.begin(asdict(run) | settings.ports(self.spec))

    async def begin(self, settings: Mapping[str, int]) -> None:
        """Starts a run with settings by port, which then change at random; on return its first cycle is half over."""
        await self.cycle(start=1, hold=0, **settings)
        self._changed = any(settings.get(name) for name in CHANGES)
        self._inputs |= {port.name: self._chance.getrandbits(port.width) for port in self.spec.settings}
        self._inputs |= {"start": 0, **_NO_LOAD}
        self._put(self._inputs)
        for name, value in (("busy", 1), ("error", 0), ("written", 0)):
            self.expect(name, value, "after start")

    async def refused(self, settings: Mapping[str, int], cause: Refusal) -> None:
        """Starts a run that must be refused for that cause."""
        await self.begin(settings)
        for cycle in range(REFUSAL_CYCLES):
            self.expect("busy", 1, f"{cycle} cycles after the start of {settings}")
            await self.cycle()
        for name, value in (("busy", 0), ("error", cause), ("written", 0)):
            self.expect(name, value, f"after the start of {settings}")

    @staticmethod
    def now() -> int:
        """Cycles since the begin of the simulation."""
        return int(get_sim_time("step")) // _PERIOD

    async def wait(self, run: Run) -> None:
        """Waits until a run ends, without a look in between. Raises MismatchError unless that takes its cycles."""
        since, cycles, first = get_sim_time("step") - _PERIOD // 2, self._cycles(run), self._edge()
        try:
            await with_timeout(FallingEdge(self._busy), (2 * cycles + 100) * _PERIOD, "step")
        except SimTimeoutError:
            raise MismatchError(
                f"{self.spec.name}: {run}: expected busy for {cycles} cycles, it is 1 after {2 * cycles + 100}"
            ) from None
        self._check_cycles(run, int(get_sim_time("step") - since) // _PERIOD, cycles)
        await FallingEdge(self._clk)
        for edge in range(first + 1, self._edge()):
            if self._trace is not None:
                self._trace.waits(edge, self._low("busy"))
        for name in ("busy", "error"):
            self.expect(name, 0, f"{run}")

    async def wait_watching(
        self,
        run: Run,
        *,
        hold: float = 0.0,
        start: bool = False,
        read: tuple[int, int] | None = None,
        seed: int = 0,
        beside: Iterator[Mapping[str, int]] | None = None,
    ) -> dict[int, int]:
        """As :meth:`wait`, cycle by cycle: ``hold`` is high in that share of the cycles, at random; ``start`` is, too,
        where it is given, and has no effect; where ``read`` has the results [M, N], every result word is read as soon
        as ``written`` says that it is there; ``beside`` are inputs of each cycle that load requantisers, taken as long
        as the run goes on. Returns the words by address.
        """
        chance = random.Random(f"{self.spec.name} {seed}")
        holds: list[int] = []
        words: dict[int, int] = {}
        asked: int | None = None
        while self.sample("busy"):
            if len(holds) > 100 + 20 * self._cycles(run):
                raise MismatchError(
                    f"{self.spec.name}: {run}: expected busy to fall, it is 1 after {len(holds)} cycles"
                )
            holds.append(int(chance.random() < hold))
            inputs = {"hold": holds[-1], "start": int(start and chance.random() < 0.5)}
            inputs |= self._idle if beside is None else next(beside, self._idle)
            if read is not None and len(words) < self.glance("written"):
                asked = len(words)
                inputs["result_address"] = run.result_base + asked
            await self.cycle(**inputs)
            if read is not None and asked is not None:
                words[asked] = self.result_word(asked, run, read)
                asked = None
        self._inputs |= {"hold": 0, "start": 0, **self._idle}
        drain = self.spec.drain_cycles(changed=self._changed)
        waited = _last_cycle(run, drain, holds) - _last_cycle(run, drain, [])
        self._check_cycles(run, len(holds), self._cycles(run) + waited)
        return words

    def _cycles(self, run: Run) -> int:
        return self.spec.cycles(run, changed=self._changed)

    def _check_cycles(self, run: Run, cycles: int, expected: int) -> None:
        if cycles != expected:
            raise MismatchError(f"{self.spec.name}: {run}: expected busy for {expected} cycles, not {cycles}")

    async def read(self, run: Run, shape: tuple[int, int], known: dict[int, int] | None = None) -> IntArray:
        """The results [M, N] of the last run, which has ended; words that are ``known`` are not read again."""
        self.expect("written", run.tiles * self.spec.drain_rows, f"{run}")
        return await self.read_again(run, shape, known)

    async def read_again(self, run: Run, shape: tuple[int, int], known: dict[int, int] | None = None) -> IntArray:
        """The results [M, N] of any run that has ended."""
        spec, count = self.spec, run.tiles * self.spec.drain_rows
        words = dict(known or {})
        for address in range(count):
            if address not in words:
                await self.cycle(result_address=run.result_base + address)
                words[address] = self.result_word(address, run, shape)
        pieces = -(-spec.drains * spec.columns * spec.result_width // 32)
        data = b"".join(words[address].to_bytes(4 * pieces, "little") for address in range(count))
        return result_matrix(spec, run, np.frombuffer(data, "<u4").reshape(count, pieces), *shape)

    async def multiply(self, step: Step) -> IntArray:
        """Loads, runs, and reads the results [M, N]."""
        run = await self.load(step)
        await self.start(run, step.settings)
        await self.wait(run)
        return await self.read(run, (len(step.activations), len(step.weights)))


def _last_cycle(run: Run, drain: int, holds: Sequence[int]) -> int:
    """The cycle of a run in which the last operands are read, where a tile drains in ``drain`` cycles and ``holds``
    says in which cycles none may be.
    """
    cycle, drained = -1, 0
    for _ in range(run.tiles):
        for place in range(run.cycles_per_tile):
            cycle += 1
            while (cycle < len(holds) and holds[cycle]) or (place == run.cycles_per_tile - 1 and cycle < drained):
                cycle += 1
        drained = cycle + drain
    return cycle


def rows_of(spec: ArraySpec, run: Run) -> dict[tuple[int, int], int]:
    """The row of elements whose results a run writes, by address in the result memory and drain."""
    return {
        (run.result_base + word, drain): row
        for word in range(run.tiles * spec.drain_rows)
        for drain, row in _rows_of_word(spec, word).items()
    }


def _rows_of_word(spec: ArraySpec, word: int) -> dict[int, int]:
    """By drain, the row of elements in a result word of a run; the last drain may have none."""
    rows = {drain: spec.rows - 1 - drain * spec.drain_rows - word % spec.drain_rows for drain in range(spec.drains)}
    return {drain: row for drain, row in rows.items() if row >= 0}


def check_results(spec: ArraySpec, label: str, expected: IntArray, actual: IntArray) -> None:
    """Raises MismatchError at the first of the results [M, N] that differs, naming its place and its element."""
    wrong = np.argwhere(expected != actual)
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        raise MismatchError(
            f"{spec.name}: {label}: row {row}, column {column} (element {row % spec.rows}, {column % spec.columns}): "
            f"expected {expected[row, column]}, not {actual[row, column]}; "
            f"{len(wrong)} of {expected.size} results differ"
        )
