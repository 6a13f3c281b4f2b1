"""TODO"""

from __future__ import annotations

from .bitheap import BitHeap
from .circuit import ONE, ZERO, Bit, Circuit, Gate, Op, Word
from .controls import Controls
from .datapath import Datapath, DatapathBuilder, build_datapath, emulate
from .pipeline import schedule
from .ports import Port

__all__ = [
    "ONE",
    "ZERO",
    "Bit",
    "BitHeap",
    "Circuit",
    "Controls",
    "Datapath",
    "DatapathBuilder",
    "Gate",
    "Op",
    "Port",
    "Word",
    "build_datapath",
    "emulate",
    "schedule",
]
