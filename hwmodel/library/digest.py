"""Digest a Liberty file: the facts the flow needs, and a slim copy for synthesis and timing.

Read ``cells`` (which are usable), ``timing`` and ``arcs`` (their delays), ``checks`` and ``plausible`` (what is
refused), then ``slim``.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwmodel.liberty import (
    TIMES_NS,
    Arc,
    Group,
    LibraryCells,
    LibraryPower,
    Templates,
    capacitance_unit_pf,
    cell_arcs,
    default_capacitance,
    energy_ratio,
    named_pins,
    nominal_temperature_c,
    nominal_voltage_v,
    operating_conditions,
    pin_capacitance,
    time_unit,
    unit,
)
from siliquant.inputs import InputError, short

from .arcs import check_arcs
from .cells import (
    NO_AREA,
    NO_CAPACITANCE,
    Cell,
    ClockGateCell,
    FullAdderCell,
    HalfAdderCell,
    described_cells,
    full_adder,
    gate_cells,
    gates_by_kind,
    half_adder,
    input_column,
    smallest,
)
from .checks import (
    check_areas,
    check_flip_flops,
    doubt_of,
    inverter_of,
    serving_gate,
    unmappable_of,
    untimed_of,
)
from .consistency import check_consistency
from .flipflops import Storage, outdone
from .slim import slim_text

_MOST_TEXT = 100  # characters of names that are only shown
_LOADS_OF_A_BUFFER = 4  # the default output load, in input capacitances of the driving cell


@dataclass(frozen=True)
class Facts:
    """What one Liberty file says; field meanings as in hwmodel.library.library.Library."""

    library: str
    corner: str
    voltage_v: float
    temperature_c: float
    time_ns: float
    capacitance_ff: float
    leakage_nw: float
    full_adder: FullAdderCell | None
    half_adder: HalfAdderCell | None
    clock_gate: ClockGateCell | None
    driving_cell: str
    driving_pin: str
    inverter: str
    default_load_ff: float
    complements: tuple[tuple[str, str, str], ...]
    families: tuple[tuple[str, ...], ...]
    flip_flops: tuple[str, ...]
    outdone: tuple[str, ...]
    inverters: tuple[str, ...]
    buffer: tuple[str, str, str]
    clock_pins: tuple[str, ...]
    output_pins: dict[str, tuple[str, ...]]
    areas: dict[str, float]
    gate_areas: dict[str, float]
    input_ff: dict[str, dict[str, float]]
    maximum_ff: dict[str, dict[str, float]]
    no_leakage: tuple[str, ...]
    no_internal_energy: tuple[str, ...]
    unstated: tuple[tuple[str, str], ...]
    unused_gates: tuple[str, ...]
    unmappable: tuple[int, str, str] | None
    untimed: tuple[int, str, str] | None
    exceptions: tuple[str, ...]
    doubt: tuple[int, str, str] | None
    energy_ratio: float | None


def digest_liberty(
    library: Group,
    excluded: tuple[str, ...] = (),
    full_adder_cell: str | None = None,
    files: Sequence[Path] = (),
) -> tuple[Facts, str]:
    """Facts and slim text of a library, of one Liberty file or several merged.

    InputError says what a library must have and has not. files: in whose order ``unmappable``, ``untimed`` and
    ``doubt`` name one, by its index.
    """
    if library.kind != "library":
        raise library.fail("must be a library group")
    try:
        return _digest(library, excluded, full_adder_cell, files)
    except InputError as error:
        raise error if error.file else error.inside(library.file or "Liberty text") from None


def _digest(
    library: Group, excluded: tuple[str, ...], full_adder_cell: str | None, files: Sequence[Path]
) -> tuple[Facts, str]:
    described = list(described_cells(library, excluded))
    chosen = [(cell, group) for cell, group, why in described if not why]
    check_areas(described)
    check_consistency(library)
    inverter = inverter_of(library, described)
    power = LibraryPower(LibraryCells(library))
    templates = Templates(library, "lu_table_template")
    arcs: dict[str, list[Arc]] = {}
    for cell, group in chosen:
        _ = power[cell.name]  # reads its tables and expressions, and refuses what cannot be used
        arcs[cell.name] = cell_arcs(group, templates)
        check_arcs(power.cells[cell.name], arcs[cell.name])
    cells = [cell for cell, _ in chosen]
    gates = []
    for cell, group, pins in gate_cells(library):
        with contextlib.suppress(InputError):  # one that cannot be used is left out, as other such cells are
            _ = power[cell.name]
            arcs[cell.name] = cell_arcs(group, templates)
            gates.append((cell, group, pins))
    gate = serving_gate(gates, power, arcs)
    placed = [*chosen, *([] if gate is None else [gate[:2]])]
    clocks = {pin for cell in cells for pin in cell.clock_pins} | ({gate[2].clock} if gate else set())
    buffers = smallest(c for c in cells if len(c.inputs) == 1 and [t for _, t in c.outputs] == [0b10])
    driver = buffers or inverter
    driven = driver.capacitances[0]
    assert driven is not None  # or it were left out
    check_flip_flops(library, described)
    lacking = untimed_of(chosen, power, arcs)
    farads = _capacitance_ff(library)
    voltage_v = nominal_voltage_v(library)
    facts = Facts(
        library=_shown(library.name),
        corner=_corner(library, voltage_v),
        voltage_v=voltage_v,
        temperature_c=nominal_temperature_c(library),
        time_ns=TIMES_NS[time_unit(library)],
        capacitance_ff=farads,
        leakage_nw=round(unit(library, "leakage_power_unit", "w", "1nW") / 1e-9, 12),
        full_adder=_full_adder(cells, full_adder_cell),
        half_adder=_smallest_half_adder(cells),
        clock_gate=None if gate is None else gate[2],
        driving_cell=driver.name,
        driving_pin=driver.outputs[0][0],
        inverter=inverter.name,
        default_load_ff=round(_LOADS_OF_A_BUFFER * driven * farads, 6),
        complements=tuple(sorted((c.name, c.q, c.qn) for c in cells if c.q and c.qn)),
        families=_families(cells),
        flip_flops=tuple(sorted(cell.name for cell in cells if cell.state)),
        outdone=outdone(
            (Storage(c.name, c.area, c.inputs, c.state, c.q, c.qn) for c in cells if c.state), inverter.area
        ),
        inverters=tuple(sorted(c.name for c in cells if len(c.inputs) == 1 and [t for _, t in c.outputs] == [0b01])),
        buffer=_fanout_buffer(cells, driver),
        clock_pins=tuple(sorted(clocks)),
        output_pins={c.name: c.output_pins for c in cells} | ({gate[2].cell: (gate[2].output,)} if gate else {}),
        areas={cell.name: cell.area for cell, _ in placed},
        gate_areas=_gate_areas(cells, inverter.area),
        input_ff={group.name: _loads(group, default_capacitance(library), farads) for _, group in placed},
        maximum_ff={group.name: _most(group, farads) for _, group in placed},
        no_leakage=tuple(sorted(cell.name for cell in cells if not power[cell.name].states_leakage)),
        no_internal_energy=tuple(sorted(cell.name for cell in cells if not power[cell.name].states_energy)),
        unstated=tuple((cell.name, why) for cell, _, why in described if why.startswith((NO_AREA, NO_CAPACITANCE))),
        unused_gates=() if gate else gates_by_kind(library),
        unmappable=_located(unmappable_of(library, described), files),
        untimed=_located(lacking, files),
        exceptions=(
            *(f"left out: {cell.name}" for cell, _, why in described if why),
            *(f"energy of one edge: {cell.name}" for cell in cells if power[cell.name].half),
            *(("untimed",) if lacking else ()),
        ),
        doubt=_located(doubt_of(library, placed, inverter, power, arcs), files),
        energy_ratio=energy_ratio(power, (c.name for c in cells if len(c.outputs) == 1 and 1 <= len(c.inputs) <= 2)),
    )
    return facts, slim_text(library, [group for _, group in placed])


def _loads(cell: Group, default: float | None, farads: float) -> dict[str, float]:
    """The capacitance of the pins of a cell, in fF; an output has one where it states one."""
    found = {}
    for name, pin in named_pins(cell):
        value = pin_capacitance(pin, default if pin.text("direction") == "input" else None)
        if value is not None:
            found[name] = round(value * farads, 6)
            if value < 0:
                raise pin.fail(f"of cell {cell.name} must have a capacitance of at least 0, not {found[name]:g} fF")
    return found


def _most(cell: Group, farads: float) -> dict[str, float]:
    """What the pins of a cell may drive at most, in fF; pins that do not say are left out."""
    found = {}
    for name, pin in named_pins(cell):
        if "max_capacitance" in pin.attributes:
            found[name] = round(pin.number("max_capacitance") * farads, 6)
            if found[name] <= 0:
                raise pin.fail(f"of cell {cell.name} must have a max_capacitance above 0, not {found[name]:g} fF")
    return found


def _located(error: InputError | None, files: Sequence[Path]) -> tuple[int, str, str] | None:
    """Index of the file, place and sentence of an error that is not raised now."""
    if error is None:
        return None
    index = files.index(error.file) if error.file in files else 0
    return index, error.place or "", error.sentence


def _full_adder(cells: list[Cell], name: str | None) -> FullAdderCell | None:
    if name is None:
        best = smallest(cell for cell in cells if full_adder(cell))
        return full_adder(best) if best else None
    for cell in cells:
        if cell.name == name:
            found = full_adder(cell)
            if found is None:
                raise InputError(f"full_adder must have outputs for sum and carry of three inputs; {name} has not")
            return found
    raise InputError(f"full_adder must be one of its usable cells, not {short(name)}")


def _smallest_half_adder(cells: list[Cell]) -> HalfAdderCell | None:
    best = smallest(cell for cell in cells if half_adder(cell))
    return half_adder(best) if best else None


def _families(cells: list[Cell]) -> tuple[tuple[str, ...], ...]:
    groups: defaultdict[tuple[object, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.family].append(cell)
    ordered = (sorted(group, key=lambda c: (c.area, len(c.name), c.name)) for group in groups.values())
    return tuple(sorted(tuple(cell.name for cell in group) for group in ordered if len(group) > 1))


def _gate_areas(cells: list[Cell], inverter_area: float) -> dict[str, float]:
    """Area of the smallest inverter and two-input gates; two gates where the library has not the one."""
    a, b = input_column(0, 2), input_column(1, 2)
    areas = {"not": inverter_area}
    for name, table in (("nand", 0xF ^ (a & b)), ("nor", 0xF ^ (a | b)), ("and", a & b), ("or", a | b)):
        best = smallest(c for c in cells if len(c.inputs) == 2 and [t for _, t in c.outputs] == [table])
        areas[name] = best.area if best else areas.get("n" + name, 2 * inverter_area) + inverter_area
    return areas


def _fanout_buffer(cells: list[Cell], smallest_buffer: Cell) -> tuple[str, str, str]:
    """The second smallest buffer (the smallest where there is one), with its pins; for large fan-outs."""
    family = sorted((c for c in cells if c.family == smallest_buffer.family), key=lambda c: (c.area, c.name))
    chosen = family[min(1, len(family) - 1)]
    return chosen.name, chosen.inputs[0], chosen.outputs[0][0]


def _corner(library: Group, voltage_v: float) -> str:
    conditions = operating_conditions(library)
    named = _shown(library.text("default_operating_conditions") or ("" if conditions is None else conditions.name))
    stated = "?" if conditions is None else conditions.text("temperature", "?")
    voltage, temperature = library.text("nom_voltage", f"{voltage_v:g}"), library.text("nom_temperature", stated)
    return ", ".join(part for part in (named, f"{voltage} V", f"{temperature} C") if part)


def _shown(text: str) -> str:
    """A name that is only shown: without what a table, a page or a spreadsheet would take for more than text."""
    return re.sub(r"[^A-Za-z0-9_.:+ -]", "?", text[:_MOST_TEXT])


def _capacitance_ff(library: Group) -> float:
    """The unit in fF: as many as in pF, without what a division leaves behind."""
    return round(capacitance_unit_pf(library) * 1e3, 12)
