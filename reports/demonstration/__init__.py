"""The demonstration from a network to silicon numbers: its figures, and its page."""

from __future__ import annotations

from .figures import Accuracy, Block, Figures, Simulated
from .page import html, screen

__all__ = ["Accuracy", "Block", "Figures", "Simulated", "html", "screen"]
