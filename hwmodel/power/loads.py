"""Loads and slews of a mapped netlist estimated from the library alone, when no timing tool is there.

Less exact than OpenSTA: no wires, and the mean of rise and fall.  Good for tests and first looks;
rows that are published use OpenSTA's.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from hwmodel.library import LibraryCells, LibraryPower, LookupTable
from hwmodel.netlist import Netlist, components

from .activity import Waves

_TRANSITIONS = ("rise_transition", "fall_transition")


def estimated_loads_ff(netlist: Netlist, cells: LibraryCells, output_load_ff: float = 0.0) -> dict[str, float]:
    """Load of every named net in fF: the input pins on it, and output_load_ff for each output port."""
    loads_pf = [0.0] * netlist.net_count
    for instance in netlist.instances:
        for pin, capacitance_pf in cells[instance.cell].capacitance_pf.items():
            if pin in instance.pins:
                loads_pf[instance.pins[pin]] += capacitance_pf
    for nets in netlist.outputs.values():
        for net in nets:
            loads_pf[net] += output_load_ff * 1e-3
    return {name: load_pf * 1e3 for names, load_pf in zip(netlist.net_names, loads_pf, strict=True) for name in names}


def estimated_slews_ns(
    waves: Waves, power: LibraryPower, loads_ff: Mapping[str, float], input_slew_ns: float, clock_slew_ns: float = 0.0
) -> dict[str, tuple[float, float]]:
    """Slew of every cell pin, "instance/pin" to (rise, fall) in ns, from inputs to outputs.

    A cell's output slew is the mean over its arcs of rise_transition and fall_transition at the
    slew of the related pin; input ports have input_slew_ns, the clock has clock_slew_ns.
    """
    netlist, cells = waves.netlist, power.cells
    drivers = {
        net: (index, pin)
        for index, instance in enumerate(netlist.instances)
        for pin, net in waves.pins[index].items()
        if pin in cells[instance.cell].outputs
    }
    tables = {name: _transition_tables(name, power) for name in {instance.cell for instance in netlist.instances}}
    slews: dict[int, float] = dict.fromkeys(waves.pulses, clock_slew_ns)
    reads: dict[int, list[int]] = {}
    for net, (index, _) in drivers.items():
        model = cells[netlist.instances[index].cell]
        reads[net] = [] if model.flip_flop else [waves.pins[index][pin] for pin in model.inputs]
    for (net,) in components(reads):
        index, pin = drivers[net]
        names = netlist.net_names[net] if net < netlist.net_count else ()
        load_pf = next((loads_ff[name] for name in names if name in loads_ff), 0.0) * 1e-3
        pins = waves.pins[index]
        arcs = tables[netlist.instances[index].cell].get(pin, [])
        found = [table.at(slews.get(pins[related], input_slew_ns), load_pf) for related, table in arcs]
        if net not in waves.pulses:
            slews[net] = max(fmean(found), 0.0) if found else input_slew_ns
    result = {}
    for index, instance in enumerate(netlist.instances):
        for pin, net in waves.pins[index].items():
            slew_ns = slews.get(net, input_slew_ns)
            result[f"{instance.name}/{pin}"] = (slew_ns, slew_ns)
    return result


def _transition_tables(cell: str, power: LibraryPower) -> dict[str, list[tuple[str, LookupTable]]]:
    """For each output pin its arcs: related pin and transition table in ns."""
    found: dict[str, list[tuple[str, LookupTable]]] = {}
    for pin in power.cells.group(cell).group_iter("pin"):
        for timing in pin.group_iter("timing"):
            for table in timing.groups:
                if table.kind in _TRANSITIONS:
                    arc = (timing.text("related_pin").split()[0], power.table(table, power.time_unit_ns))
                    found.setdefault(pin.name, []).append(arc)
    return found
