"""What the cells of a Liberty library are: their area, pins and functions, and which of them serve as what.

Only cells a synchronous standard-cell flow can place are listed: combinational ones, and flip-flops; clock gates apart.
Latches, scan flip-flops, tri-state drivers, fillers and pads are left out; so are cells that state a purpose beside
their function (``purposes``), gates of which an output never changes, flip-flops that are no register of their clock
(``flipflops``), and cells without an area or a capacitance of an input, where others serve.

Names of those cells go into Verilog, BLIF, SDF and Tcl, whose tools do not agree on how to write a name that is no
plain one. So a cell that would be used has a name of letters, digits and ``_.:+$-``, its pins of letters, digits and
``_.$[]``, all with a letter or ``_`` in front, and its states have identifiers; whatever else is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from hwmodel.liberty import (
    GATE_KIND,
    GATE_KINDS,
    ClockGate,
    Group,
    default_capacitance,
    named_pins,
    parse_function,
    pin_capacitance,
    read_clock_gate,
)
from siliquant.inputs import InputError, short

from .flipflops import no_register
from .purposes import purpose, states


@dataclass(frozen=True)
class Cell:
    """One cell.  `outputs` maps a pin to its truth table over `inputs`; a flip-flop's outputs are in `q`, `qn`."""

    name: str
    area: float
    inputs: tuple[str, ...]
    capacitances: tuple[float | None, ...]  # of the inputs, in the library's unit; None where nothing states it
    outputs: tuple[tuple[str, int], ...] = ()
    state: tuple[str, ...] = ()  # of a flip-flop: its clock, next state, clear, preset expressions
    q: str = ""
    qn: str = ""

    @property
    def clock_pins(self) -> frozenset[str]:
        """The pins of a flip-flop's clock expression."""
        return parse_function(self.state[0]).names if self.state else frozenset()

    @property
    def output_pins(self) -> tuple[str, ...]:
        """The names of the output pins."""
        return tuple(pin for pin, _ in self.outputs) or tuple(pin for pin in (self.q, self.qn) if pin)

    @property
    def family(self) -> tuple[object, ...]:
        """Equal for cells that may replace each other pin by pin: drive strengths of one function."""
        return (self.inputs, self.outputs, self.state, self.q, self.qn)


@dataclass(frozen=True)
class FullAdderCell:
    """A full-adder cell: pin names, and whether its sum and carry outputs are inverted."""

    cell: str
    a: str
    b: str
    carry_in: str
    sum: str
    carry_out: str
    sum_inverted: bool = False
    carry_inverted: bool = False


@dataclass(frozen=True)
class HalfAdderCell:
    """A half-adder cell: pin names, and whether its sum and carry outputs are inverted."""

    cell: str
    a: str
    b: str
    sum: str
    carry_out: str
    sum_inverted: bool = False
    carry_inverted: bool = False


@dataclass(frozen=True)
class ClockGateCell:
    """The cell that gates clocks: its pins. tests: those tied to 0."""

    cell: str
    clock: str
    enable: str
    output: str
    tests: tuple[str, ...] = ()


def gate_cells(library: Group) -> Iterator[tuple[Cell, Group, ClockGateCell]]:
    """The library's clock gates with their groups, in file order.

    ``dont_use``, and what is excluded from logic, does not count: none of them belongs there anyhow. A gate that is
    defined twice, with names that no tool takes, or without an area or a capacitance, is left out.
    """
    default = default_capacitance(library)
    seen = [group.name for group in library.group_iter("cell")]
    for group in library.group_iter("cell"):
        gate: ClockGate | None = read_clock_gate(group)
        if gate is None or seen.count(group.name) > 1:
            continue
        inputs, pins = (gate.clock, gate.enable, *gate.tests), dict(named_pins(group))
        loads = tuple(pin_capacitance(pins[name], default) for name in inputs)
        cell = Cell(group.name, group.number("area", 0.0), inputs, loads)
        if _no_figures(cell):
            continue
        with contextlib.suppress(InputError):
            _check_names(cell, group)
            yield cell, group, ClockGateCell(group.name, gate.clock, gate.enable, gate.output, gate.tests)


def gates_by_kind(library: Group) -> tuple[str, ...]:
    """The cells that say they are clock gates of a kind that serves, whatever else they state or lack."""
    cells = library.group_iter("cell")
    return tuple(sorted(cell.name for cell in cells if cell.text(GATE_KIND).strip() in GATE_KINDS))


