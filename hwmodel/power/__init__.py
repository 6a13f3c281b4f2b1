"""Power of a mapped netlist from what its nets do: transitions, glitches, leakage.

In: a netlist, port words, a library with its power tables, slews and loads from OpenSTA. Out: a :class:`PowerReport`.
Read ``activity`` (without delays), ``delays``, ``icarus`` and ``glitches`` (with delays), ``power``. ``eventsim`` and
``transitions`` compute the same another way, for tests.
"""

from __future__ import annotations

from .activity import Waves, simulate
from .glitches import GLITCH_AWARE, SimulatorMissing, with_glitches
from .icarus import SimulationError, find_icarus, icarus_version, no_glitches
from .power import PowerReport, netlist_power

__all__ = [
    "GLITCH_AWARE",
    "PowerReport",
    "SimulationError",
    "SimulatorMissing",
    "Waves",
    "find_icarus",
    "icarus_version",
    "netlist_power",
    "no_glitches",
    "simulate",
    "with_glitches",
]
