"""A Liberty file as data: its groups, Boolean functions, cells, and tables of energies and delays.

In: the text of .lib files. Out: the tree of their groups; cells as functions and tables, checked when they are read.
Read ``source`` and ``tree``, ``merging`` (several files as one library), ``conditions`` (its corner), ``functions``,
``models`` (a cell; ``clockgates``), ``power``, ``timing``, then ``files`` (a library as it is given).
"""

from __future__ import annotations

from .clockgates import GATE_KIND, GATE_KINDS, ClockGate, read_clock_gate
from .conditions import TIMES_NS, nominal_temperature_c, nominal_voltage_v, operating_conditions, time_unit, unit
from .files import MOST_BYTES, LibertyFiles, sha256_of
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
from .merging import Templates, merged, with_conditions
from .models import (
    CellModel,
    FlipFlop,
    LibraryCells,
    capacitance_unit_pf,
    default_capacitance,
    pin_capacitance,
)
from .power import (
    CellPower,
    Energy,
    LibraryPower,
    LookupTable,
    check_energy_ratio,
    energy_ratio,
)
from .timing import DELAYS, Arc, Table, cell_arcs
from .tree import Group, named_pins, parse_liberty

__all__ = [
    "DELAYS",
    "GATE_KIND",
    "GATE_KINDS",
    "MOST_BYTES",
    "ONE_NET",
    "TIMES_NS",
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
    "LibertyFiles",
    "LibraryCells",
    "LibraryPower",
    "LookupTable",
    "Not",
    "Or",
    "Table",
    "Templates",
    "Variable",
    "Xor",
    "capacitance_unit_pf",
    "cell_arcs",
    "check_energy_ratio",
    "default_capacitance",
    "energy_ratio",
    "merged",
    "named_pins",
    "nominal_temperature_c",
    "nominal_voltage_v",
    "operating_conditions",
    "parse_function",
    "parse_liberty",
    "pin_capacitance",
    "portable",
    "read_clock_gate",
    "sha256_of",
    "time_unit",
    "unit",
    "with_conditions",
]
