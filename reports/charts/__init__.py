"""Figures: one kind a file, each drawn for a wide and for a narrow page, and written as SVG, PNG and PDF."""

from __future__ import annotations

from .curves import draw_curves
from .errors import draw_errors
from .front import FrontPanel, FrontPoint, draw_front, front_of
from .grid import Values, draw_dots, draw_grid
from .oscillation import draw_oscillation
from .output import Rendered, render, text_of
from .ratios import draw_ratios
from .stacked import Bar, Panel, draw_stacked
from .style import BARS, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, Chart, Layout, Look

__all__ = [
    "BARS",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILLION",
    "Bar",
    "Chart",
    "FrontPanel",
    "FrontPoint",
    "Layout",
    "Look",
    "Panel",
    "Rendered",
    "Values",
    "draw_curves",
    "draw_dots",
    "draw_errors",
    "draw_front",
    "draw_grid",
    "draw_oscillation",
    "draw_ratios",
    "draw_stacked",
    "front_of",
    "render",
    "text_of",
]
