"""Values by kind and layer: dots on one scale where there is one layer, a grid of shaded cells where there are more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .style import BLUE, INK, LINE, PAPER, Layout, canvas, log_ticks, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Values", "draw_dots", "draw_grid"]

_TICKS = tuple(step * 10.0**power for step in (1, 3, 2, 5) for power in range(-6, 7))
Values = Mapping[tuple[str, int | None], float]


def draw_dots(values: Sequence[tuple[str, float]], label: str, layout: Layout) -> Figure:
    """A line a kind, from the top; on a logarithmic scale where all values are positive."""
    figure = canvas(layout, 0.22 * len(values) + 0.7)
    axes = figure.subplots()
    numbers = [value for _, value in values]
    if min(numbers) > 0:
        axes.set_xscale("log")
    places = range(len(values))
    axes.plot(numbers, places, linestyle="none", marker="o", markersize=6.5, color=BLUE)
    for place, value in zip(places, numbers, strict=True):
        axes.annotate(f"{value:g}", (value, place), (7, 0), textcoords="offset points", va="center", fontsize=8)
        axes.axhline(place, color=LINE, linewidth=0.6, zorder=0)
    axes.set_yticks(places, [name for name, _ in values])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.margins(x=0.12)
    if min(numbers) > 0:
        log_ticks(axes, "x", _TICKS, 0.12)
    axes.set_xlabel(label)
    tidy(axes)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def draw_grid(values: Values, label: str, digits: int, layout: Layout) -> Figure:
    """A column a layer, a line a kind; the stronger its colour, the larger. No layer: in a first column."""
    from matplotlib.patches import Rectangle

    kinds = list(dict.fromkeys(kind for kind, _ in values))
    found = {layer for _, layer in values}
    layers = [*([None] if None in found else []), *sorted(layer for layer in found if layer is not None)]
    most = max(values.values()) or 1.0
    figure = canvas(layout, 0.26 * len(kinds) + 0.75)
    axes = figure.subplots()
    written = layout is Layout.WIDE and len(layers) <= 14
    for (kind, layer), value in values.items():
        x, y = layers.index(layer), kinds.index(kind)
        share = value / most
        axes.add_patch(
            Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=BLUE, alpha=0.06 + 0.94 * share, linewidth=0)
        )
        if written:
            axes.text(
                x, y, f"{value:.{digits}f}", ha="center", va="center", fontsize=7, color=PAPER if share > 0.55 else INK
            )
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.set_yticks(range(len(kinds)), kinds)
    step = 1 if written or len(layers) <= 8 else 2
    chosen = range(0, len(layers), step)
    axes.set_xticks(chosen, ["all" if layers[at] is None else str(layers[at]) for at in chosen])
    axes.set_xlabel(f"layer; cells: {label}")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
