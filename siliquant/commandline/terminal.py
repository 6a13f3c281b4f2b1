"""Tables that fit the terminal they are printed on, and 100 columns where the output is no terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LEAST_COLUMNS", "PIPED_COLUMNS", "console", "fitting", "print_notes", "print_table"]

LEAST_COLUMNS = 80
"""A terminal that is narrower is taken for so wide."""
PIPED_COLUMNS = 100
"""Columns of what is no terminal, where the variable COLUMNS does not say otherwise."""
_GAP = 2  # blanks between two columns of a table


def console() -> Console:
    """Standard output; numbers stay as they are, brackets are no markup, and a line stays one line however long.

    Only tables look at its width, which is the terminal's: a program that reads lines finds the same ones everywhere.
    """
    from rich.console import Console

    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and len(given) < 6:
        width = int(given)
    else:
        width = Console().width if sys.stdout.isatty() else PIPED_COLUMNS
    return Console(width=max(LEAST_COLUMNS, width), highlight=False, markup=False, soft_wrap=True)


def fitting(headers: Sequence[str], lines: Sequence[Sequence[str]], width: int, keys: int = 1) -> Iterator[list[int]]:
    """Columns that fit side by side into ``width``, in their order; the first ``keys`` begin every group.

    A header is broken between words, a cell never.
    """
    needed = _widths(headers, lines)
    group = list(range(keys))
    for column in range(keys, len(headers)):
        if len(group) > keys and sum(needed[each] + _GAP for each in (*group, column)) - _GAP > width:
            yield group
            group = list(range(keys))
        group.append(column)
    yield group


def print_table(
    out: Console,
    title: str,
    headers: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
    keys: int = 1,
    best: Collection[tuple[int, int]] = (),
) -> None:
    """Prints a table, in as many parts as the width asks for, under one title.

    left: columns of text; all others are numbers, on the right. keys: columns that every part begins with. best: the
    (line, column) that stand out on a terminal with colours.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    needed = _widths(headers, lines)
    out.print(Text(title, style="bold"))
    for group in fitting(headers, lines, out.width, keys):
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for column in group:
            table.add_column(
                headers[column], justify="left" if column in left else "right", width=needed[column], overflow="fold"
            )
        for number, line in enumerate(lines):
            table.add_row(*(Text(line[each], style="bold" if (number, each) in best else "") for each in group))
        out.print(table, soft_wrap=False)
        out.print()


def print_notes(out: Console, notes: Sequence[str]) -> None:
    """Prints lines below a table, each a line of its own however long."""
    for note in notes:
        out.print(note)


def _widths(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> list[int]:
    """Columns that each column of a table takes: its widest cell, or the longest word of its header."""
    return [
        max(*(len(word) for word in header.split()), *(len(line[column]) for line in lines), 1)
        for column, header in enumerate(headers)
    ]
