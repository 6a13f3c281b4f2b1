"""A slim copy of a library for synthesis and timing: its usable cells without power data.

Functions and timing are untouched. Several tools with parsers of their own read it, so text that not all of them take
for the same is left out: comments, backslashes, braces and quotes in strings, the library's name. What they would take
from elsewhere, or not at all, is written out: the nominal corner, units, the capacitance of every input, a delay for
each pin that causes it; and tables have the layout that all of them read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hwmodel.liberty import (
    Group,
    Templates,
    capacitance_unit_pf,
    default_capacitance,
    nominal_temperature_c,
    nominal_voltage_v,
    operating_conditions,
    pin_capacitance,
    portable,
    time_unit,
    unit,
)

from .sdf import is_condition

__all__ = ["slim_text"]

_DROPPED_GROUPS = frozenset(
    {
        "internal_power",
        "statetable",
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
        "scaled_cell",
    }
)


def slim_text(library: Group, cells: Iterable[Group]) -> str:
    """The text of a library with these of its cells.

    InputError for an attribute that tools read as a number and that is none.
    """
    templates = Templates(library, "lu_table_template")
    kept = {id(group) for group in cells} | templates.names.keys()
    return "".join(_slim(library, 0, _Use(kept, templates, default_capacitance(library))))


@dataclass(frozen=True)
class _Use:
    """kept: the ``id`` of each cell and template that is used. default: the capacitance of inputs that state none."""

    kept: set[int]
    templates: Templates
    default: float | None


def _slim(group: Group, depth: int, use: _Use) -> Iterator[str]:
    """The text of a group.  Attributes that name a group of the library come after it, as OpenSTA wants."""
    indent = " " * depth
    late = [name for name in group.attributes if depth == 0 and name in _NAMES_OF_GROUPS]
    related = group.text("related_pin").split() if group.kind == "timing" else []
    if group.kind == "pin" and len(group.args) > 1:  # not every tool takes a list of names
        heads = [f"pin ({_quoted(name)})" for name in group.args]
    elif len(related) > 1:  # nor of related pins
        heads = ["timing ()"] * len(related)
    else:
        args = ("slim",) if depth == 0 else group.args
        if len(args) == 1 and (group.kind == "lu_table_template" or depth >= _DEPTH_OF_TABLES):
            args = (use.templates.name_of(group),)
        heads = [f"{group.kind} ({', '.join(_quoted(arg) for arg in args)})"]
    for index, head in enumerate(heads):
        yield f"{indent}{head} {{\n"
        if len(related) > 1:
            yield f"{indent} related_pin : {_quoted(related[index])};\n"
        yield from (f"{indent} {text};\n" for text in _written_out(group, depth, use))
        for name in group.attributes:
            if name not in late and not (name == "related_pin" and len(related) > 1):
                yield from _attribute(group, name, indent, use)
        for inner in group.groups:
            if inner.kind in _DROPPED_GROUPS or (inner.kind in _CHOSEN and depth == 0 and id(inner) not in use.kept):
                continue
            if all(map(_safe, inner.args)):
                yield from _slim(inner, depth + 1, use)
        for name in late:
            yield from _attribute(group, name, indent, use)
        yield f"{indent}}}\n"


def _written_out(group: Group, depth: int, use: _Use) -> Iterator[str]:
    """What a group does not state in words that every tool takes."""
    if depth == 0:
        if "nom_voltage" not in group.attributes:
            yield f"nom_voltage : {nominal_voltage_v(group) / unit(group, 'voltage_unit', 'v', '1V'):.9g}"
        if "nom_temperature" not in group.attributes:  # or OpenSTA scales delays from 0 C, where a library has factors
            yield f"nom_temperature : {nominal_temperature_c(group):.9g}"
        if "nom_process" not in group.attributes:
            conditions = operating_conditions(group)
            yield f"nom_process : {1.0 if conditions is None else conditions.number('process', 1.0):.9g}"
        if "delay_model" not in group.attributes:
            yield "delay_model : table_lookup"
        if group.text("time_unit") != time_unit(group):
            yield f'time_unit : "{time_unit(group)}"'
        if len(group.stated("capacitive_load_unit")) != 2:
            yield f"capacitive_load_unit ({capacitance_unit_pf(group):.9g},pf)"
    elif group.kind == "pin" and "capacitance" not in group.attributes and group.text("direction") == "input":
        capacitance = pin_capacitance(group, use.default)
        if capacitance is not None:
            yield f"capacitance : {capacitance:.9g}"


def _attribute(group: Group, name: str, indent: str, use: _Use) -> Iterator[str]:
    if name in _NUMBER:
        group.number(name)
    elif name in _NUMBERS:
        rows = group.rows(name) if name == "fanout_length" else [group.numbers(name)]
        if any(len(row) < _NUMBERS[name] for row in rows):
            raise group.fail(f"must have {_NUMBERS[name]} or more numbers for {name}")
    if (name == "time_unit" and group.text(name) != time_unit(group)) or (
        name == "capacitive_load_unit" and len(group.stated(name)) != 2
    ):
        return  # it is written out
    for stated in group.attributes[name]:
        value = tuple(" ".join(item.split()) if "\n" in item else item for item in stated)
        if name in _FUNCTIONS:
            value = (portable(value[0]),)
        elif name in _NUMBERS:
            value = _laid_out(group, name, value, use.templates)
        if name in _DROPPED_ATTRIBUTES or not all(map(_safe, value)):
            continue
        if name == "sdf_cond" and not is_condition(value[0]):
            continue
        if name in _TABLES:
            quoted = ", ".join(f'"{item}"' for item in value)
            yield f"{indent} {name} ({quoted});\n"
        elif name in _COMPLEX or len(value) != 1:
            yield f"{indent} {name} ({', '.join(_quoted(item) for item in value)});\n"
        else:
            yield f"{indent} {name} : {_quoted(value[0])};\n"


def _laid_out(group: Group, name: str, value: tuple[str, ...], templates: Templates) -> tuple[str, ...]:
    """Numbers as tools expect them, which else read others without a word: an axis as one string, a table as a string a
    row, a pair as two numbers.
    """
    stated = [_split(text) for text in value]
    items = [item for row in stated for item in row]
    if name not in _TABLES:
        return tuple(items)
    width = _width(group, templates) if name == "values" else len(items)
    rows = [items[start : start + width] for start in range(0, len(items), width or len(items))]
    return value if stated == rows else tuple(", ".join(row) for row in rows)


def _width(table: Group, templates: Templates) -> int:
    """How many values a row of a table has: as many as its last axis; 0 where it has none."""
    template = templates.of(table)
    for position in (3, 2, 1):
        if template is not None and template.text(f"variable_{position}"):
            name = f"index_{position}"
            return len(table.numbers(name) or template.numbers(name))
    return 0


def _split(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _safe(value: str) -> bool:
    """Whether every tool reads the same: one line without comments, quotes, backslashes and braces."""
    return _SAFE.fullmatch(value) is not None and "//" not in value and "/*" not in value


_TABLES = frozenset({"values", "index_1", "index_2", "index_3"})
_CHOSEN = frozenset({"cell", "lu_table_template"})
_DEPTH_OF_TABLES = 4  # library, cell, pin, timing, table
_FUNCTIONS = frozenset({"function", "clocked_on", "next_state", "clear", "preset"})
_SAFE = re.compile(r"[A-Za-z0-9_ \t.,:!&|^*+'()=~<>%\[\]$@?/-]*")
_DROPPED_ATTRIBUTES = frozenset(
    # Of a range OpenSTA takes the upper end: more than the capacitance that is stated beside it.
    {"comment", "date", "revision", "rise_capacitance_range", "fall_capacitance_range"}
)
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
