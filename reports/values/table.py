"""A table once, and from it text for people and for programs: cells, CSV, Markdown. LaTeX is in reports.values.tex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from siliquant.inputs import InputError, csv_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UNKNOWN", "Cell", "Column", "Table", "csv", "forms", "frame", "groups", "markdown", "shown"]

Cell = str | int | float | None
UNKNOWN = "–"
"""What people read where a value is not known; programs get an empty field."""
_PAGE = 60  # rows


@dataclass(frozen=True)
class Column:
    """name: in CSV files, with the unit, as area_um2. header: for people, with the unit. digits: decimals of numbers,
    None for text, which stands at the left. group: a header over neighbouring columns that have it, or none.
    """

    name: str
    header: str
    digits: int | None = None
    group: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; ``name`` is that of its files. marked: rows that others are compared with.

    Raises ValueError where a row has another number of cells than there are columns, and for two columns of one name.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise InputError(f"the columns of {self.name} must have different names, not {', '.join(names)}")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"a row of {self.name} must have {len(self.columns)} cells, not {len(row)}")


def shown(column: Column, cell: Cell) -> str:
    """A cell as people read it: numbers with the column's decimals, thousands set apart, and a minus sign."""
    if cell is None:
        return UNKNOWN
    if isinstance(cell, str):
        return cell
    digits = column.digits if column.digits is not None else 0
    text = f"{cell:,.{digits}f}"
    if text.strip("-0.,") == "":  # what rounds to nothing has no sign
        text = text.lstrip("-")
    return text.replace("-", "−")


def forms(table: Table) -> tuple[str, ...]:
    """The suffixes of its files: a table that is longer than a page is for programs only."""
    return ("csv", "md", "tex") if len(table.rows) <= _PAGE else ("csv",)


def groups(table: Table) -> list[tuple[str, int]]:
    """The headers over columns and how many each spans; empty where no column has one."""
    if not any(column.group for column in table.columns):
        return []
    return [(name, len(list(span))) for name, span in groupby(table.columns, key=lambda column: column.group)]


def frame(table: Table) -> pd.DataFrame:
    """The cells as they are, unrounded, under the names of the columns."""
    import pandas as pd

    # Objects: a column of integers with an unknown among them must not become one of fractions.
    return pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns], dtype=object)


def csv(table: Table) -> str:
    """For programs: every number in full, nothing where a value is not known."""
    text: str = csv_of(frame(table))
    return text


def markdown(table: Table) -> str:
    """A caption and a table as GitHub shows it; of grouped columns the header names the group, too."""
    names = [f"{column.header}, {column.group}" if column.group else column.header for column in table.columns]
    ruler = ["---" if column.digits is None else "---:" for column in table.columns]
    body = [[shown(column, cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]
    lines = [_line(names), f"| {' | '.join(ruler)} |", *(_line(cells) for cells in body)]
    return "\n".join([f"**{_plain(table.caption)}**", "", *lines]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    one_line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\|*_`<>[]#~" else character for character in one_line)
