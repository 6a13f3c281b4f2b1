"""Accuracy against energy and against area, at equal latency: each trained network on the arrays that run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.charts import Chart, Layout, render, tidy
from reports.charts.style import canvas, design_mark, log_ticks, panels
from reports.values import Source

from .equal import Placed, seeds_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["accuracy_figure"]

_TICKS = tuple(step * 10.0**power for step in (1, 2, 5, 3, 7, 1.5, 4, 6, 8, 9, 1.2) for power in range(-3, 7))
_AXES = (("energy_uj", "energy of one inference, µJ"), ("area_mm2", "area at equal latency, mm²"))


def accuracy_figure(points: Sequence[Placed]) -> bytes:
    """The figure as SVG. Bars are intervals of 95 % of the mean over seeds; a mixed network has one accuracy on all
    designs that run its widths.
    """
    chart = Chart(
        name="accuracy-against-cost",
        title="Accuracy against energy and area at equal latency",
        caption="",
        alt="Accuracy on CIFAR-10 against energy and against area",
        source=Source(command="python benchmarks/evidence.py --write", where="CIFAR-10", date=""),
        draw=lambda layout: _draw(points, layout),
    )
    return render(chart).files["svg"]


def _draw(points: Sequence[Placed], layout: Layout) -> Figure:
    figure = canvas(layout, 3.8 if layout is Layout.WIDE else 7.2)
    drawn = panels(figure, len(_AXES), layout)
    for axes, (quantity, label) in zip(drawn, _AXES, strict=True):
        _panel(axes, points, quantity)
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy, %")
    figure.legend(*drawn[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def _panel(axes: Axes, points: Sequence[Placed], quantity: str) -> None:
    axes.set_xscale("log")
    for design in dict.fromkeys(each.point.design for each in points):
        mine = [each for each in points if each.point.design == design]
        mine.sort(key=lambda each: getattr(each.point, quantity))
        costs = [getattr(each.point, quantity) for each in mine]
        mark, wide = design_mark(design), design == "uniform"
        line = {"linewidth": 1.4 if wide else 0.7, "linestyle": "-" if wide else ":", "markersize": 6}
        axes.plot(costs, [each.accuracy for each in mine], label=design, zorder=3, **{**mark.options, **line})
        for each, cost in zip(mine, costs, strict=True):
            if interval := seeds_interval(each.runs):
                axes.plot([cost] * 2, interval, color=mark.colour, linewidth=0.8, zorder=2)
            if wide:
                axes.annotate(f"{each.point.mean} bits", (cost, each.accuracy), (4, -11), textcoords="offset points",
                              fontsize=8)  # fmt: skip
    log_ticks(axes, "x", _TICKS, 0.12)
    tidy(axes, "y")