def described_cells(library: Group, excluded: Iterable[str] = ()) -> Iterator[tuple[Cell, Group, str]]:
    """The library's gates and flip-flops with their groups, in file order, without those matching a pattern; and why
    one is left out, empty of those that are usable.

    Raises InputError, naming file and line, for a usable cell that is there twice, or has a name that no tool accepts.
    """
    patterns, default = tuple(excluded), default_capacitance(library)
    first: dict[str, Group] = {}
    usable: set[str] = set()
    for group in library.group_iter("cell"):
        twice = first.setdefault(group.name, group) is not group
        if twice and group.name in usable:
            raise _twice(group, first)
        if any(fnmatchcase(group.name, pattern) for pattern in patterns):
            continue
        cell = _describe(group, default)
        if cell is None:
            continue
        why = purpose(group, named_pins(group)) or _no_logic(cell) or _no_figures(cell)
        if not why:
            _check_names(cell, group)
            if twice:
                raise _twice(group, first)
            usable.add(cell.name)
        yield cell, group, why


def _twice(cell: Group, first: Mapping[str, Group]) -> InputError:
    return cell.fail(f"must be defined once, and is first defined in {first[cell.name].place_from(cell)}")


def _no_figures(cell: Cell) -> str:
    """What a cell with inputs does not state and nobody else knows; empty where it states all. One that ties a net to a
    constant may have no area.
    """
    if cell.inputs and cell.area == 0:
        return NO_AREA
    pin = next((pin for pin, value in zip(cell.inputs, cell.capacitances, strict=True) if value is None), None)
    return "" if pin is None else f"{NO_CAPACITANCE} of its input {pin}"


def _no_logic(cell: Cell) -> str:
    """Why a gate or flip-flop is of no use as what it is; empty where it is."""
    if cell.state:
        return no_register(cell.state, frozenset(cell.inputs))
    ones = (1 << (1 << len(cell.inputs))) - 1
    constant = next((pin for pin, table in cell.outputs if cell.inputs and table in (0, ones)), None)
    return "" if constant is None else f"its output {constant} is constant"


NO_AREA = "it states no area above 0"
NO_CAPACITANCE = "it states no capacitance"
"""How the reasons begin for which cells are left out that would be of use."""
_STORAGE = ("latch", "latch_bank", "ff_bank", "statetable", "test_cell", "bus", "bundle", "memory")
_MOST_NAME = 128
_CELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:+$-]{0,127}", re.ASCII)
_PIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.$\[\]]{0,127}", re.ASCII)
_STATE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}", re.ASCII)


def _check_names(cell: Cell, group: Group) -> None:
    """Raises InputError where the cell, a pin or a state has a name that no tool takes, or one that another has."""
    if len(group.args) != 1 or not _CELL_NAME.fullmatch(cell.name):
        raise group.fail(
            f"must have a name of letters, digits and _.:+$-, first a letter or _, {_MOST_NAME} characters at most"
        )
    taken: set[str] = set()
    states = [(name, storage, _STATE_NAME) for storage in group.group_iter("ff") for name in storage.args]
    for name, inner, allowed in (*((name, pin, _PIN_NAME) for name, pin in named_pins(group)), *states):
        if not allowed.fullmatch(name):
            letters = "_.$[]" if allowed is _PIN_NAME else "_$"
            raise inner.fail(
                f"of cell {cell.name} must have a name of letters, digits and {letters}, a letter or _ first, "
                f"of at most {_MOST_NAME} characters" + (f", not {short(name)}" if inner.kind == "ff" else "")
            )
        if name in taken:
            raise inner.fail(f"of cell {cell.name} must have names of its own, and {name} is there already")
        taken.add(name)


