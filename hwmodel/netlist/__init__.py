"""Mapped netlists: instances of library cells and the nets between them.

In: the JSON that Yosys writes. Out: a netlist that can be evaluated, all cycles at once, and the parts of its area.
Read ``netlist``, ``schedule``, ``clocks``, ``evaluate``, ``area``.
"""

from __future__ import annotations

from .area import AreaParts, area_parts, instance_parts
from .clocks import ClockNet, clock_nets, pulses_of
from .evaluate import GateLevel
from .netlist import Instance, Netlist, read_netlist
from .schedule import components

__all__ = [
    "AreaParts",
    "ClockNet",
    "GateLevel",
    "Instance",
    "Netlist",
    "area_parts",
    "clock_nets",
    "components",
    "instance_parts",
    "pulses_of",
    "read_netlist",
]
