"""TODO"""

from __future__ import annotations

from .flow import Mapped, Synthesis, Workspace, read_back, synthesise
from .recipes import FLOW_VERSION, looks_at_area_alone, recipe_named
from .sta import OpenSta, TimingError, ToolMissing, analyse, find_opensta, opensta_version
from .stages import Attempt, try_stages

__all__ = [
    "FLOW_VERSION",
    "Attempt",
    "Mapped",
    "OpenSta",
    "Synthesis",
    "TimingError",
    "ToolMissing",
    "Workspace",
    "analyse",
    "find_opensta",
    "looks_at_area_alone",
    "opensta_version",
    "read_back",
    "recipe_named",
    "synthesise",
    "try_stages",
]