def _describe(group: Group, default: float | None) -> Cell | None:
    if states(group, "dont_use") or "clock_gating_integrated_cell" in group.attributes:
        return None
    if any(inner.kind in _STORAGE for inner in group.groups):
        return None
    pins = named_pins(group)
    if any(pin.text("direction") not in ("input", "output") for _, pin in pins):
        return None
    if any("three_state" in pin.attributes or pin.flag("is_pad") for _, pin in pins):
        return None
    inputs = [(name, pin) for name, pin in pins if pin.text("direction") == "input"]
    outputs = [(name, pin) for name, pin in pins if pin.text("direction") == "output"]
    if not outputs or any("function" not in pin.attributes for _, pin in outputs):
        return None
    names = tuple(sorted(name for name, _ in inputs))
    area = group.number("area", 0.0)
    loads = tuple(pin_capacitance(pin, default) for _, pin in sorted(inputs, key=lambda pair: pair[0]))
    storage = list(group.group_iter("ff"))
    try:
        if not storage:
            tables = tuple(sorted((name, truth_table(pin.text("function"), names)) for name, pin in outputs))
            return Cell(group.name, area, names, loads, tables)
        if len(storage) != 1 or len(storage[0].args) != 2 or any("signal_type" in pin.attributes for _, pin in pins):
            return None
        q = qn = ""
        for name, pin in outputs:
            table = truth_table(pin.text("function"), storage[0].args)
            # over (IQ, IQN) with IQN = !IQ: rows 1 and 2 are the reachable ones
            stores, inverts = (table >> 1 & 1, table >> 2 & 1) == (1, 0), (table >> 1 & 1, table >> 2 & 1) == (0, 1)
            q, qn = (name if stores else q), (name if inverts else qn)
            if not stores and not inverts:
                return None
        state = tuple(storage[0].text(key) for key in ("clocked_on", "next_state", "clear", "preset"))
        known = {*names, *storage[0].args}
        if not all(parse_function(text).names <= known for text in (*state[:2], *filter(None, state[2:]))):
            return None
    except InputError:
        return None
    return Cell(group.name, area, names, loads, (), state, q, qn)


@lru_cache(maxsize=256)
def input_column(position: int, count: int) -> int:
    """The truth table of input `position` alone among `count` inputs: bit r is its value in row r."""
    return sum(1 << row for row in range(1 << count) if row >> position & 1)


def truth_table(function: str, inputs: Sequence[str]) -> int:
    """The truth table of a Liberty function: in row r, input k of the stated order is bit k of r.

    ValueError when the text is no such function, names another pin, or has more than 12 inputs.
    """
    if len(inputs) > 12:
        raise InputError(f"a truth table is made for at most 12 inputs, not {len(inputs)}")
    expression = parse_function(function)
    if not expression.names <= set(inputs):
        raise InputError(f"the function {short(function)} must read only {', '.join(inputs)}")
    columns = {name: input_column(index, len(inputs)) for index, name in enumerate(inputs)}
    return expression.evaluate(columns, (1 << (1 << len(inputs))) - 1)


def _three_inputs() -> tuple[int, int]:
    a, b, c = (input_column(index, 3) for index in range(3))
    return a ^ b ^ c, (a & b) | (a & c) | (b & c)


def full_adder(cell: Cell) -> FullAdderCell | None:
    """The cell as a full adder, or None when its two outputs are not the sum and carry of three inputs."""
    if len(cell.inputs) != 3 or len(cell.outputs) != 2:
        return None
    sums, carries = _pair(cell, *_three_inputs(), ones=0xFF)
    if sums is None or carries is None:
        return None
    carry_in = next((pin for pin in cell.inputs if pin.upper().startswith("C")), cell.inputs[2])
    a, b = (pin for pin in cell.inputs if pin != carry_in)
    return FullAdderCell(cell.name, a, b, carry_in, sums[0], carries[0], sums[1], carries[1])


def half_adder(cell: Cell) -> HalfAdderCell | None:
    """The cell as a half adder, or None when its two outputs are not the sum and carry of two inputs."""
    if len(cell.inputs) != 2 or len(cell.outputs) != 2:
        return None
    a, b = (input_column(index, 2) for index in range(2))
    sums, carries = _pair(cell, a ^ b, a & b, ones=0xF)
    if sums is None or carries is None:
        return None
    return HalfAdderCell(cell.name, cell.inputs[0], cell.inputs[1], sums[0], carries[0], sums[1], carries[1])


def _pair(
    cell: Cell, sum_table: int, carry_table: int, ones: int
) -> tuple[tuple[str, bool] | None, tuple[str, bool] | None]:
    """The output pins that give the sum and the carry, each with whether it is inverted."""
    found: list[tuple[str, bool] | None] = [None, None]
    for pin, table in cell.outputs:
        for index, wanted in enumerate((sum_table, carry_table)):
            if table in (wanted, wanted ^ ones):
                found[index] = (pin, table != wanted)
    return found[0], found[1]


def smallest(cells: Iterable[Cell]) -> Cell | None:
    """The cell of least area; of equal ones the first by name."""
    return min(cells, key=lambda cell: (cell.area, len(cell.name), cell.name), default=None)
