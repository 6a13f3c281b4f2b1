"""Whole networks on a simulated array: Verilator, driven from C++, with NumPy arrays in and out.

In: an integer network and an array. Out: every result compared with PyTorch. Read ``driver``, ``engine``, ``drain``,
``layout`` (operands in memories), ``library`` (how the simulation is built), ``sliced`` (many equal elements at once),
``tiles``, then ``equivalence`` (a whole network).
"""

from __future__ import annotations

from .drain import requantiser_of
from .driver import ArraySimulator
from .engine import GemmRecord
from .equivalence import Equivalence, verify
from .library import array_verilog, build_library
from .tiles import DEFAULT, Tile, take_tiles

__all__ = [
    "DEFAULT",
    "ArraySimulator",
    "Equivalence",
    "GemmRecord",
    "Tile",
    "array_verilog",
    "build_library",
    "requantiser_of",
    "take_tiles",
    "verify",
]
