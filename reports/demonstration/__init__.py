"""TODO"""

from __future__ import annotations

from .figures import Accuracy, Block, Figures, Simulated
from .page import html, screen

__all__ = ["Accuracy", "Block", "Figures", "Simulated", "html", "screen"]
