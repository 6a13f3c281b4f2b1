"""Accuracy against energy: published networks in one panel, own runs in panels of their own, never together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.numbers import undominated

from .style import (  # fmt: skip
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    SOFT,
    VERMILLION,
    Layout,
    Mark,
    canvas,
    log_ticks,
    panels,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FrontPanel", "FrontPoint", "draw_front", "front_of"]

_MARKS = (
    Mark(BLUE, "o"), Mark(VERMILLION, "s"), Mark(GREEN, "D"), Mark(PURPLE, "h"), Mark(ORANGE, "p"), Mark(SKY, "8"),
)  # fmt: skip
"""Markers with room for a numeral."""
_TICKS = tuple(step * 10.0**power for step in (1, 2, 5, 3, 7, 1.5, 4, 6, 8, 9, 1.2) for power in range(-2, 7))
_DODGE = 8.0  # points, between series of a panel that has intervals


@dataclass(frozen=True)
class FrontPoint:
    """energy in uJ an inference, accuracy in percent with the ends of its interval, or None; label: in the point."""

    series: str
    label: str
    energy_uj: float
    accuracy_percent: float
    interval_percent: tuple[float, float] | None = None


@dataclass(frozen=True)
class FrontPanel:
    """Points of one origin under a title that says which. without_uj: energies of what has no known accuracy, named by
    ``without``.
    """

    title: str
    points: tuple[FrontPoint, ...]
    without_uj: tuple[float, ...] = ()
    without: str = ""


def front_of(points: Sequence[FrontPoint]) -> list[FrontPoint]:
    """Points that no other has at most the energy and at least the accuracy of, by rising energy."""
    return undominated(points, lambda point: point.energy_uj, lambda point: -point.accuracy_percent)


def draw_front(groups: Sequence[FrontPanel], layout: Layout) -> Figure:
    """A panel each, with axes of their own: accuracies on different data cannot be compared."""
    wide = layout is Layout.WIDE
    figure = canvas(layout, 3.6 if wide else 3.9 * len(groups))
    for axes, panel in zip(panels(figure, len(groups), layout), groups, strict=True):
        _panel(axes, panel)
        if any(point.interval_percent for point in panel.points):  # too near each other to be named where they are
            if wide:
                axes.legend(loc="lower right")
            else:
                axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), borderaxespad=0)
        axes.set_title(panel.title)
        axes.set_xlabel("energy of one inference, µJ")
        axes.set_ylabel("accuracy, %")
    return figure


def _panel(axes: Axes, panel: FrontPanel) -> None:
    axes.set_xscale("log")
    energies = [*(point.energy_uj for point in panel.points), *panel.without_uj]
    low, high = min(energies), max(energies)
    series = list(dict.fromkeys(point.series for point in panel.points))
    dodged = any(point.interval_percent for point in panel.points)
    room = (high / low) ** (0.08 + 0.03 * len(series) * dodged) * 1.02
    axes.set_xlim(low / room, high * room)
    ends = [end for point in panel.points for end in (point.interval_percent or (point.accuracy_percent,))]
    room = max(max(ends) - min(ends), 1.0)
    axes.set_ylim(min(ends) - 0.12 * room, max(ends) + 0.12 * room)
    if not dodged:  # what lies within an interval is not known to be better
        _front(axes, panel.points)
    for number, name in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * _DODGE if dodged else 0.0
        _series(axes, [point for point in panel.points if point.series == name], _MARKS[number % len(_MARKS)], shift)
    if not dodged:
        _names(axes, panel, series)
    if panel.without_uj:
        axes.plot(panel.without_uj, [0.02] * len(panel.without_uj), linestyle="none", marker="|", markersize=9,
                  color=SOFT, transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
        axes.annotate(panel.without, (max(panel.without_uj), 0.02), (6, 0), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", va="center", fontsize=8, color=SOFT)  # fmt: skip
    log_ticks(axes, "x", _TICKS, 0.12)
    tidy(axes, "y")


def _names(axes: Axes, panel: FrontPanel, series: Sequence[str]) -> None:
    """Series above their most accurate points."""
    for name in series:
        best = max((point for point in panel.points if point.series == name), key=lambda point: point.accuracy_percent)
        axes.annotate(name, (best.energy_uj, best.accuracy_percent), (0, 9), textcoords="offset points", ha="center",
                      va="bottom", fontsize=8.5, fontweight="bold", color=INK)  # fmt: skip


def _front(axes: Axes, points: Sequence[FrontPoint]) -> None:
    """The best accuracy that an energy buys."""
    best = front_of(points)
    axes.step([point.energy_uj for point in best] + [axes.get_xlim()[1]],
              [point.accuracy_percent for point in [*best, best[-1]]], where="post", color=INK, linewidth=0.8,
              linestyle=(0, (1.5, 1.5)), zorder=1)  # fmt: skip


def _series(axes: Axes, points: Sequence[FrontPoint], mark: Mark, shift: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure()
    assert figure is not None
    moved = axes.transData + ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans)
    energies = [point.energy_uj for point in points]
    accuracies = [point.accuracy_percent for point in points]
    axes.plot(energies, accuracies, color=mark.colour, linewidth=1.0, zorder=2, transform=moved)
    for point in points:
        if point.interval_percent:
            axes.plot([point.energy_uj] * 2, point.interval_percent, color=mark.colour, linewidth=1.0, zorder=2,
                      transform=moved)  # fmt: skip
    axes.plot(energies, accuracies, linestyle="none", markersize=10, zorder=3, transform=moved, **mark.options)
    axes.plot([], [], markersize=6, linewidth=1.0, label=points[0].series, **mark.options)
    for point in points:
        axes.annotate(point.label, (point.energy_uj, point.accuracy_percent), xycoords=moved, ha="center",
                      va="center_baseline", fontsize=7.5, fontweight="bold", color=PAPER, zorder=4)  # fmt: skip
