"""TODO"""

from __future__ import annotations

from .fanout import LARGEST_FANOUT

__all__ = ["LARGEST_FANOUT"]
