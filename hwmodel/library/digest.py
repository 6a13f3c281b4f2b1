"""Digest a Liberty file: the facts the flow needs, and a slim copy for synthesis and timing.

The slim copy holds the usable cells only, without power tables; functions and timing are untouched. Several tools
with parsers of their own read it, so text that not all of them take for the same is left out: comments, backslashes,
braces and quotes in strings, the library's name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from siliquant.inputs import InputError, short

from .cells import Cell, FullAdderCell, HalfAdderCell, full_adder, half_adder, input_column, smallest, usable_cells
from .liberty import Group, named_pins, parse_liberty
from .models import LibraryCells, capacitance_unit_pf
from .power import LibraryPower, energy_ratio, nominal_voltage_v
from .sdf import is_condition
from .timing import check_timing, states_delays

_MOST_TEXT = 100  # characters of names that are only shown
_LOADS_OF_A_BUFFER = 4  # the default output load, in input capacitances of the driving cell

_SECONDS = {"1ps": 1e-3, "10ps": 1e-2, "100ps": 1e-1, "1ns": 1.0}
_WATTS = {
    "1mw": 1e6,
    "100uw": 1e5,
    "10uw": 1e4,
    "1uw": 1e3,
    "100nw": 1e2,
    "10nw": 10.0,
    "1nw": 1.0,
    "100pw": 0.1,
    "10pw": 1e-2,
    "1pw": 1e-3,
}
_DROPPED_GROUPS = frozenset(
    {
        "internal_power",
        "leakage_power",
        "leakage_current",
        "dynamic_current",
        "intrinsic_parasitic",
        "power_lut_template",
        "ccsn_first_stage",
        "ccsn_last_stage",
        "receiver_capacitance",
        "output_current_rise",
        "output_current_fall",
        "output_current_template",
        "pg_pin",
        "input_voltage",
        "output_voltage",
        "normalized_driver_waveform",
        "electromigration",
        "em_lut_template",
        "hyperbolic_noise_low",
        "hyperbolic_noise_high",
        "maxcap_lut_template",
    }
)


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
    driving_cell: str
    driving_pin: str
    inverter: str
    default_load_ff: float
    complements: tuple[tuple[str, str, str], ...]
    families: tuple[tuple[str, ...], ...]
    flip_flops: tuple[str, ...]
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
    no_timing: tuple[str, ...]
    energy_ratio: float | None


def digest_liberty(
    text: str, excluded: tuple[str, ...] = (), full_adder_cell: str | None = None, file: Path | None = None
) -> tuple[Facts, str]:
    """Facts and slim text of a Liberty file.

    InputError says what a library must have and has not; ``file``: its name in messages.
    """
    library = parse_liberty(text, file)
    if library.kind != "library":
        raise library.fail("must be a library group")
    try:
        return _digest(library, excluded, full_adder_cell)
    except InputError as error:
        raise error if error.file else error.inside(file or "Liberty text") from None


def _digest(library: Group, excluded: tuple[str, ...], full_adder_cell: str | None) -> tuple[Facts, str]:
    chosen = list(usable_cells(library, excluded))
    _check_areas(chosen)
    power = LibraryPower(LibraryCells(library))
    templates = {group.name: group for group in library.group_iter("lu_table_template")}
    for cell, group in chosen:
        _ = power[cell.name]  # reads its tables and expressions, and refuses what cannot be used
        check_timing(group, templates)
    cells = [cell for cell, _ in chosen]
    buffers = smallest(c for c in cells if len(c.inputs) == 1 and [t for _, t in c.outputs] == [0b10])
    inverters = smallest(c for c in cells if len(c.inputs) == 1 and [t for _, t in c.outputs] == [0b01])
    if inverters is None:
        raise library.fail("must have an inverter among its usable cells")
    driver = buffers or inverters
    if not any(cell.state for cell in cells):
        raise library.fail("must have a flip-flop among its usable cells")
    farads = _capacitance_ff(library)
    voltage_v = nominal_voltage_v(library)
    facts = Facts(
        library=_shown(library.name),
        corner=_corner(library, voltage_v),
        voltage_v=voltage_v,
        temperature_c=library.number("nom_temperature", 25.0),
        time_ns=_unit(library, "time_unit", _SECONDS, "1ns"),
        capacitance_ff=farads,
        leakage_nw=_unit(library, "leakage_power_unit", _WATTS, "1nW"),
        full_adder=_full_adder(cells, full_adder_cell),
        half_adder=_smallest_half_adder(cells),
        driving_cell=driver.name,
        driving_pin=driver.outputs[0][0],
        inverter=inverters.name,
        default_load_ff=round(_LOADS_OF_A_BUFFER * driver.input_capacitance * farads, 6),
        complements=tuple(sorted((c.name, c.q, c.qn) for c in cells if c.q and c.qn)),
        families=_families(cells),
        flip_flops=tuple(sorted(cell.name for cell in cells if cell.state)),
        inverters=tuple(sorted(c.name for c in cells if len(c.inputs) == 1 and [t for _, t in c.outputs] == [0b01])),
        buffer=_fanout_buffer(cells, driver),
        clock_pins=tuple(sorted({pin for cell in cells for pin in cell.clock_pins})),
        output_pins={cell.name: cell.output_pins for cell in cells},
        areas={cell.name: cell.area for cell in cells},
        gate_areas=_gate_areas(cells, inverters.area),
        input_ff={group.name: _of_pins(group, "capacitance", farads) for _, group in chosen},
        maximum_ff={group.name: _of_pins(group, "max_capacitance", farads) for _, group in chosen},
        no_leakage=tuple(sorted(cell.name for cell in cells if not power[cell.name].states_leakage)),
        no_internal_energy=tuple(sorted(cell.name for cell in cells if not power[cell.name].states_energy)),
        no_timing=tuple(sorted(cell.name for cell, group in chosen if cell.inputs and not states_delays(group))),
        energy_ratio=energy_ratio(power, (c.name for c in cells if len(c.outputs) == 1 and 1 <= len(c.inputs) <= 2)),
    )
    kept = {id(group) for _, group in chosen}
    return facts, "".join(_slim(library, 0, kept))


def _check_areas(chosen: Sequence[tuple[Cell, Group]]) -> None:
    """Raises InputError that names cells without an area; those that tie a net to a constant may have none."""
    without = [group for cell, group in chosen if cell.inputs and not cell.area > 0]
    if without:
        names = ", ".join(group.name for group in without[:5])
        more = f" and {len(without) - 5} more" if len(without) > 5 else ""
        raise without[0].fail(f"must have an area above 0: {names}{more} state none")


def _of_pins(cell: Group, attribute: str, farads: float) -> dict[str, float]:
    """A capacitance that the pins of a cell have, in fF; pins without it are left out."""
    found = {}
    for name, pin in named_pins(cell):
        if attribute in pin.attributes:
            found[name] = round(pin.number(attribute) * farads, 6)
            if found[name] < 0 or (attribute == "max_capacitance" and not found[name]):
                raise pin.fail(f"of cell {cell.name} must have a {attribute} above 0, not {found[name]:g} fF")
    return found


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
    named = _shown(library.text("default_operating_conditions"))
    voltage, temperature = library.text("nom_voltage", f"{voltage_v:g}"), library.text("nom_temperature", "?")
    return ", ".join(part for part in (named, f"{voltage} V", f"{temperature} C") if part)


def _shown(text: str) -> str:
    """A name that is only shown: without what a table, a page or a spreadsheet would take for more than text."""
    return re.sub(r"[^A-Za-z0-9_.:+ -]", "?", text[:_MOST_TEXT])


def _unit(library: Group, attribute: str, table: dict[str, float], default: str) -> float:
    text = library.text(attribute, default)
    scale = table.get(text.lower().replace(" ", ""))
    if scale is None:
        raise library.fail(f"must have one of {', '.join(table)} for its {attribute}, not {short(text)}")
    return scale


def _capacitance_ff(library: Group) -> float:
    """The unit in fF: as many as in pF, without what a division leaves behind."""
    return round(capacitance_unit_pf(library) * 1e3, 12)


def _slim(group: Group, depth: int, kept: set[int]) -> Iterator[str]:
    """The text of a group.  Attributes that name a group of the library come after it, as OpenSTA wants."""
    indent = " " * depth
    late = [name for name in group.attributes if depth == 0 and name in _NAMES_OF_GROUPS]
    if group.kind == "pin" and len(group.args) > 1:  # not every tool takes a list of names
        heads = [f"pin ({_quoted(name)})" for name in group.args]
    else:
        args = ("slim",) if depth == 0 else group.args
        heads = [f"{group.kind} ({', '.join(_quoted(arg) for arg in args)})"]
    for head in heads:
        yield f"{indent}{head} {{\n"
        for name in group.attributes:
            if name not in late:
                yield from _attribute(group, name, indent)
        for inner in group.groups:
            if inner.kind in _DROPPED_GROUPS or (depth == 0 and inner.kind == "cell" and id(inner) not in kept):
                continue
            if all(map(_safe, inner.args)):
                yield from _slim(inner, depth + 1, kept)
        for name in late:
            yield from _attribute(group, name, indent)
        yield f"{indent}}}\n"


def _attribute(group: Group, name: str, indent: str) -> Iterator[str]:
    if name in _NUMBER:
        group.number(name)
    elif name in _NUMBERS and len(group.numbers(name)) < _NUMBERS[name]:
        raise group.fail(f"must have {_NUMBERS[name]} or more numbers for {name}")
    for value in group.attributes[name]:
        if name in _DROPPED_ATTRIBUTES or not all(map(_safe, value)):
            continue
        if name == "sdf_cond" and not is_condition(value[0]):
            continue
        if name in _COMPLEX or len(value) != 1:
            yield f"{indent} {name} ({', '.join(_quoted(item) for item in value)});\n"
        else:
            yield f"{indent} {name} : {_quoted(value[0])};\n"


def _safe(value: str) -> bool:
    """Whether every tool reads the same: one line without comments, quotes, backslashes and braces."""
    return _SAFE.fullmatch(value) is not None and "//" not in value and "/*" not in value


_SAFE = re.compile(r"[A-Za-z0-9_ \t.,:!&|^*+'()=~<>%\[\]$@?/-]*")
_DROPPED_ATTRIBUTES = frozenset({"comment", "date", "revision"})
_NUMBER = frozenset(
    {
        *("nom_process", "nom_temperature", "nom_voltage", "process", "temperature", "voltage"),
        *("default_input_pin_cap", "default_output_pin_cap", "default_inout_pin_cap", "default_fanout_load"),
        *("default_max_transition", "default_max_capacitance", "default_max_fanout", "slew_derate_from_library"),
        *(f"{side}_threshold_pct_{edge}" for side in ("input", "output") for edge in ("rise", "fall")),
        *(f"slew_{side}_threshold_pct_{edge}" for side in ("lower", "upper") for edge in ("rise", "fall")),
        *("area", "capacitance", "rise_capacitance", "fall_capacitance", "resistance", "slope", "fanout_load"),
        *("max_capacitance", "min_capacitance", "max_transition", "min_transition", "max_fanout", "min_fanout"),
    }
)
_NUMBERS = {"fanout_length": 2, "index_1": 1, "index_2": 1, "index_3": 1, "values": 1}
_NAMES_OF_GROUPS = frozenset({"default_operating_conditions", "default_wire_load", "default_wire_load_selection"})
_COMPLEX = frozenset(
    {
        "values",
        "index_1",
        "index_2",
        "index_3",
        "technology",
        "capacitive_load_unit",
        "voltage_map",
        "library_features",
        "fanout_length",
        "fanout_capacitance",
        "define",
        "define_group",
    }
)


_MOST_PLAIN = 300  # characters, since the pattern tries every place at which a number may end
_PLAIN = re.compile(r"[A-Za-z_][\w.]*|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+|\w*)", re.ASCII)


def _quoted(item: str) -> str:
    """A name or number as it is, all else in quotes (ABC wants numbers without)."""
    return item if len(item) <= _MOST_PLAIN and _PLAIN.fullmatch(item) else f'"{item}"'
