"""Verilator and Icarus Verilog: found, built with, run; generated Verilog is kept, and read back by Yosys."""

from __future__ import annotations

from .cycles import Ports, run_cycles
from .generated import generated_verilog
from .netlists import NETLIST_SOURCES, plain_verilog, read_netlists
from .toolchain import SIMULATORS, SimulationError, ToolError, Verilator, cached, executable, run_tool

__all__ = [
    "NETLIST_SOURCES",
    "SIMULATORS",
    "Ports",
    "SimulationError",
    "ToolError",
    "Verilator",
    "cached",
    "executable",
    "generated_verilog",
    "plain_verilog",
    "read_netlists",
    "run_cycles",
    "run_tool",
]
