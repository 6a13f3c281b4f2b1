"""Areas and energies of all designs as multiples of the uniform one: points on a logarithmic scale, a line a design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row, mixes
from hwmodel.workload import Width

from .style import INK, LINE, Layout, canvas, legend, log_ticks, panels, tidy, width_mark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_ratios"]

_LABELS = {
    EQUAL_THROUGHPUT: ("area per MAC/cycle, times the uniform MAC's", "energy per MAC, times the uniform MAC's"),
    EQUAL_UNITS: ("area per unit, times the uniform MAC's", "power per unit, times the uniform MAC's"),
}
_TICKS = (1, 2, 0.5, 4, 8, 16, 0.25, 32, 3, 6, 1.5, 0.7, 12, 24, 0.1, 64)


def draw_ratios(rows: Sequence[Row], order: Sequence[str], layout: Layout) -> Figure:
    """rows: of one normalisation, uniform ones left out; order: of the designs, from the top."""
    from matplotlib.lines import Line2D

    labels = _LABELS[rows[0].normalisation]
    fields = ["area_ratio", *(["power_ratio"] if all(row.power_ratio is not None for row in rows) else [])]
    widths = list(dict.fromkeys(row.bits for row in rows))
    panel = 0.24 * len(order) + 0.75
    wide = layout is Layout.WIDE
    figure = canvas(layout, 0.3 + panel * (1 if wide else len(fields)))
    drawn = panels(figure, len(fields), layout, sharey=wide)
    for axes, field, label in zip(drawn, fields, labels, strict=False):
        _panel(axes, rows, order, field)
        axes.set_xlabel(label)
    handles = [
        Line2D(
            [], [], linestyle="none", markersize=6, label=_width(rows, bits, wide), **width_mark(bits, widths).options
        )
        for bits in widths
    ]
    legend(figure, handles, len(widths))
    return figure


def _width(rows: Sequence[Row], bits: Width, wide: bool) -> str:
    """A mean, and whether anything is mixed at it."""
    mixed = any(mixes(row.run_as) for row in rows if row.bits == bits)
    return ("mean of " if wide else "") + f"{bits} bits" + ("" if mixed else ", nothing mixed")


def _panel(axes: Axes, rows: Sequence[Row], order: Sequence[str], field: str) -> None:
    axes.set_xscale("log")
    values = [getattr(row, field) for row in rows]
    axes.set_xlim(min(0.92, 0.9 * min(values)), max(1.08, 1.12 * max(values)))
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_yticks(range(len(order)), order)
    for place, design in enumerate(order):
        mine = [getattr(row, field) for row in rows if row.family == design]
        axes.plot([min(*mine, 1), max(*mine, 1)], [place, place], color=LINE, linewidth=1.2, zorder=1)
    axes.axvline(1, color=INK, linewidth=1.0, zorder=2)
    axes.annotate("uniform", (1, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                  ha="center", va="bottom", fontsize=8)  # fmt: skip
    widths = list(dict.fromkeys(row.bits for row in rows))
    for row in rows:
        place = order.index(row.family)
        axes.plot(
            [getattr(row, field)], [place], linestyle="none", markersize=6.5, zorder=3,
            **width_mark(row.bits, widths).options,
        )  # fmt: skip
    least = min([row for row in rows if mixes(row.run_as)] or rows, key=lambda row: getattr(row, field))
    axes.annotate(f"{getattr(least, field):.2f}", (getattr(least, field), order.index(least.family)), (0, 4.5),
                  textcoords="offset points", ha="center", va="bottom", fontsize=8, fontweight="bold")  # fmt: skip
    log_ticks(axes, "x", _TICKS)
    tidy(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
