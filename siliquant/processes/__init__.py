"""Programs that are started, and the import path of siliquant's own processes.

Read ``programs`` (nothing outlives its parent), ``watcher``, ``workers`` (one function over many items), ``owners``,
``shadows``; ``machine`` is what is compiled for.
"""

from __future__ import annotations

from .machine import native_flags, processor
from .owners import OWNER, is_gone, owner
from .programs import (
    TEMPORARY_HERE,
    EndedBySignalError,
    OutOfTimeError,
    cores,
    end_with_parent,
    ended_by_signal,
    kill_program,
    mark,
    run_program,
    start_program,
)
from .shadows import module_command, pin
from .workers import Outcome, Runner, WorkerLost, given_up, in_words, local, side_by_side

__all__ = [
    "OWNER",
    "TEMPORARY_HERE",
    "EndedBySignalError",
    "OutOfTimeError",
    "Outcome",
    "Runner",
    "WorkerLost",
    "cores",
    "end_with_parent",
    "ended_by_signal",
    "given_up",
    "in_words",
    "is_gone",
    "kill_program",
    "local",
    "mark",
    "module_command",
    "native_flags",
    "owner",
    "pin",
    "processor",
    "run_program",
    "side_by_side",
    "start_program",
]
