"""TODO"""

from __future__ import annotations

from .bench import TOP, run_array_tests, verilog_of_arrays
from .cases import Job, Step

__all__ = ["TOP", "Job", "Step", "run_array_tests", "verilog_of_arrays"]
