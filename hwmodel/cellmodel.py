"""What simulation needs of a library cell: its pins, their capacitances, and its functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwmodel.cellfunction import Expression, parse_function
from hwmodel.liberty import Group
from siliquant.errors import InputError

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
    """One cell: capacitance_pf of each input pin, an expression for each output pin."""

    name: str
    area_um2: float
    capacitance_pf: Mapping[str, float]
    outputs: Mapping[str, Expression]
    flip_flop: FlipFlop | None

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
            raise InputError(f"library must be a Liberty library group, not a {library.kind} group")
        self.library = library
        self.capacitance_unit_pf = capacitance_unit_pf(library)
        self._groups = {group.name: group for group in library.group_iter("cell")}
        self._models: dict[str, CellModel] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._groups

    def __getitem__(self, name: str) -> CellModel:
        if name not in self._models:
            default_pf = self.library.number("default_input_pin_cap", 0.0) * self.capacitance_unit_pf
            self._models[name] = _read_cell(self.group(name), self.capacitance_unit_pf, default_pf)
        return self._models[name]

    def group(self, name: str) -> Group:
        """The Liberty group of a cell.  ValueError when the library has none of that name."""
        if name not in self._groups:
            raise InputError(f"every cell of a netlist must be in the library {self.library.name}; {name} is not")
        return self._groups[name]


def capacitance_unit_pf(library: Group) -> float:
    """The library's capacitive_load_unit in pF, which also is its energy unit in pJ at 1 V units.

    ValueError when it is not a number and ff or pf.
    """
    values = library.attributes.get("capacitive_load_unit", [()])[-1]
    if len(values) == 2 and values[1].lower() in _FARAD_PREFIX_PF:
        return float(values[0]) * _FARAD_PREFIX_PF[values[1].lower()]
    raise InputError(f"capacitive_load_unit of {library.name} must be a number and ff or pf, not {values!r}")


def _read_cell(group: Group, unit_pf: float, default_pf: float) -> CellModel:
    for kind in _NOT_SIMULATED:
        if any(True for _ in group.group_iter(kind)):
            raise InputError(f"cell {group.name} must be combinational or a flip-flop, but it has a {kind} group")
    capacitance_pf: dict[str, float] = {}
    outputs: dict[str, Expression] = {}
    for pin in group.group_iter("pin"):
        direction = pin.text("direction")
        if direction == "input":
            capacitance_pf[pin.name] = pin.number("capacitance", default_pf / unit_pf) * unit_pf
        elif direction == "output":
            if "three_state" in pin.attributes or not pin.text("function"):
                raise InputError(f"output {pin.name} of cell {group.name} must have a two-state function")
            outputs[pin.name] = parse_function(pin.text("function"))
        else:
            raise InputError(f"pin {pin.name} of cell {group.name} must be an input or output, not {direction!r}")
    model = CellModel(group.name, group.number("area", 0.0), capacitance_pf, outputs, _read_flip_flop(group))
    _check_names(model)
    return model


def _read_flip_flop(group: Group) -> FlipFlop | None:
    states = list(group.group_iter("ff"))
    if not states:
        return None
    if len(states) > 1 or len(states[0].args) != 2:
        raise InputError(f"cell {group.name} must have one ff group with two names")
    state = states[0]
    clear, preset = state.text("clear"), state.text("preset")
    return FlipFlop(
        state=state.args[0],
        inverse=state.args[1],
        next_state=parse_function(state.text("next_state")),
        clocked_on=parse_function(state.text("clocked_on")),
        clear=parse_function(clear) if clear else None,
        preset=parse_function(preset) if preset else None,
    )


def _check_names(model: CellModel) -> None:
    known = frozenset(model.capacitance_pf)
    expressions = list(model.outputs.values())
    flop = model.flip_flop
    if flop is not None:
        known |= {flop.state, flop.inverse}
        expressions += [e for e in (flop.next_state, flop.clocked_on, flop.clear, flop.preset) if e is not None]
    unknown = sorted(frozenset().union(*(expression.names for expression in expressions)) - known)
    if unknown:
        raise InputError(f"the functions of cell {model.name} must use its pins only, but one uses {unknown[0]}")
