"""Random cases of all kinds, run for so many minutes or so many of them, and what of each parameter was drawn.

Read ``drawing`` (with ``unit_drawing``, ``array_drawing``, ``network_drawing``), ``campaign``, ``state`` (what is kept
of a run), ``coverage`` and ``values`` (what was drawn).
"""

from __future__ import annotations

from .campaign import EVERY, fuzz, summary
from .coverage import Tally
from .drawing import draw_case
from .state import STATE, Campaign

__all__ = ["EVERY", "STATE", "Campaign", "Tally", "draw_case", "fuzz", "summary"]
