"""Verilator and Icarus Verilog: found, built with, run; generated Verilog is kept."""

from __future__ import annotations

from .generated import generated_verilog
from .toolchain import SIMULATORS, SimulationError, ToolError, Verilator, cached, executable, run_tool

__all__ = [
    "SIMULATORS",
    "SimulationError",
    "ToolError",
    "Verilator",
    "cached",
    "executable",
    "generated_verilog",
    "run_tool",
]
