"""The comparison on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from hwmodel.comparison import Row
from hwmodel.tables import HEADERS, cells, notes

__all__ = ["print_table"]


def print_table(rows: Sequence[Row]) -> None:
    """Prints one table a bit-width and the notes; as wide as it must be where the output is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    lines = cells(rows)
    for bits in dict.fromkeys(row.bits for row in rows):
        table = Table(title=f"mean of {bits} bits", title_justify="left", pad_edge=False)
        for position, header in enumerate(HEADERS):
            table.add_column(header, justify="left" if position < 2 else "right", overflow="fold")
        for at, line in lines:
            if at == bits:
                table.add_row(*line)
        console.print(table)
    for note in notes(rows):
        console.print(note, soft_wrap=True)
