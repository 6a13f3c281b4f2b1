"""Simulation of arrays with cocotb: every product against NumPy, every cycle count against the spec.

Read ``cases``, ``testbench``, ``trace``, ``bench``, ``tests``.
"""

from __future__ import annotations

from .bench import TOP, run_array_tests, trace_array_tests, verilog_of_arrays
from .cases import Job, Step, random_codes
from .trace import Looked

__all__ = [
    "TOP", "Job", "Looked", "Step", "random_codes", "run_array_tests", "trace_array_tests", "verilog_of_arrays"
]  # fmt: skip
