"""The comparison on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .comparison import Row
from .requantisation import UnitRow
from .tables import HEADERS, UNIT_HEADERS, cells, notes, unit_cells, unit_notes

__all__ = ["print_table"]


_WIDE = 150  # columns of a terminal that shows both normalisations side by side
_UNITS, _THROUGHPUT = (0, 1, 2, 3, 4, 5), (0, 6, 7, 8, 9, 10, 11, 12)


def print_table(rows: Sequence[Row], units: Sequence[UnitRow] = ()) -> None:
    """Prints one table a bit-width, or on a narrow terminal one a normalisation, the notes, and requantisation."""
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False, markup=False)
    parts = [tuple(range(len(HEADERS)))] if console.width >= _WIDE else [_UNITS, _THROUGHPUT]
    lines = cells(rows)
    for bits in dict.fromkeys(row.bits for row in rows):
        for part in parts:
            table = Table(title=f"mean of {bits} bits", title_justify="left", pad_edge=False)
            for column in part:
                table.add_column(HEADERS[column], justify="left" if column < 2 else "right", overflow="fold")
            for at, line in lines:
                if at == bits:
                    table.add_row(*(line[column] for column in part))
            console.print(table)
    for note in notes(rows):
        console.print(note, soft_wrap=True)
    if units:
        table = Table(title="requantisation, one unit", title_justify="left", pad_edge=False)
        for column, header in enumerate(UNIT_HEADERS):
            table.add_column(header, justify="left" if column in (1, 2) else "right", overflow="fold")
        for line in unit_cells(units):
            table.add_row(*line)
        console.print(table)
        for note in unit_notes(units):
            console.print(note, soft_wrap=True)
