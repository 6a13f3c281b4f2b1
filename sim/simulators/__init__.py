"""Verilator and Icarus Verilog: found, built with, run; generated Verilog is kept, and read back by Yosys."""

from __future__ import annotations

from .cycles import Ports, run_cycles
from .generated import generated_verilog
from .modules import SourceModule
from .netlists import NETLIST_SOURCES, check_loops, line_of, plain_name, plain_verilog, read_netlists, yosys_said
from .signals import Cell, Name, Net, PortShapes, ProofError, Signals, port_fault, ports_of
from .sources import Source, check_no_parameters, check_reset_port, read_source
from .toolchain import SIMULATORS, SimulationError, ToolError, Verilator, cached, executable, run_tool

__all__ = [
    "NETLIST_SOURCES",
    "SIMULATORS",
    "Cell",
    "Name",
    "Net",
    "PortShapes",
    "Ports",
    "ProofError",
    "Signals",
    "SimulationError",
    "Source",
    "SourceModule",
    "ToolError",
    "Verilator",
    "cached",
    "check_loops",
    "check_no_parameters",
    "check_reset_port",
    "executable",
    "generated_verilog",
    "line_of",
    "plain_name",
    "plain_verilog",
    "port_fault",
    "ports_of",
    "read_netlists",
    "read_source",
    "run_cycles",
    "run_tool",
    "yosys_said",
]
