"""A Liberty file as data: its groups, Boolean functions, cells, and tables of energies and delays.

In: the text of a .lib file. Out: the tree of its groups, and cells as functions and tables, checked when they are read.
Read ``tree``, ``functions``, ``models`` (a cell; ``clockgates``), ``power``, then ``timing``.
"""

from __future__ import annotations

from .clockgates import ClockGate, read_clock_gate
from .functions import (
    ONE_NET,
    ZERO_NET,
    And,
    Constant,
    Evaluator,
    Expression,
    Not,
    Or,
    Variable,
    Xor,
    parse_function,
    portable,
)
from .models import CellModel, FlipFlop, LibraryCells, capacitance_unit_pf
from .power import (
    CellPower,
    Energy,
    LibraryPower,
    LookupTable,
    check_energy_ratio,
    energy_ratio,
    nominal_voltage_v,
    operating_conditions,
    unit,
)
from .timing import DELAYS, Arc, cell_arcs
from .tree import Group, named_pins, parse_liberty

__all__ = [
    "DELAYS",
    "ONE_NET",
    "ZERO_NET",
    "And",
    "Arc",
    "CellModel",
    "CellPower",
    "ClockGate",
    "Constant",
    "Energy",
    "Evaluator",
    "Expression",
    "FlipFlop",
    "Group",
    "LibraryCells",
    "LibraryPower",
    "LookupTable",
    "Not",
    "Or",
    "Variable",
    "Xor",
    "capacitance_unit_pf",
    "cell_arcs",
    "check_energy_ratio",
    "energy_ratio",
    "named_pins",
    "nominal_voltage_v",
    "operating_conditions",
    "parse_function",
    "parse_liberty",
    "portable",
    "read_clock_gate",
    "unit",
]
