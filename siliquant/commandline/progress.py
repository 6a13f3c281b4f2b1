"""What long work shows on standard error: a spinner on a terminal, else a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FIRST_LINES_S", "working"]

FIRST_LINES_S = (5.0, 10.0, 15.0, 30.0)
"""Seconds before each of the first lines where there is no terminal; a minute before every further one."""


@contextmanager
def working(
    name: str, console: Console | None = None, *, lines: Sequence[float] | None = FIRST_LINES_S
) -> Iterator[Callable[[str], None]]:
    """Shows that something is being done, for how long, and the latest news of it: what the caller passes to the
    function that it gets.

    console: default standard error. lines: as FIRST_LINES_S; None: nothing where there is no terminal.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = console or Console(stderr=True)
    if not shown.is_terminal:
        with _lines(name, shown, lines) as news:
            yield news
        return
    columns = (SpinnerColumn(), TextColumn(escape(name)), TimeElapsedColumn(), TextColumn("{task.fields[news]}"))
    with Progress(*columns, console=shown, transient=True) as progress:
        task = progress.add_task("", total=None, news="")
        yield lambda news: progress.update(task, news=escape(news[: max(20, shown.width - 40)]))


@contextmanager
def _lines(name: str, console: Console, waits: Sequence[float] | None) -> Iterator[Callable[[str], None]]:
    latest, start, done = [""], time.monotonic(), threading.Event()

    def say() -> None:
        for wait in chain(waits or (), repeat(60.0)):
            if done.wait(wait):
                return
            text = f"{name}: {time.monotonic() - start:.0f} s{latest[0] and f', {latest[0]}'}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

    thread = None if waits is None else threading.Thread(target=say, daemon=True)
    if thread is not None:
        thread.start()
    try:
        yield lambda news: latest.__setitem__(0, news)
    finally:
        done.set()
        if thread is not None:
            thread.join()
