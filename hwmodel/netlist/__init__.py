"""TODO"""

from __future__ import annotations

from .area import AreaParts, area_parts
from .evaluate import GateLevel
from .netlist import Instance, Netlist, read_netlist
from .schedule import components

__all__ = ["AreaParts", "GateLevel", "Instance", "Netlist", "area_parts", "components", "read_netlist"]
