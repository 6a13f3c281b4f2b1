"""Timing tables of a Liberty cell, checked before a timing tool meets them: shapes, indices, numbers."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from hwmodel.liberty import Group, named_pins

__all__ = ["check_timing", "states_delays"]

_DELAYS = ("cell_rise", "cell_fall")
_POSITIONS = (1, 2, 3)


def check_timing(library: Group, cell: Group) -> None:
    """Raises InputError for a table of a cell whose values are not as many as its indices ask for, whose indices do not
    rise, or whose numbers are none.
    """
    templates = {group.name: group for group in library.group_iter("lu_table_template")}
    for name, pin in named_pins(cell):
        for timing in pin.group_iter("timing"):
            for table in timing.groups:
                if "values" in table.attributes:
                    _check(table, templates.get(table.name), f"of pin {name} of cell {cell.name}")


def states_delays(cell: Group) -> bool:
    """Whether every output of a cell has a table of rising or falling delays."""
    outputs = [pin for _, pin in named_pins(cell) if pin.text("direction") == "output"]
    return all(
        any(
            table.kind in _DELAYS and table.attributes.get("values")
            for timing in pin.group_iter("timing")
            for table in timing.groups
        )
        for pin in outputs
    )


def _check(table: Group, template: Group | None, of: str) -> None:
    axes = []
    for position in _POSITIONS:
        if template is not None and not template.text(f"variable_{position}"):
            continue
        index = f"index_{position}"
        axis = table.numbers(index) or (template.numbers(index) if template is not None else ())
        if template is None and not axis:
            continue
        if not axis or not all(low < high for low, high in pairwise(axis)):
            raise table.fail(f"{of} must have rising numbers for {index}")
        axes.append(axis)
    values = table.numbers("values")
    wanted = prod(len(axis) for axis in axes)
    if len(values) != wanted:
        shape = " x ".join(str(len(axis)) for axis in axes) or "1"
        raise table.fail(f"{of} must have {shape} values, not {len(values)}")
