"""Standard-cell libraries: from a Liberty file to what synthesis, timing, simulation and power need of it.

In: a library by name or a .lib file. Out: a :class:`Library` with its facts and provenance, a slim copy for Yosys and
OpenSTA, cells as Boolean functions, power tables, and simulation models. :mod:`hwmodel.liberty` reads the file. Read
``cells`` (which cell serves as what, with ``purposes`` and ``flipflops``), ``digest`` (with ``arcs``, ``checks`` and
``plausible``, which say what is refused), then ``library``.
"""

from __future__ import annotations

from hwmodel.liberty import (
    ONE_NET,
    ZERO_NET,
    And,
    CellModel,
    CellPower,
    ClockGate,
    Constant,
    Energy,
    Evaluator,
    Expression,
    FlipFlop,
    LibertyFiles,
    LibraryCells,
    LibraryPower,
    LookupTable,
    Not,
    Or,
    Variable,
    Xor,
    parse_liberty,
)

from .cells import ClockGateCell
from .library import Finding, Library, UnknownLibraryError, files_of, find_library
from .sdf import CellPaths, Entry, PathDelay, read_sdf, sdf_text
from .verilog import TIMESCALE, cell_verilog, delay_pairs, input_columns, numbered, senses, verilog_expression

__all__ = [
    "ONE_NET",
    "TIMESCALE",
    "ZERO_NET",
    "And",
    "CellModel",
    "CellPaths",
    "CellPower",
    "ClockGate",
    "ClockGateCell",
    "Constant",
    "Energy",
    "Entry",
    "Evaluator",
    "Expression",
    "Finding",
    "FlipFlop",
    "LibertyFiles",
    "Library",
    "LibraryCells",
    "LibraryPower",
    "LookupTable",
    "Not",
    "Or",
    "PathDelay",
    "UnknownLibraryError",
    "Variable",
    "Xor",
    "cell_verilog",
    "delay_pairs",
    "files_of",
    "find_library",
    "input_columns",
    "numbered",
    "parse_liberty",
    "read_sdf",
    "sdf_text",
    "senses",
    "verilog_expression",
]
