"""What simulation needs of a library cell: its pins, their capacitances, and its functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from siliquant.inputs import InputError, short

from .clockgates import ClockGate, read_clock_gate
from .functions import And, Expression, Variable, parse_function
from .tree import Group, named_pins

_LOAD_UNIT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})[\s,]*(ff|pf)")
_FARAD_PREFIX_PF = {"ff": 1e-3, "pf": 1.0}
_NOT_SIMULATED = ("latch", "latch_bank", "ff_bank", "statetable")


@dataclass(frozen=True, slots=True)
class FlipFlop:
    """The state of a flip-flop cell.  ``state`` and ``inverse`` are the names its outputs use."""

    state: str
    inverse: str
    next_state: Expression
    clocked_on: Expression
    clear: Expression | None
    preset: Expression | None

    @property
    def clock_pins(self) -> frozenset[str]:
        """The pins of the clock expression."""
        return self.clocked_on.names


@dataclass(frozen=True, slots=True)
class CellModel:
    """One cell: capacitance_pf of each input pin, an expression for each output pin.

    The output of a clock gate is here the and of its clock and enable: what it is while the clock is low.
    """

    name: str
    area_um2: float
    capacitance_pf: Mapping[str, float]
    outputs: Mapping[str, Expression]
    flip_flop: FlipFlop | None
    clock_gate: ClockGate | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input pins in file order."""
        return tuple(self.capacitance_pf)


class LibraryCells:
    """The cells of a Liberty library, each read when first asked for.

    ``cells["FA_X1"]`` is its CellModel; ``cells.library`` the Liberty group.
    """

    def __init__(self, library: Group) -> None:
        if library.kind != "library":
            raise library.fail("must be a library group")
        self.library = library
        self.capacitance_unit_pf = capacitance_unit_pf(library)
        self._groups = {group.name: group for group in library.group_iter("cell")}
        self._models: dict[str, CellModel] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._groups

    def __getitem__(self, name: str) -> CellModel:
        if name not in self._models:
            self._models[name] = _read_cell(
                self.group(name), self.capacitance_unit_pf, default_capacitance(self.library)
            )
        return self._models[name]

    def group(self, name: str) -> Group:
        """The Liberty group of a cell.  ValueError when the library has none of that name."""
        if name not in self._groups:
            raise InputError(f"every cell of a netlist must be in the library {self.library.name}; {name} is not")
        return self._groups[name]


def capacitance_unit_pf(library: Group) -> float:
    """The library's capacitive_load_unit in pF, which also is its energy unit in pJ at 1 V units.

    InputError when it is not a number above 0 and ff or pf.
    """
    stated = library.stated("capacitive_load_unit")
    match = _LOAD_UNIT.fullmatch(" ".join(stated).lower())
    if match and float(match[1]) > 0:
        return float(match[1]) * _FARAD_PREFIX_PF[match[2]]
    found = short(", ".join(stated)) if stated else "nothing, and Liberty has no default for it"
    raise library.fail(f"must have a number and ff or pf for capacitive_load_unit, not {found}")


def default_capacitance(library: Group) -> float | None:
    """What an input pin has that states no capacitance, in the library's unit; None where it states nothing."""
    return library.number("default_input_pin_cap") if "default_input_pin_cap" in library.attributes else None


def pin_capacitance(pin: Group, default: float | None) -> float | None:
    """The capacitance of an input pin in the library's unit: as it states it, else the mean of those of its edges, else
    of the ends of their ranges, else the default.
    """
    if "capacitance" in pin.attributes:
        return pin.number("capacitance")
    edges = [f"{edge}_capacitance" for edge in ("rise", "fall")]
    found = [pin.number(edge) for edge in edges if edge in pin.attributes]
    found = found or [value for edge in edges for value in pin.numbers(f"{edge}_range")]
    return sum(found) / len(found) if found else default


def _read_cell(group: Group, unit_pf: float, default: float | None) -> CellModel:
    gate = read_clock_gate(group)
    for kind in _NOT_SIMULATED if gate is None else ():
        if any(True for _ in group.group_iter(kind)):
            raise group.fail(f"must be combinational or a flip-flop, but it has a {kind} group")
    capacitance_pf: dict[str, float] = {}
    outputs: dict[str, Expression] = {}
    for name, pin in named_pins(group):
        direction = pin.text("direction")
        if direction == "input":
            capacitance = pin_capacitance(pin, default)
            if capacitance is None or capacitance < 0:
                raise pin.fail(f"of cell {group.name} must have a capacitance of at least 0")
            capacitance_pf[name] = capacitance * unit_pf
        elif gate is not None:
            if name == gate.output:
                outputs[name] = And(Variable(gate.clock), Variable(gate.enable))
        elif direction == "output":
            if "three_state" in pin.attributes or not pin.text("function"):
                raise pin.fail(f"of cell {group.name} must have a two-state function")
            outputs[name] = _expression(pin, "function", f"of cell {group.name}")
        else:
            raise pin.fail(f"of cell {group.name} must be an input or output, not {short(direction)}")
    model = CellModel(group.name, group.number("area", 0.0), capacitance_pf, outputs, _read_flip_flop(group), gate)
    _check_names(model, group)
    return model


def _expression(group: Group, attribute: str, of: str) -> Expression:
    """A Boolean expression in a group, whose errors say where it stands."""
    try:
        return parse_function(group.text(attribute))
    except InputError as error:
        raise group.fail(f"{of}, {attribute}: {error.sentence}") from None


def _read_flip_flop(group: Group) -> FlipFlop | None:
    states = list(group.group_iter("ff"))
    if not states:
        return None
    if len(states) > 1 or len(states[0].args) != 2:
        raise group.fail("must have one ff group with two names")
    state, of = states[0], f"of cell {group.name}"
    return FlipFlop(
        state=state.args[0],
        inverse=state.args[1],
        next_state=_expression(state, "next_state", of),
        clocked_on=_expression(state, "clocked_on", of),
        clear=_expression(state, "clear", of) if state.text("clear") else None,
        preset=_expression(state, "preset", of) if state.text("preset") else None,
    )


def _check_names(model: CellModel, group: Group) -> None:
    known = frozenset(model.capacitance_pf)
    expressions = list(model.outputs.values())
    flop = model.flip_flop
    if flop is not None:
        known |= {flop.state, flop.inverse}
        expressions += [e for e in (flop.next_state, flop.clocked_on, flop.clear, flop.preset) if e is not None]
    unknown = sorted(frozenset().union(*(expression.names for expression in expressions)) - known)
    if unknown:
        raise group.fail(f"must use its own pins in its functions, but one uses {short(unknown[0])}")
