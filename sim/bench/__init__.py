"""What the simulations of MAC units and of arrays share: the simulated top module, and the error of a mismatch."""

from __future__ import annotations

from .mismatch import MismatchError
from .top import TOP, Layout, bench_verilog, response_file, stimulus_file

__all__ = ["TOP", "Layout", "MismatchError", "bench_verilog", "response_file", "stimulus_file"]
