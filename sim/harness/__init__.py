"""Whole networks on a simulated array: Verilator, driven from C++, with NumPy arrays in and out."""

from __future__ import annotations

from .drain import drain_tables
from .driver import ArraySimulator
from .engine import ArrayEngine, GemmRecord
from .library import array_verilog, build_library
from .tiles import DEFAULT, Tile, take_tiles

__all__ = [
    "DEFAULT",
    "ArrayEngine",
    "ArraySimulator",
    "GemmRecord",
    "Tile",
    "array_verilog",
    "build_library",
    "drain_tables",
    "take_tiles",
]
