"""Mapped netlists: instances of library cells and the nets between them.

In: the JSON that Yosys writes. Out: a netlist that can be evaluated, all cycles at once, and the parts of its area.
Read ``netlist``, ``schedule``, ``evaluate``, ``area``.
"""

from __future__ import annotations

from .area import AreaParts, area_parts, instance_parts
from .evaluate import GateLevel
from .netlist import Instance, Netlist, read_netlist
from .schedule import components

__all__ = [
    "AreaParts",
    "GateLevel",
    "Instance",
    "Netlist",
    "area_parts",
    "components",
    "instance_parts",
    "read_netlist",
]
