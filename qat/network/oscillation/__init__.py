"""Oscillation of weights between two codes: a regulariser against it, a tracker of it, and freezing.

Read ``regulariser``, ``tracker``, ``freezer``; then ``batch`` and ``batched_regulariser``, which have
all weights at once, for CUDA.
"""

from __future__ import annotations

from .freezer import Freezer
from .regulariser import BinRegulariser, bin_regulariser, regulariser_weight
from .tracker import OscillationTracker

__all__ = ["BinRegulariser", "Freezer", "OscillationTracker", "bin_regulariser", "regulariser_weight"]
