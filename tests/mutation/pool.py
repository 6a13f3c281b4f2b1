"""Children side by side, with progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .child import Child

__all__ = ["Task", "run_all"]

_LOOKS = 0.05  # seconds between looks at the children
_LINES = 30.0  # seconds between lines of progress


@dataclass(frozen=True)
class Task:
    """Something that a child does. begin: starts it. end: takes what it found."""

    name: str
    begin: Callable[[], Child]
    end: Callable[[Child], None]


def run_all(tasks: Iterator[Task], total: int, jobs: int) -> None:
    """Runs ``total`` tasks, ``jobs`` of them at a time."""
    at_work: list[tuple[Task, Child]] = []
    done, begun = 0, time.monotonic()
    said = begun
    while True:
        while len(at_work) < jobs and (task := next(tasks, None)) is not None:
            at_work.append((task, task.begin()))
        if not at_work:
            return
        time.sleep(_LOOKS)  # no thread waits: the children are forked from this process
        for each in [each for each in at_work if each[1].poll()]:
            at_work.remove(each)
            each[0].end(each[1])
            done += 1
        if time.monotonic() - said > _LINES:
            said = time.monotonic()
            names = ", ".join(task.name for task, _ in at_work)
            print(f"{said - begun:.0f} s, {done} of {total}: {names}", file=sys.stderr, flush=True)
