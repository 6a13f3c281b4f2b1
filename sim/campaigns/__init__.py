"""Random cases of all kinds, run for so many minutes, and what of each parameter was drawn.

Read ``drawing`` (with ``unit_drawing``, ``array_drawing``, ``network_drawing``), ``campaign`` (what is kept of a run),
``coverage``.
"""

from __future__ import annotations

from .campaign import Campaign, fuzz, summary
from .coverage import Tally
from .drawing import draw_case

__all__ = ["Campaign", "Tally", "draw_case", "fuzz", "summary"]
