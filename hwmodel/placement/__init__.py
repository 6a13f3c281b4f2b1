"""Wires from a placement: where cells lie, how long the wires between them are, and what these weigh in time and power.

In: a mapped netlist, a library, a technology (sizes of cells, wires a um). Out: the netlist timed with its wires, as
SPEF too, and a picture. Read ``lef`` and ``technology``, ``floorplan``, ``placer`` (coloquinte, in a process of its
own: ``worker``), ``steiner`` and ``wires``, ``picture``, ``place``.
"""

from __future__ import annotations

from .floorplan import UTILISATIONS
from .lef import Lef, read_lef
from .place import Placed, Placing, Wiring, place
from .placer import PlacementError, need_placer, placer_version
from .technology import Technology, Wire, read_wire, technology_of

__all__ = [
    "UTILISATIONS",
    "Lef",
    "Placed",
    "PlacementError",
    "Placing",
    "Technology",
    "Wire",
    "Wiring",
    "need_placer",
    "place",
    "placer_version",
    "read_lef",
    "read_wire",
    "technology_of",
]
