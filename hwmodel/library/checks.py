"""What the usable cells of a library must be together, and what is said of them where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hwmodel.liberty import DELAYS, Arc, Group, LibraryPower
from siliquant.inputs import InputError

from .arcs import untimed
from .cells import Cell, ClockGateCell, smallest
from .consistency import other_conditions
from .flipflops import is_plain
from .plausible import doubts_of_cell, doubts_of_inverter, doubts_of_wires

__all__ = [
    "CheckedGate",
    "check_areas",
    "check_flip_flops",
    "doubt_of",
    "inverter_of",
    "serving_gate",
    "unmappable_of",
    "untimed_of",
]

_FUNCTIONS = 3


_SPLIT = "; of a library in several files give each with --liberty"
Described = Sequence[tuple[Cell, Group, str]]


def check_areas(described: Described) -> None:
    """Raises InputError for a cell with an area below 0."""
    for cell, group, _ in described:
        if cell.inputs and cell.area < 0:
            raise group.fail(f"must have an area above 0, not {cell.area:g}")


def inverter_of(library: Group, described: Described) -> Cell:
    """The smallest inverter. Raises InputError where there is none; with why, where one was left out."""
    found = [each for each in described if len(each[0].inputs) == 1 and [t for _, t in each[0].outputs] == [0b01]]
    inverter = smallest(cell for cell, _, why in found if not why)
    if inverter is None:
        raise library.fail(f"must have an inverter among its usable cells{_left_out(found) or _SPLIT}")
    return inverter


def _left_out(described: Described) -> str:
    return next((f"; {group.label} in line {group.line} is left out: {why}" for _, group, why in described if why), "")


def check_flip_flops(library: Group, described: Described) -> None:
    """Raises InputError where there is none, or none that Yosys makes registers of; with why one was left out."""
    flops = [each for each in described if each[0].state]
    left_out = _left_out(flops)
    usable = [cell for cell, _, why in flops if not why]
    if not usable:
        raise library.fail(f"must have a flip-flop among its usable cells{left_out or _SPLIT}")
    if not any(is_plain(cell.state, frozenset(cell.inputs)) for cell in usable):
        raise library.fail(
            "must have a flip-flop whose clock, next state, clear and preset are a pin or its inversion each, and "
            f"{usable[0].name} is none{left_out}"
        )


def unmappable_of(library: Group, described: Described) -> InputError | None:
    """Why ABC maps no logic to these cells; None where it does.

    It needs gates of three functions, one of them an and of two inputs, each of which and the output may be inverted.
    """
    gates = [each for each in described if each[0].inputs and len(each[0].outputs) == 1]
    functions = {(len(cell.inputs), cell.outputs[0][1]) for cell, _, why in gates if not why}
    if len(functions) >= _FUNCTIONS and any(count == 2 and table.bit_count() in (1, 3) for count, table in functions):
        return None
    return library.fail(
        f"must have gates of {_FUNCTIONS} functions or more among its usable cells, one of them a NAND, NOR, AND or OR "
        f"of two inputs, for logic to be mapped to{_left_out(gates) or _SPLIT}"
    )


def untimed_of(
    chosen: Sequence[tuple[Cell, Group]], power: LibraryPower, arcs: Mapping[str, Sequence[Arc]]
) -> InputError | None:
    """What a timing tool would take no time for, of the first cell that has such; None where there is nothing."""
    silent = [group for cell, group in chosen if cell.inputs and not _states_delays(cell, arcs[cell.name])]
    if silent:
        names = ", ".join(group.name for group in silent[:5]) + (" ..." if len(silent) > 5 else "")
        return silent[0].placed(f"must state the timing of every output of its usable cells, not none of {names}")
    every = (each for cell, group in chosen for each in untimed(power.cells[cell.name], group, arcs[cell.name]))
    return next(every, None)


CheckedGate = tuple[Cell, Group, ClockGateCell]
"""A clock gate as a cell, its group, and its pins."""


def serving_gate(
    gates: Sequence[CheckedGate], power: LibraryPower, arcs: Mapping[str, Sequence[Arc]]
) -> CheckedGate | None:
    """The smallest clock gate of which area, power, delays of its output and setup times of its enable are stated.

    None where there is no such: registers that hold then have multiplexers.
    """
    whole = [gate for gate in gates if _is_whole(gate, power, arcs[gate[0].name])]
    return min(whole, key=lambda gate: (gate[0].area, len(gate[0].name), gate[0].name), default=None)


def _is_whole(gate: CheckedGate, power: LibraryPower, arcs: Sequence[Arc]) -> bool:
    cell, _, pins = gate
    timed = [arc for arc in arcs if pins.clock in arc.related]
    delays = {kind for arc in timed if arc.pin == pins.output for kind in arc.delays}
    setups = {kind for arc in timed if arc.pin == pins.enable and arc.kind == "setup_rising" for kind in arc.tables}
    stated = power[cell.name]
    return (
        cell.area > 0
        and stated.states_leakage
        and stated.states_energy
        and delays == set(DELAYS)
        and setups >= {"rise_constraint", "fall_constraint"}
    )


def _states_delays(cell: Cell, arcs: Sequence[Arc]) -> bool:
    return set(cell.output_pins) <= {arc.pin for arc in arcs if arc.delays}


def doubt_of(
    library: Group,
    chosen: Sequence[tuple[Cell, Group]],
    inverter: Cell,
    power: LibraryPower,
    arcs: Mapping[str, Sequence[Arc]],
) -> InputError | None:
    """The first of what no library can be; None where there is nothing. ``inverter``: its smallest."""
    return next(_doubts(library, chosen, inverter, power, arcs), None)


def _doubts(
    library: Group,
    chosen: Sequence[tuple[Cell, Group]],
    inverter: Cell,
    power: LibraryPower,
    arcs: Mapping[str, Sequence[Arc]],
) -> Iterator[InputError]:
    yield from other_conditions(library, (group for _, group in chosen))
    for cell, group in chosen:
        if cell is inverter:
            yield from doubts_of_inverter(library, cell, group, arcs[cell.name], power)
    for cell, group in chosen:
        yield from doubts_of_cell(cell, group, arcs[cell.name], power)
    yield from doubts_of_wires(library, power)
