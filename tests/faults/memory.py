"""Too little memory: a limit of the address space that makes a command fail somewhere."""

from __future__ import annotations

import re

from tests.faults.processes import start
from tests.faults.trial import Trial

__all__ = ["MISSING", "memory"]

_MIB = 1 << 20
_LEAST, _MOST = 40, 2000
MISSING = r"\b(memory|m?alloc\w*|killed|threads?|crashed|(?-i:SIG[A-Z]{3,}))\b"
"""What a command says, whatever the case: whole words, as design and intended have SIG and ended in them."""


def memory(trial: Trial) -> None:
    """Runs it under limits of 40 MiB to 2 GiB, evenly drawn by their logarithm: it says in a line that memory is
    missing, or does its work. Then it works without a limit, with the cache that the runs left.
    """
    reference = trial.reference()
    world = trial.world()
    while trial.goes_on():
        size = int(_LEAST * (_MOST / _LEAST) ** trial.draw.random())
        what = f"{size} MiB"
        command = ["prlimit", f"--as={size * _MIB}", *world.command()]
        started = start(command, world.folder("work"), world.environment(), streams=world.place)
        code = trial.end(started, reference.seconds)
        trial.tally.cases += 1
        if code == 0:
            trial.tally.ended("did its work")
            trial.same(world, reference, what)
            world = trial.world()
        elif code is not None and code < 0:
            trial.tally.ended("ended by a signal")
        elif re.search(r"std::bad_alloc|Fatal Python error", world.said()):
            trial.tally.ended("ended by a library")
        else:
            trial.tally.ended("said so")
            trial.refused(world, code, what, MISSING)
        if code != 0:
            trial.again(world, reference, f"a limit of {what}")
            world = trial.world()
