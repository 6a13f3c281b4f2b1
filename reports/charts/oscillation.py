"""Oscillating weights by epoch: a line a run, named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.inputs import Oscillation

from .labels import apart
from .style import INK, WIDTHS, Layout, canvas, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_oscillation"]

_LABEL_POINTS = 10.0


def draw_oscillation(runs: Sequence[Oscillation], layout: Layout) -> Figure:
    """Shares in percent of all weights."""
    from matplotlib.ticker import MaxNLocator

    height = 3.0
    figure = canvas(layout, height)
    axes = figure.subplots()
    marks = list(WIDTHS.values())
    highest = max(share for run in runs for share in run.shares)
    axes.set_ylim(0, 108 * highest or 1)
    last = max(run.epochs[-1] for run in runs)
    for number, run in enumerate(runs):
        mark = marks[number % len(marks)]
        axes.plot(run.epochs, [100 * share for share in run.shares], markersize=4, clip_on=False, **mark.options)
    ends = [100 * run.shares[-1] for run in runs]
    top = axes.get_ylim()[1]
    places = apart(ends, _LABEL_POINTS * top / (72 * (height - 0.7)), 0, top)
    for number, (run, end, place) in enumerate(zip(runs, ends, places, strict=True)):
        axes.annotate(f"{run.name}, {end:.2f} %", (run.epochs[-1], end), (1.03, place),
                      textcoords=("axes fraction", "data"), annotation_clip=False, va="center", fontsize=8, color=INK,
                      arrowprops={"arrowstyle": "-", "color": marks[number % len(marks)].colour, "linewidth": 0.8,
                                  "linestyle": ":", "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)},
                      )  # fmt: skip
    axes.set_xlim(min(run.epochs[0] for run in runs) - 0.02 * last, last)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("oscillating weights, %")
    tidy(axes, "y")
    return figure
