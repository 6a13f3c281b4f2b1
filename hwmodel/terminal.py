"""The comparison on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from hwmodel.comparison import Row
from hwmodel.tables import HEADERS, cells, notes

__all__ = ["print_table"]


_WIDE = 150  # columns of a terminal that shows both normalisations side by side
_UNITS, _THROUGHPUT = (0, 1, 2, 3, 4, 5), (0, 6, 7, 8, 9, 10, 11, 12)


def print_table(rows: Sequence[Row]) -> None:
    """Prints one table a bit-width, or on a narrow terminal one a normalisation, and the notes."""
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
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
