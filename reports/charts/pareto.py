"""Area against energy of all designs: a panel a mean, each design named beside its point, and what nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

from hwmodel.comparison import Row, is_uniform
from reports.numbers import undominated

from .labels import beside, together
from .style import BLUE, INK, SOFT, Layout, canvas, design_mark, log_ticks, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_pareto", "pareto"]

_TICKS = tuple(step * 10.0**power for step in (1, 2, 5, 3, 7, 1.5, 4) for power in range(-1, 6))
_FONT, _LETTER = 7.5, 0.58  # points; the mean width of a letter in sizes of the font


def pareto(rows: Sequence[Row]) -> list[Row]:
    """Of rows of one mean those that no other beats in both area and energy, by rising energy."""
    return undominated(rows, lambda row: row.energy_fj_per_mac or 0.0, lambda row: row.area_um2_per_mac_per_cycle)


def draw_pareto(rows: Sequence[Row], layout: Layout) -> Figure:
    """rows: at equal throughput, all energies known. Each panel has axes of its own, so that its points stand apart."""
    means = list(dict.fromkeys(row.bits for row in rows))
    wide = layout is Layout.WIDE
    height = 3.3 if wide else 3.1 * len(means)
    figure = canvas(layout, height)
    size = (72 * (layout.value / len(means) - 0.55), 72 * 2.55) if wide else (72 * 3.05, 72 * 2.35)
    drawn = panels(figure, len(means), layout)
    for axes, bits in zip(drawn, means, strict=True):
        _panel(axes, [row for row in rows if row.bits == bits], size)
        axes.set_title(f"mean of {bits} bits")
        axes.set_xlabel("energy, fJ per MAC")
        if not wide or axes is drawn[0]:
            axes.set_ylabel("area, µm² per MAC/cycle")
    return figure


def _panel(axes: Axes, rows: Sequence[Row], size: tuple[float, float]) -> None:
    """size: about that of the panel, in points."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    energies = [row.energy_fj_per_mac or 0.0 for row in rows]
    areas = [row.area_um2_per_mac_per_cycle for row in rows]
    axes.set_xlim(0.8 * min(energies), 1.3 * max(energies))
    axes.set_ylim(0.8 * min(areas), 1.25 * max(areas))
    switching = [row for row in rows if not is_uniform(row)]
    for best, colour, style in ((pareto(rows), INK, "-"), (pareto(switching), BLUE, (0, (1.5, 1.5)))):
        axes.step(*_steps(axes, best), where="post", color=colour, linewidth=0.9, linestyle=style, zorder=1)
    for row, energy, area in zip(rows, energies, areas, strict=True):
        axes.plot([energy], [area], linestyle="none", markersize=6, zorder=3, **design_mark(row.design).options)
    _names(axes, rows, size)
    for axis in "xy":
        log_ticks(axes, axis, _TICKS, 0.14)
    tidy(axes)


def _steps(axes: Axes, best: Sequence[Row]) -> tuple[list[float], list[float]]:
    """From the upper edge down to the right one."""
    energies = [row.energy_fj_per_mac or 0.0 for row in best]
    areas = [row.area_um2_per_mac_per_cycle for row in best]
    return [energies[0], *energies, axes.get_xlim()[1]], [axes.get_ylim()[1], *areas, areas[-1]]


def _names(axes: Axes, rows: Sequence[Row], size: tuple[float, float]) -> None:
    """Designs that are the same in silicon share one name."""
    alike: dict[tuple[float, float], list[Row]] = {}
    for row in rows:
        point = row.energy_fj_per_mac or 0.0, row.area_um2_per_mac_per_cycle
        alike.setdefault((round(point[0], 6), round(point[1], 6)), []).append(row)
    names = [together(["uniform" if is_uniform(row) else row.design for row in same]) for same in alike.values()]

    def shown(energy: float, area: float) -> tuple[float, float]:
        """In points from the lower left corner of the panel."""
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        return size[0] * log(energy / left) / log(right / left), size[1] * log(area / low) / log(high / low)

    lines = []
    for best in (pareto(rows), pareto([row for row in rows if not is_uniform(row)])):
        corners = [shown(*point) for point in zip(*_steps(axes, best), strict=True)]
        for (x, y), (to_x, to_y) in pairwise(corners):
            lines.append((x, y - 1, to_x, y + 1))  # along, then down
            lines.append((to_x - 1, to_y, to_x + 1, y))
    places = [shown(*point) for point in alike]
    widths = [_LETTER * _FONT * len(name) for name in names]
    found = beside(places, widths, _FONT + 1, size, lines)
    for name, width, point, place, corner in zip(names, widths, alike, places, found, strict=True):
        offset = corner[0] - place[0], corner[1] - place[1]
        near = -width - 6 <= offset[0] <= 6 and -8 - _FONT <= offset[1] <= 6
        axes.annotate(name, point, offset, textcoords="offset points", fontsize=_FONT, color=INK, va="bottom",
                      fontweight="bold" if name == "uniform" else "normal", zorder=4,
                      arrowprops=None if near else {"arrowstyle": "-", "color": SOFT, "linewidth": 0.4, "shrinkA": 0,
                                                    "shrinkB": 3, "relpos": (0.5, 0.5)},
                      )  # fmt: skip
