"""What an array shows in every cycle, as its documentation says it: written apart from the hardware.

Memories hold what was loaded as codes, not as bits. What the documentation does not promise is unknown, and unknown is
what is made of it: a word that was never loaded, or that a load and a run touch at once; the sums of steps that do not
belong together; the words of a run that a reset ended. So anything may be done to an array, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from rtl.array import CHANGES, REFUSAL_CYCLES, ArraySpec, Run
from rtl.spec import IntArray, Precision

from .wanted import Want

__all__ = ["ArrayModel", "Control", "Loads", "Operand"]

_Place = tuple[int, int]  # result word, drain
Row = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Operand:
    """A plane of the codes of one step: ``codes`` [places, used] are the same object for all of its planes. Of rows or
    columns beyond those places nothing is known.
    """

    precision: Precision
    codes: IntArray
    plane: int


@dataclass(frozen=True)
class Control:
    """The word of a control table for a cycle of a step of ``used`` products."""

    precision: Precision
    used: int
    cycle: int


Loads: TypeAlias = Mapping[str, Any]
"""What is loaded in a cycle: an address and its Operand under "weights" and "activations", an address and its Control
under "control"; columns, set and parameters under "requant"."""


@dataclass
class _Tile:
    """One tile of a run. words: read so far, of weights, activations and control. sums: [rows, columns] that are
    known, None where none is. due: the cycle in which its first row is written, once its last operands are read.
    """

    row: int
    column: int
    words: list[tuple[Operand | None, Operand | None, Control | None]] = field(default_factory=list)
    known: bool = True
    sums: IntArray | None = None
    due: int = 0
    unset: set[int] = field(default_factory=set)  # columns whose parameters changed meanwhile


@dataclass
class _Run:
    """A run that goes on. first: its first cycle."""

    settings: Mapping[str, int]
    first: int
    held: bool = False
    issued: int = 0
    since: int = 0
    tiles: list[_Tile] = field(default_factory=list)
    last: int | None = None
    complete: int = 0


class ArrayModel:
    """Cycle by cycle: :meth:`wants` says what the outputs are, then :meth:`clock` takes the inputs of that cycle.

    asynchronous: whether a reset acts in its own cycle. checked: how many results of the result memory are wanted so
    far. refused: causes of the runs that were. wrong: the first run that takes other cycles here than its spec says.
    """

    def __init__(self, spec: ArraySpec, *, asynchronous: bool) -> None:
        self.spec = spec
        self.checked = 0
        self.refused: list[int] = []
        self.wrong: str | None = None
        self._asynchronous = asynchronous
        self._cycle = -1
        self._weights: dict[int, Operand] = {}
        self._activations: dict[int, Operand] = {}
        self._control: dict[int, Control] = {}
        self._sets: dict[_Place, tuple[int, ...]] = {}
        self._results: dict[_Place, Row] = {}
        self._run: _Run | None = None
        self._refusal: tuple[int, int] | None = None  # its last busy cycle, and the cause
        self._accumulates = False
        self._error = self._written = 0
        self._asked: int | None = None
        self._recent: list[tuple[int, str, int, _Tile]] = []  # reads: cycle, memory, address, whose they are
        self._loaded: dict[str, int] = {}  # in this cycle: memory, address

    @property
    def busy(self) -> bool:
        """Whether a run goes on in the cycle that comes."""
        return self._run is not None or self._refusal is not None

    def wants(self, *, reset: bool) -> Iterator[Want]:
        """What must be seen in the cycle that comes; ``reset``: whether it is one of a reset."""
        cleared = reset and self._asynchronous
        yield Want("busy", 0 if cleared else int(self.busy))
        yield Want("error", 0 if cleared else self._error)
        yield Want("written", 0 if cleared else self._written)
        if self._asked is None or reset:
            return
        spec, width = self.spec, self.spec.result_width
        for drain in range(spec.drains):
            for column, value in enumerate(self._results.get((self._asked, drain), ())):
                if value is not None:
                    self.checked += 1
                    label = f"result word {self._asked}, drain {drain}, column {column}"
                    yield Want("result_data", value, (drain * spec.columns + column) * width, width, label)

    def clock(self, words: Mapping[str, int], loads: Loads) -> None:
        """The clock edge behind a cycle with these words on the input ports, and what they load."""
        self._cycle += 1
        now, reset = self._cycle, bool(words["rst"])
        readable = not reset and not (self.busy and self._accumulates)
        self._asked = words["result_address"] if readable else None
        if self._asked is not None and self._pending(self._asked):
            self._asked = None
        self._load(loads, now, reset=reset)
        if reset:
            if self._run is not None:
                self._forget(self._run)
            self._run, self._refusal, self._error, self._written = None, None, 0, 0
            return
        run = self._run
        if run is not None:
            self._issue(run, now, hold=bool(words["hold"]))
            self._drain(run, now)
        elif self._refusal is not None:
            if now == self._refusal[0]:
                self._error, self._refusal = self._refusal[1], None
        elif words["start"]:
            self._start(words, now)

    # Memories.

    def _load(self, loads: Loads, now: int, *, reset: bool) -> None:
        places = {"weights": self.spec.columns, "activations": self.spec.rows, "control": 1}
        lag = {name: count - 1 if self.spec.systolic and name != "control" else 0 for name, count in places.items()}
        self._recent = [each for each in self._recent if each[0] >= now - max(lag.values())]
        self._loaded = {}
        for name in loads.keys() & places.keys():
            address, word = loads[name]
            getattr(self, f"_{name}")[address] = word
            for read, memory, place, tile in self._recent:
                if memory == name and place == address and read >= now - lag[name]:
                    tile.known = False  # some banks are read later
            self._loaded[name] = address
        if "requant" in loads and not reset:
            columns, group, numbers = loads["requant"]
            for column in columns:
                self._sets[column, group] = numbers
                self._spoil(column, group)

    def _spoil(self, column: int, group: int) -> None:
        """A set changes while sums may be on their way to it."""
        run = self._run
        for tile in run.tiles if run is not None else ():
            if tile.due and self._group(run, tile) == group:  # type: ignore[arg-type]
                tile.unset.add(column)

    def _pending(self, address: int) -> bool:
        """Whether the run that goes on writes this word and has not said that it can be read."""
        run = self._run
        if run is None:
            return False
        first = run.settings["result_base"]
        count = run.settings["row_tiles"] * run.settings["column_tiles"] * self.spec.drain_rows
        return first + self._written <= address < first + count

    def _forget(self, run: _Run) -> None:
        """Of the words that a run has not written nobody knows whether it wrote a part."""
        first = run.settings["result_base"]
        count = run.settings["row_tiles"] * run.settings["column_tiles"] * self.spec.drain_rows
        for address in range(first + self._written, first + count):
            for drain in range(self.spec.drains):
                self._results.pop((address, drain), None)

    # A run.

    def _start(self, words: Mapping[str, int], now: int) -> None:
        settings = {port.name: words[port.name] for port in self.spec.settings}
        cause = self.spec.check_run(settings)
        self._error = self._written = 0
        self._accumulates = bool(settings["accumulate"])
        if cause:
            self._refusal = now + REFUSAL_CYCLES, cause
            self.refused.append(int(cause))
        else:
            self._run = _Run(settings, now + 1, since=self.spec.rows)

    def _changed(self, run: _Run) -> bool:
        return any(run.settings.get(name) for name in CHANGES)

    def _issue(self, run: _Run, now: int, *, hold: bool) -> None:
        """Reads the operands of one cycle, unless they must wait; ``since`` counts from the last of a tile."""
        given, spec = run.settings, self.spec
        planes = given["weight_planes"] * given["activation_planes"]
        tile_cycles = given["steps"] * planes
        number, place = divmod(run.issued, tile_cycles)
        drain = spec.drain_cycles(changed=self._changed(run))
        last = place == tile_cycles - 1
        if run.last is not None or hold or (last and run.since < drain):
            run.held = run.held or (hold and run.last is None)
            run.since += 1
            return
        column, row = divmod(number, given["row_tiles"])
        step, cycle = divmod(place, planes)
        weight_plane, activation_plane = divmod(cycle, given["activation_planes"])
        if place == 0:
            run.tiles.append(_Tile(row, column))
        tile = run.tiles[-1]
        addresses = {
            "weights": given["weight_base"] + (column * given["steps"] + step) * given["weight_planes"] + weight_plane,
            "activations": given["activation_base"]
            + (row * given["steps"] + step) * given["activation_planes"]
            + activation_plane,
            "control": given["control_base"] + cycle + (spec.control_cycles if step == given["steps"] - 1 else 0),
        }
        tile.words.append(
            (
                self._weights.get(addresses["weights"]),
                self._activations.get(addresses["activations"]),
                self._control.get(addresses["control"]),
            )
        )
        for name, address in addresses.items():
            self._recent.append((now, name, address, tile))
            if self._loaded.get(name) == address:
                tile.known = False
        run.issued += 1
        run.since = 1 if last else run.since + 1
        if last:
            skew = spec.rows + spec.columns - 2 if spec.systolic else 0
            tile.due = now + spec.mac.latency + skew + (spec.requant.latency if spec.requant else 0) + 2
            if number == given["row_tiles"] * given["column_tiles"] - 1:
                run.last = now

    def _sums(self, run: _Run, tile: _Tile) -> IntArray | None:
        """The sums of a tile, where all that was read belongs together: [rows, columns] as far as there are codes."""
        spec, given = self.spec, run.settings
        first = tile.words[0][0]
        if not tile.known or first is None:
            return None
        precision, lanes = first.precision, spec.mac.products_per_step(first.precision)
        planes = given["weight_planes"], given["activation_planes"]
        if planes != spec.planes(precision):
            return None
        total, products = np.zeros((spec.rows, spec.columns), np.int64), 0
        rows, columns = spec.rows, spec.columns
        per_step = planes[0] * planes[1]
        for start in range(0, len(tile.words), per_step):
            step = tile.words[start : start + per_step]
            weights, activations = step[0][0], step[0][1]
            if weights is None or activations is None:
                return None
            used = weights.codes.shape[1]
            if start + per_step < len(tile.words) and used != lanes:
                return None
            for cycle, (weight, activation, control) in enumerate(step):
                plane = divmod(cycle, planes[1])
                fits = (
                    weight is not None and activation is not None
                    and weight.codes is weights.codes and activation.codes is activations.codes
                    and (weight.plane, activation.plane) == plane
                    and weight.precision == activation.precision == precision
                    and activation.codes.shape[1] == used
                    and control == Control(precision, used, cycle)
                )  # fmt: skip
                if not fits:
                    return None
            rows, columns = min(rows, len(activations.codes)), min(columns, len(weights.codes))
            total[:rows, :columns] += activations.codes[:rows] @ weights.codes[:columns].T
            products += used
        total = total[:rows, :columns]
        return total if products <= spec.mac.reduction_length else None

    def _drain(self, run: _Run, now: int) -> None:
        """Writes what is due in this cycle; the run ends with the last word."""
        spec = self.spec
        chain, together = spec.drain_rows, not self._changed(run)
        for number, tile in enumerate(run.tiles):
            if not tile.due or not tile.due <= now < tile.due + (chain if together else spec.rows):
                continue
            place = now - tile.due
            base = run.settings["result_base"] + number * chain
            if place == 0:
                tile.sums = self._sums(run, tile)
            if together:
                rows = [(drain, drain * chain + place) for drain in range(spec.drains)]
                done = 1
            else:
                rows = [(place // chain, place)]
                rest = spec.rows - (spec.drains - 1) * chain
                done = (0 if place // chain < spec.drains - 1 else 1) + (chain - rest if place == spec.rows - 1 else 0)
            for drain, row in rows:
                if row < spec.rows:
                    self._write(run, tile, base + row % chain, drain, spec.rows - 1 - row)
            self._written += done
        final = run.settings["row_tiles"] * run.settings["column_tiles"] * chain
        if self._written == final:
            self._ended(run, now)
            self._run = None

    def _ended(self, run: _Run, now: int) -> None:
        """Where nothing was held back the spec must predict the same cycles."""
        sizes = ("steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles")
        predicted = self.spec.cycles(Run(**{name: run.settings[name] for name in sizes}), changed=self._changed(run))
        taken = now - run.first + 1
        if not run.held and taken != predicted and self.wrong is None:
            self.wrong = f"a run of {dict(run.settings)} takes {taken} cycles, and {predicted} are predicted"

    def _group(self, run: _Run, tile: _Tile) -> int:
        return run.settings.get("group", 0) + (tile.column if run.settings.get("group_step") else 0)

    def _write(self, run: _Run, tile: _Tile, address: int, drain: int, row: int) -> None:
        spec, given = self.spec, run.settings
        before = self._results.get((address, drain), (None,) * spec.columns)
        values: list[int | None] = []
        for column in range(spec.columns):
            there = tile.sums is not None and row < tile.sums.shape[0] and column < tile.sums.shape[1]
            if not there or (given["accumulate"] and before[column] is None):
                values.append(None)
                continue
            assert tile.sums is not None
            term = int(tile.sums[row, column]) << given["shift"]
            total = (-term if given["negate"] else term) + _signed(before[column] or 0, spec.result_width) * given[
                "accumulate"
            ]
            values.append(self._requantised(run, tile, column, (total >> given["halve"]) % (1 << spec.result_width)))
        self._results[address, drain] = tuple(values)

    def _requantised(self, run: _Run, tile: _Tile, column: int, word: int) -> int | None:
        requant = self.spec.requant
        if requant is None or not run.settings["requantise"]:
            return word
        numbers: Sequence[int] | None = self._sets.get((column, self._group(run, tile)))
        if numbers is None or column in tile.unset:
            return None
        code = int(requant.compute([_signed(word, self.spec.result_width)], numbers)[0])
        return requant.code_values.words[requant.code_values.values.index(code)]


def _signed(word: int, width: int) -> int:
    return word - ((word >> (width - 1)) << width)
