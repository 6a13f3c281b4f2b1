"""Simulation of MAC units with cocotb: every design against its golden model.

In: specs. Out: a failing test that names cycle, expected and actual. Read ``scenarios`` (which operands), ``sequence``
(cycle by cycle), ``checker``, ``testbench``, ``cases``, ``bench``, ``tests``.
"""

from __future__ import annotations

from .cases import with_size
from .scenarios import SCENARIOS, operand_codes, some_precisions

__all__ = ["SCENARIOS", "operand_codes", "some_precisions", "with_size"]
