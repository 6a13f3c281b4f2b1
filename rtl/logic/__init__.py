"""Combinational logic as a graph of gates, with no hardware library: built, compressed, pipelined, evaluated.

In: products of a design. Out: a :class:`Datapath`. Read ``circuit``, ``bitheap`` and ``controls`` (sums of weighted
bits), ``pipeline``, ``datapath`` (the same frame for every design), ``ports``.
"""

from __future__ import annotations

from .bitheap import BitHeap
from .circuit import ONE, ZERO, Bit, Circuit, Gate, Op, Sum, Word
from .controls import Controls
from .datapath import Datapath, DatapathBuilder, Registered, build_datapath, emulate
from .pipeline import FED_BACK, schedule
from .ports import Port, joined, placed

__all__ = [
    "FED_BACK",
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
    "Registered",
    "Sum",
    "Word",
    "build_datapath",
    "emulate",
    "joined",
    "placed",
    "schedule",
]
