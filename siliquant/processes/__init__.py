"""Programs that are started, and the import path of siliquant's own processes.

Read ``run`` (nothing outlives its parent), ``watcher``, ``workers`` (one function over many items), ``owners``,
``shadows``; ``machine`` is what is compiled for.
"""

from __future__ import annotations

from . import run, shadows
from .machine import native_flags, processor
from .owners import OWNER, is_gone, owner
from .run import cores, end_with_parent
from .shadows import command, pin
from .workers import Outcome, Runner, WorkerLost, given_up, in_words, local

__all__ = [
    "OWNER",
    "Outcome",
    "Runner",
    "WorkerLost",
    "command",
    "cores",
    "end_with_parent",
    "given_up",
    "in_words",
    "is_gone",
    "local",
    "native_flags",
    "owner",
    "pin",
    "processor",
    "run",
    "shadows",
]
