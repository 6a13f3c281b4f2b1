"""Figures: one kind a file, each drawn for a wide and for a narrow page, and written as SVG, PNG and PDF."""

from __future__ import annotations

from .curves import draw_curves
from .errors import draw_errors
from .floorplan import draw_floorplans
from .front import FrontPanel, FrontPoint, draw_front, front_of
from .grid import Values, draw_dots, draw_grid
from .lines import Line, LinePanel, draw_lines
from .output import Rendered, render, text_of
from .pareto import draw_pareto, pareto
from .ratios import draw_ratios
from .stacked import Bar, Panel, draw_stacked
from .style import (
    BARS,
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Chart,
    Layout,
    Look,
    Mark,
    tidy,
    width_mark,
)

__all__ = [
    "BARS",
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILLION",
    "YELLOW",
    "Bar",
    "Chart",
    "FrontPanel",
    "FrontPoint",
    "Layout",
    "Line",
    "LinePanel",
    "Look",
    "Mark",
    "Panel",
    "Rendered",
    "Values",
    "draw_curves",
    "draw_dots",
    "draw_errors",
    "draw_floorplans",
    "draw_front",
    "draw_grid",
    "draw_lines",
    "draw_pareto",
    "draw_ratios",
    "draw_stacked",
    "front_of",
    "pareto",
    "render",
    "text_of",
    "tidy",
    "width_mark",
]
