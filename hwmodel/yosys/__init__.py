"""What runs inside a Yosys worker process: one run of Yosys, and edits of the gate-level module between its passes.

In: a job file that ``hwmodel.synthesis`` writes. Out: a mapped netlist in the job's folder. Read ``worker`` first, then
``gates`` (the module as Yosys' JSON has it) and its edits: ``clockgates``, ``adders``, ``hybrid``, ``polarity``,
``abc``, ``registers``, ``fanout``. Loads neither NumPy nor torch, since a worker is started for every recipe.
"""

from __future__ import annotations

from .clockgates import clock_gates_of
from .fanout import LARGEST_FANOUT

__all__ = ["LARGEST_FANOUT", "clock_gates_of"]
