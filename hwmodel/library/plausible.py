"""Whether the numbers of a library can be those of a chip: a wrong unit is a number that no process has.

The bounds are far beyond every known process (0.25 um to 7 nm, 0.2 to 5 V), so that only a unit that is off by 10 or
more, a value in the wrong field, or an invented one is outside. A library that is right may be taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwmodel.liberty import Arc, Group, LibraryPower, named_pins
from siliquant.inputs import InputError

from .cells import Cell

__all__ = ["doubts_of_cell", "doubts_of_inverter", "doubts_of_wires"]

_SUPPLY_V = (0.2, 6.0)
_INPUT_FF = (0.05, 200.0)
_FIRST_DELAY_NS = (1e-4, 10.0)
_RESISTANCE_KOHM = (0.05, 1000.0)
_INVERTER_UM2 = (1e-4, 1e4)
_INVERTER_LEAKAGE_NW = (0.0, 1e4)
_CELL_UM2 = (1e-4, 1e6)
_PIN_FF = (0.0, 1e4)
_WIRE_FF = (0.0, 1000.0)
_LEAKAGE_NW = (0.0, 1e6)
_LONGEST_NS = 1000.0
_SLEWS_BEFORE = 2.0  # an output may cross its threshold before its input does, but not before that began to move
_ENERGY_RATIO = (-1000.0, 1000.0)
_SLEWS = ("input_net_transition", "input_transition_time")
_LOAD = "total_output_net_capacitance"


def doubts_of_inverter(
    library: Group, cell: Cell, group: Group, arcs: Sequence[Arc], power: LibraryPower
) -> Iterator[InputError]:
    """What cannot be of the supply and of the smallest inverter, which every process makes much alike.

    Its delay is that at the first point of its tables, and its resistance what a table's first row rises by per load.
    """
    of = f"of {cell.name}, the smallest inverter, "
    pin = next(pin for name, pin in named_pins(group) if name == cell.inputs[0])
    yield from _outside(library, "must have a supply", power.voltage_v, _SUPPLY_V, "V")
    yield from _outside(group, "as the smallest inverter must have an area", cell.area, _INVERTER_UM2, "um2")
    capacitance_ff = power.cells[cell.name].capacitance_pf[cell.inputs[0]] * 1e3
    yield from _outside(pin, f"{of}must have a capacitance", capacitance_ff, _INPUT_FF, "fF")
    leakage_nw = max(value for _, value in power[cell.name].leakage_nw)
    yield from _outside(group, "as the smallest inverter must leak", leakage_nw, _INVERTER_LEAKAGE_NW, "nW")
    for arc in arcs:
        for table in arc.delays.values():
            first_ns = table.values[0] * power.time_unit_ns
            yield from _outside(
                table.group, f"{of}must have a delay at the lowest slew and load", first_ns, _FIRST_DELAY_NS, "ns"
            )
            loads = table.axes.get(_LOAD, ())
            if len(loads) > 1:
                step = 1 if tuple(table.axes)[-1] == _LOAD else len(table.values) // len(loads)
                last_ns = table.values[(len(loads) - 1) * step] * power.time_unit_ns
                load_pf = (loads[-1] - loads[0]) * power.cells.capacitance_unit_pf
                resistance = (last_ns - first_ns) / load_pf
                what = f"{of}must rise with load as a resistance does"
                yield from _outside(table.group, what, resistance, _RESISTANCE_KOHM, "kOhm")


def doubts_of_cell(cell: Cell, group: Group, arcs: Sequence[Arc], power: LibraryPower) -> Iterator[InputError]:
    """What cannot be of any cell: its area, leakage, capacitances, delays, slews, setup and hold times, and energies.

    Energies are those at the first point of their tables, over C V^2 of all inputs of the cell.
    """
    model, data = power.cells[cell.name], power[cell.name]
    if cell.inputs:
        yield from _outside(group, "must have an area", cell.area, _CELL_UM2, "um2")
    yield from _outside(group, "must leak", max(value for _, value in data.leakage_nw), _LEAKAGE_NW, "nW")
    for name, value in model.capacitance_pf.items():
        yield from _outside(group, f"must have a capacitance of its pin {name}", value * 1e3, _PIN_FF, "fF")
    all_pj = sum(model.capacitance_pf.values()) * power.voltage_v**2
    for name, energies in (*data.outputs.items(), *data.inputs.items()):
        for energy in energies if all_pj else ():
            for each in (energy.rise_pj, energy.fall_pj):
                what = f"must have an internal energy of its pin {name}, in C V^2 of its inputs,"
                yield from _outside(group, what, each.values[0] / all_pj, _ENERGY_RATIO, "of them")
    for arc in arcs:
        of = f"of pin {arc.pin} of cell {cell.name} "
        for kind, table in arc.tables.items():
            unit_ns = power.time_unit_ns
            slews = next((axis for name, axis in table.axes.items() if name in _SLEWS), ())
            earliest = _SLEWS_BEFORE * max(slews, default=0.0) * unit_ns
            if kind.endswith("constraint"):
                earliest = _LONGEST_NS
            elif kind.endswith("transition"):
                earliest = 0.0
            for value in (min(table.values), max(table.values)):
                yield from _outside(
                    table.group, f"{of}must have values", value * unit_ns, (-earliest, _LONGEST_NS), "ns"
                )


def doubts_of_wires(library: Group, power: LibraryPower) -> Iterator[InputError]:
    """Wires of one pin whose capacitance, by their length, no wire has."""
    for wires in library.group_iter("wire_load"):
        length = next((row[1] for row in wires.rows("fanout_length") if len(row) > 1 and row[0] == 1), 0.0)
        wire_ff = length * wires.number("capacitance", 0.0) * power.cells.capacitance_unit_pf * 1e3
        yield from _outside(wires, "must have a wire to one pin", wire_ff, _WIRE_FF, "fF")


def _outside(group: Group, what: str, value: float, bounds: tuple[float, float], unit: str) -> Iterator[InputError]:
    lowest, highest = bounds
    if not lowest <= value <= highest:
        yield group.fail(f"{what} from {lowest + 0:g} to {highest:g} {unit}, not {value:.4g} {unit}")
