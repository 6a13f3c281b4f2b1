"""Timing of a Liberty cell, checked before a timing tool meets it.

Such a tool leaves out what it does not know with a warning, and a path that is left out takes no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from siliquant.inputs import short

from .merging import Templates
from .tree import Group, named_pins

__all__ = ["DELAYS", "Arc", "Table", "cell_arcs"]

DELAYS = ("cell_rise", "cell_fall")
"""Groups that hold delays, by the edge of the output."""
_POSITIONS = (1, 2, 3)
_WITH = {
    **{f"cell_{edge}": f"{edge}_transition" for edge in ("rise", "fall")},
    **{f"{edge}_transition": f"cell_{edge}" for edge in ("rise", "fall")},
}
_TABLES = frozenset({*_WITH, "rise_constraint", "fall_constraint"})
_SENSES = frozenset({"", "positive_unate", "negative_unate", "non_unate"})
_EDGES = ("rising", "falling")
_TYPES = frozenset(
    {
        *("", "combinational", "combinational_rise", "combinational_fall", "rising_edge", "falling_edge"),
        *("preset", "clear", "min_pulse_width", "minimum_period", "min_clock_tree_path", "max_clock_tree_path"),
        *(f"{kind}_{edge}" for kind in ("setup", "hold", "recovery", "removal", "skew") for edge in _EDGES),
        *(f"non_seq_{kind}_{edge}" for kind in ("setup", "hold") for edge in _EDGES),
        *(f"nochange_{one}_{other}" for one in ("high", "low") for other in ("high", "low")),
    }
)
_VARIABLES = frozenset(
    {
        *("input_net_transition", "input_transition_time", "total_output_net_capacitance", "output_net_length"),
        *("output_net_wire_cap", "output_net_pin_cap", "equal_or_opposite_output_net_capacitance"),
        *("related_pin_transition", "constrained_pin_transition", "related_out_total_output_net_capacitance"),
        *("related_out_output_net_length", "related_out_output_net_wire_cap", "related_out_output_net_pin_cap"),
        *("connect_delay", "output_transition", "time", "input_noise_width", "input_noise_height"),
    }
)


@dataclass(frozen=True, slots=True)
class Table:
    """One table of an arc, in the library's units: its values row after row over the axes of some variables."""

    group: Group
    axes: Mapping[str, tuple[float, ...]]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arc:
    """One timing group of a pin: the pins it is related to, and its tables of delays, slews and constraints by kind."""

    pin: str
    related: tuple[str, ...]
    kind: str  # its timing_type; empty where none is stated
    sense: str  # its timing_sense, likewise
    group: Group
    tables: Mapping[str, Table]

    @property
    def delays(self) -> dict[str, Table]:
        """Those of its tables that hold delays."""
        return {kind: table for kind, table in self.tables.items() if kind in DELAYS}


def cell_arcs(cell: Group, templates: Templates) -> list[Arc]:
    """The arcs of a cell.

    Raises InputError for timing of unknown sense or type or of a pin that the cell has not, for a table that is there
    twice or without its template, with values not as many as its indices ask for, indices that do not rise, or numbers
    that are none.

    templates: the library's lu_table_template groups.
    """
    pins = named_pins(cell)
    known = {name for name, _ in pins}
    found = []
    for name, pin in pins:
        of = f"of pin {name} of cell {cell.name}"
        for timing in pin.group_iter("timing"):
            for attribute, allowed in (("timing_sense", _SENSES), ("timing_type", _TYPES)):
                if timing.text(attribute) not in allowed:
                    raise timing.fail(f"{of} must have a {attribute} of Liberty, not {short(timing.text(attribute))}")
            related = tuple(timing.text("related_pin").split())
            unknown = sorted(set(related) - known)
            if unknown:
                raise timing.fail(f"{of} must have pins of its cell for related_pin, not {short(unknown[0])}")
            kinds = {table.kind for table in timing.groups}
            if kinds & set(_WITH) and not related:
                raise timing.fail(f"{of} must have a related_pin")
            for kind in sorted(kinds & set(_WITH)):
                if _WITH[kind] not in kinds:
                    raise timing.fail(f"{of} must have {_WITH[kind]} beside {kind}")
            tables: dict[str, Table] = {}
            for table in timing.groups:
                if table.kind in _TABLES or "values" in table.attributes:
                    read = _read(table, templates.of(table), of)
                    if table.kind in _TABLES and table.kind in tables:
                        raise table.fail(f"{of} must be there once in its timing")
                    tables[table.kind] = read
            kept = {kind: table for kind, table in tables.items() if kind in _TABLES}
            found.append(Arc(name, related, timing.text("timing_type"), timing.text("timing_sense"), timing, kept))
    return found


def _read(table: Group, template: Group | None, of: str) -> Table:
    if template is None and table.name != "scalar":
        raise table.fail(f"{of} must have a lu_table_template, and the library has none of that name")
    axes: dict[str, tuple[float, ...]] = {}
    for position in _POSITIONS:
        variable = template.text(f"variable_{position}") if template is not None else ""
        if not variable:
            continue
        if template is not None and (variable not in _VARIABLES or variable in axes):
            raise template.fail(f"must have a variable_{position} of Liberty, each once, not {short(variable)}")
        index = f"index_{position}"
        axis = table.numbers(index) or (template.numbers(index) if template is not None else ())
        if not axis or not all(low < high for low, high in pairwise(axis)):
            raise table.fail(f"{of} must have rising numbers for {index}")
        axes[variable] = axis
    values = table.numbers("values")
    wanted = prod(len(axis) for axis in axes.values())
    if len(values) != wanted:
        shape = " x ".join(str(len(axis)) for axis in axes.values()) or "1"
        raise table.fail(f"{of} must have {shape} values, not {len(values)}")
    return Table(table, axes, values)
