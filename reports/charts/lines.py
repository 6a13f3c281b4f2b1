"""Lines over a quantity of steps, as epochs or bits, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .labels import apart
from .style import INK, WIDTHS, Layout, Mark, canvas, log_ticks, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Line", "LinePanel", "draw_lines"]

_LABEL_POINTS = 10.0
_HEIGHT = 3.0
_TICKS = tuple(step * 10.0**power for step in (1, 3, 2, 5, 1.5, 7) for power in range(-3, 6))


@dataclass(frozen=True)
class Line:
    """One line under its name. mark: of its points; None takes the next of the palette."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    mark: Mark | None = None


@dataclass(frozen=True)
class LinePanel:
    """Lines with the labels of their axes; log: of the values, which are then all positive."""

    xlabel: str
    ylabel: str
    lines: tuple[Line, ...]
    log: bool = False


def draw_lines(groups: Sequence[LinePanel], layout: Layout) -> Figure:
    """A panel each, side by side on a wide page."""
    figure = canvas(layout, _HEIGHT * (1 if layout is Layout.WIDE else len(groups)))
    for axes, panel in zip(panels(figure, len(groups), layout), groups, strict=True):
        _panel(axes, panel)
    return figure


def _panel(axes: Axes, panel: LinePanel) -> None:
    from math import log10

    from matplotlib.ticker import MaxNLocator

    values = [value for line in panel.lines for value in line.ys]
    if panel.log:
        axes.set_yscale("log")
        axes.set_ylim(0.8 * min(values), 1.25 * max(values))
    else:
        axes.set_ylim(0, 1.08 * max(values) or 1)
    marks = [line.mark or list(WIDTHS.values())[at % len(WIDTHS)] for at, line in enumerate(panel.lines)]
    for line, mark in zip(panel.lines, marks, strict=True):
        style = "-" if mark.filled else (0, (4, 1.5))
        axes.plot(line.xs, line.ys, markersize=4.5, clip_on=False, linestyle=style, **mark.options)
    scale = log10 if panel.log else float
    low, high = map(scale, axes.get_ylim())
    ends = [scale(line.ys[-1]) for line in panel.lines]
    places = apart(ends, _LABEL_POINTS * (high - low) / (72 * (_HEIGHT - 0.7)), low, high)
    for line, mark, place in zip(panel.lines, marks, places, strict=True):
        axes.annotate(line.name, (line.xs[-1], line.ys[-1]), (1.05, 10**place if panel.log else place),
                      textcoords=axes.get_yaxis_transform(), annotation_clip=False, va="center", fontsize=8, color=INK,
                      arrowprops={"arrowstyle": "-", "color": mark.colour, "linewidth": 0.8, "linestyle": ":",
                                  "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)},
                      )  # fmt: skip
    first, last = min(line.xs[0] for line in panel.lines), max(line.xs[-1] for line in panel.lines)
    axes.set_xlim(first - 0.02 * last, last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.log:
        log_ticks(axes, "y", _TICKS, 0.1)
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel(panel.ylabel)
    tidy(axes, "y")
