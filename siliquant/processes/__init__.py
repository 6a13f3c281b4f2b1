"""Programs that are started, and the import path of siliquant's own processes.

Read ``run`` (nothing outlives its parent), ``watcher``, ``owners``, ``shadows``.
"""

from __future__ import annotations

from . import run, shadows
from .owners import OWNER, is_gone, owner
from .run import cores, end_with_parent
from .shadows import command, pin

__all__ = ["OWNER", "command", "cores", "end_with_parent", "is_gone", "owner", "pin", "run", "shadows"]
