"""From Verilog to the smallest netlist of library cells that meets a clock: Yosys and ABC, OpenSTA, sizing.

In: Verilog, a library, a clock. Out: a :class:`Synthesis` with netlist, timing and the recipe that won. Read
``recipes`` (what is tried, the same for every design), ``mapping``, ``sta``, ``selection``, ``sizing``, ``hybrid``,
``flow``; ``stages`` is the rule that gives a design its pipeline registers.
"""

from __future__ import annotations

from .flow import Mapped, Synthesis, Workspace, read_back, synthesise
from .mapping import SynthesisError, plain_gates
from .recipes import FLOW_VERSION, SCREENED, UNSCREENED, Recipe, looks_at_area_alone, recipe_named, recipes, search_of
from .sta import OpenSta, TimingError, ToolMissing, analyse, find_opensta, opensta_version
from .stages import Attempt, try_stages, try_trials, weighed_precision

__all__ = [
    "FLOW_VERSION",
    "SCREENED",
    "UNSCREENED",
    "Attempt",
    "Mapped",
    "OpenSta",
    "Recipe",
    "Synthesis",
    "SynthesisError",
    "TimingError",
    "ToolMissing",
    "Workspace",
    "analyse",
    "find_opensta",
    "looks_at_area_alone",
    "opensta_version",
    "plain_gates",
    "read_back",
    "recipe_named",
    "recipes",
    "search_of",
    "synthesise",
    "try_stages",
    "try_trials",
    "weighed_precision",
]
