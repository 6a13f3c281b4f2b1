"""TODO"""

from __future__ import annotations

from .activity import Waves, simulate
from .glitches import GLITCH_AWARE, SimulatorMissing, with_glitches
from .icarus import icarus_version
from .power import PowerReport, netlist_power

__all__ = [
    "GLITCH_AWARE",
    "PowerReport",
    "SimulatorMissing",
    "Waves",
    "icarus_version",
    "netlist_power",
    "simulate",
    "with_glitches",
]
