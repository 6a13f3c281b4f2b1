"""Timing of a Liberty cell, checked before a timing tool meets it.

Such a tool leaves out what it does not know with a warning, and a path that is left out takes no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod

from siliquant.inputs import short

from .liberty import Group, named_pins

__all__ = ["check_timing", "states_delays"]

_POSITIONS = (1, 2, 3)
_DELAYS = ("cell_rise", "cell_fall")
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


def check_timing(cell: Group, templates: Mapping[str, Group]) -> None:
    """Raises InputError for timing of unknown sense or type or of a pin that the cell has not, and for a table without
    its template, with values not as many as its indices ask for, indices that do not rise, or numbers that are none.

    templates: the library's lu_table_template groups by name.
    """
    pins = named_pins(cell)
    known = {name for name, _ in pins}
    for name, pin in pins:
        of = f"of pin {name} of cell {cell.name}"
        for timing in pin.group_iter("timing"):
            for attribute, allowed in (("timing_sense", _SENSES), ("timing_type", _TYPES)):
                if timing.text(attribute) not in allowed:
                    raise timing.fail(f"{of} must have a {attribute} of Liberty, not {short(timing.text(attribute))}")
            unknown = sorted(set(timing.text("related_pin").split()) - known)
            if unknown:
                raise timing.fail(f"{of} must have pins of its cell for related_pin, not {short(unknown[0])}")
            kinds = {table.kind for table in timing.groups}
            if kinds & set(_WITH) and not timing.text("related_pin"):
                raise timing.fail(f"{of} must have a related_pin")
            for kind in sorted(kinds & set(_WITH)):
                if _WITH[kind] not in kinds:
                    raise timing.fail(f"{of} must have {_WITH[kind]} beside {kind}")
            for table in timing.groups:
                if table.kind in _TABLES or "values" in table.attributes:
                    _check(table, templates.get(table.name), of)


def states_delays(cell: Group) -> bool:
    """Whether every output of a cell has a table of rising or falling delays."""
    outputs = [pin for _, pin in named_pins(cell) if pin.text("direction") == "output"]
    tables = ([table for timing in pin.group_iter("timing") for table in timing.groups] for pin in outputs)
    return all(any(table.kind in _DELAYS and table.attributes.get("values") for table in each) for each in tables)


def _check(table: Group, template: Group | None, of: str) -> None:
    if template is None and table.name != "scalar":
        raise table.fail(f"{of} must have a lu_table_template, and the library has none of that name")
    axes = []
    for position in _POSITIONS:
        variable = template.text(f"variable_{position}") if template is not None else ""
        if not variable:
            continue
        if template is not None and variable not in _VARIABLES:
            raise template.fail(f"must have a variable_{position} of Liberty, not {short(variable)}")
        index = f"index_{position}"
        axis = table.numbers(index) or (template.numbers(index) if template is not None else ())
        if not axis or not all(low < high for low, high in pairwise(axis)):
            raise table.fail(f"{of} must have rising numbers for {index}")
        axes.append(axis)
    values = table.numbers("values")
    wanted = prod(len(axis) for axis in axes)
    if len(values) != wanted:
        shape = " x ".join(str(len(axis)) for axis in axes) or "1"
        raise table.fail(f"{of} must have {shape} values, not {len(values)}")
