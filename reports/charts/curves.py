"""Area against the clock period: a line a design, named at its end; a point where it meets no shorter period."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

from reports.numbers import Curve

from .labels import apart, together
from .style import INK, SOFT, Layout, canvas, design_mark, log_ticks, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_curves"]

_TICKS = (100, 200, 50, 500, 1000, 20, 10, 2000, 5000, 10000, 300, 30, 70, 150, 700, 3000)
_LABEL_POINTS = 9.5  # between labels, from one to the next


def draw_curves(curves: Sequence[Curve], layout: Layout) -> Figure:
    """A panel a mean bit-width; both axes are the same in all."""
    widths = list(dict.fromkeys(curve.subject.row.bits for curve in curves))
    wide = layout is Layout.WIDE
    height = 3.5 if wide else 2.75 * len(widths)
    figure = canvas(layout, height + 0.2)
    drawn = panels(figure, len(widths), layout, sharex=True, sharey=True)
    areas = [area for curve in curves for area in curve.areas_um2]
    shortest = min(curve.fastest_ns for curve in curves)
    longest = max(curve.periods_ns[-1] for curve in curves)
    span = longest - shortest
    for axes, bits in zip(drawn, widths, strict=True):
        axes.set_yscale("log")
        axes.set_ylim(0.88 * min(areas), 1.12 * max(areas))
        axes.set_xlim(shortest - 0.06 * span, longest)
        chosen = [curve for curve in curves if curve.subject.row.bits == bits]
        _panel(axes, chosen, points=72 * (2.75 if wide else 2.0))
        axes.set_title(f"{bits} bits")
        if wide or axes is drawn[-1]:
            axes.set_xlabel("clock period, ns")
        if not wide or axes is drawn[0]:
            axes.set_ylabel("area, µm² per MAC/cycle")
    return figure


def _panel(axes: Axes, curves: Sequence[Curve], points: float) -> None:
    """points: about the height of the panel, for the labels."""
    row = curves[0].subject.row
    period = 1000.0 / row.clock_mhz
    axes.axvline(period, color=SOFT, linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
    axes.annotate(f"{row.clock_mhz:g} MHz", (period, 1), (2, -2), xycoords=("data", "axes fraction"),
                  textcoords="offset points", va="top", fontsize=7.5, color=SOFT)  # fmt: skip
    for curve in curves:
        uniform = curve.subject.uniform
        mark = design_mark(curve.subject.row.design)
        axes.plot(curve.periods_ns, curve.areas_um2, color=mark.colour, linewidth=2.2 if uniform else 1.2,
                  linestyle="-" if mark.filled else (0, (4, 1.5)), zorder=4 if uniform else 3)  # fmt: skip
        axes.plot(curve.periods_ns[:1], curve.areas_um2[:1], linestyle="none", markersize=5, zorder=5, **mark.options)
    _name(axes, curves, points)
    log_ticks(axes, "y", _TICKS)
    tidy(axes, "y")


def _name(axes: Axes, curves: Sequence[Curve], points: float) -> None:
    """Designs at the right with their marks, at the height of their lines where there is room."""
    low, high = (log10(limit) for limit in axes.get_ylim())
    scale = (high - low) / points
    ends = [log10(curve.areas_um2[-1]) for curve in curves]
    # Two designs that are the same in silicon share one label.
    names: dict[float, list[str]] = {}
    for curve, end in zip(curves, ends, strict=True):
        design = "uniform" if curve.subject.uniform else curve.subject.row.design
        names.setdefault(round(end, 9), []).append(design)
    places = apart(list(names), _LABEL_POINTS * scale, low, high)
    for (end, designs), place in zip(names.items(), places, strict=True):
        mark, uniform = design_mark(designs[0]), "uniform" in designs
        # From the end of a line to its mark, and the mark again before its name.
        right = axes.get_yaxis_transform()
        axes.plot([1, 1.045], [10**end, 10**place], transform=right, color=mark.colour, linewidth=0.7, clip_on=False)
        axes.plot(
            [1.045], [10**place], transform=right, clip_on=False, linestyle="none", markersize=4.5, **mark.options
        )
        axes.annotate(together(designs), (1.045, 10**place), (5, 0), xycoords=right, textcoords="offset points",
                      annotation_clip=False, va="center", fontsize=7.5, color=INK,
                      fontweight="bold" if uniform else "normal")  # fmt: skip
