"""Model against synthesis: what it predicts over what was measured, and by how much it is off; held out apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Any

from .style import GREY, INK, SOFT, VERMILLION, Layout, canvas, legend, log_ticks, spaced, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from reports.numbers import Quantity

__all__ = ["draw_errors"]

_DECADES = (1, 10, 100, 1000, 10_000, 100_000, 0.1, 0.01, 3, 30, 300, 3000, 30_000, 300_000, 0.3, 2, 5)
_NO_LENGTH = 1 + 1e-6  # enough for the PNG to have a point
_PERCENT = (0, 10, -10, 25, -25, 50, -50, 100, 200, 400, -75, 800, -90)


def draw_errors(quantities: Sequence[Quantity], layout: Layout) -> Figure:
    """A column a quantity: predicted over measured above, the error below."""
    from matplotlib.lines import Line2D

    wide = layout is Layout.WIDE
    figure = canvas(layout, 4.9 if wide else 4.1 * len(quantities))
    if wide:
        panels = figure.subplots(2, len(quantities), squeeze=False, sharex="col", height_ratios=(1.5, 1)).T
    else:
        heights = (1.5, 1) * len(quantities)
        panels = figure.subplots(2 * len(quantities), 1, squeeze=False, height_ratios=heights).reshape(-1, 2)
    for (upper, lower), quantity in zip(panels, quantities, strict=True):
        _scatter(upper, quantity)
        _error(lower, quantity)
        upper.set_title(quantity.name)
        lower.set_xlabel(f"measured {quantity.name}, {quantity.unit}")
        if wide and quantity is not quantities[0]:
            continue
        upper.set_ylabel("predicted" if wide else f"predicted, {quantity.unit}")
        lower.set_ylabel("error, %")
    handles = [
        Line2D([], [], linestyle="none", label=label, **options)
        for label, options in (("fitted", _FITTED), ("held out", _HELD))
    ]
    legend(figure, handles, 2)
    return figure


_FITTED: Mapping[str, Any] = {"marker": "o", "markersize": 3.2, "color": GREY, "markeredgewidth": 0.0}
_HELD: Mapping[str, Any] = {"marker": "s", "markersize": 3.2, "color": VERMILLION, "markeredgewidth": 0.0}


def _scatter(axes: Axes, quantity: Quantity) -> None:
    values = [value for point in quantity.points for value in (point.measured, point.predicted)]
    low, high = 0.8 * min(values), 1.25 * max(values)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([low, high], [low, high], color=INK, linewidth=0.8, zorder=1)
    _points(axes, quantity, [point.predicted for point in quantity.points])
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    for axis in "xy":
        log_ticks(axes, axis, _DECADES, 0.15)
    tidy(axes)


def _error(axes: Axes, quantity: Quantity) -> None:
    """Ratios on a logarithmic scale, so that twice and half are as far; labelled in percent."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ratios = [point.predicted / point.measured for point in quantity.points]
    values = [value for point in quantity.points for value in (point.measured, point.predicted)]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.8 * min(values), 1.25 * max(values))
    low, high = min(0.85, *ratios), max(1.15, *ratios)
    room = (high / low) ** 0.22  # for the name of the worst
    axes.set_ylim(low / room, high * room)
    axes.axhline(1, color=INK, linewidth=0.8, zorder=1)
    _points(axes, quantity, ratios)
    inside = spaced([1 + error / 100 for error in _PERCENT], *axes.get_ylim(), 0.1)
    axes.yaxis.set_major_locator(FixedLocator(inside))
    axes.set_yticklabels([f"{100 * ratio - 100:+.0f}".replace("-", "−").replace("+0", "0") for ratio in inside])
    axes.yaxis.set_minor_locator(NullLocator())
    log_ticks(axes, "x", _DECADES, 0.15)
    tidy(axes, "y")
    _name_worst(axes, quantity)
    text = f"held out: mean {quantity.mean_percent:.1f} %, largest {quantity.largest_percent:.0f} %"
    axes.annotate(text, (1, 1), (0, 1), xycoords="axes fraction", textcoords="offset points", ha="right", va="bottom",
                  fontsize=7.5, color=SOFT)  # fmt: skip


def _name_worst(axes: Axes, quantity: Quantity) -> None:
    """The held-out point with the largest error by its design, on the side away from the others."""
    held = [point for point in quantity.points if point.held_out]
    worst = max(held, key=lambda point: abs(point.predicted / point.measured - 1))
    above = worst.predicted > worst.measured
    low, high = (log10(limit) for limit in axes.get_xlim())
    place = (log10(worst.measured) - low) / (high - low)
    axes.annotate(worst.design, (worst.measured, worst.predicted / worst.measured), (0, 5 if above else -5),
                  textcoords="offset points", ha="left" if place < 0.3 else "right" if place > 0.7 else "center",
                  va="bottom" if above else "top", fontsize=7.5, color=INK)  # fmt: skip


def _points(axes: Axes, quantity: Quantity, values: Sequence[float]) -> None:
    """Thousands of points as one path of strokes without length, whose ends are round or square: a few bytes each."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    for held_out, options in ((False, _FITTED), (True, _HELD)):
        ends = [
            (at, value)
            for point, value in zip(quantity.points, values, strict=True)
            if point.held_out is held_out
            for at in (point.measured, point.measured * _NO_LENGTH)
        ]
        if not ends:
            continue
        path = Path(ends, [Path.MOVETO, Path.LINETO] * (len(ends) // 2))
        path.should_simplify = False
        cap = "round" if options["marker"] == "o" else "projecting"
        axes.add_patch(PathPatch(path, fill=False, edgecolor=options["color"], linewidth=options["markersize"],
                                 capstyle=cap, snap=False, zorder=3 if held_out else 2))  # fmt: skip
