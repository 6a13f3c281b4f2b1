"""What a cost is made of: bars of parts, a panel a group, with the sum at the end of each bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.values import amount

from .style import PAPER, Layout, Look, canvas, legend, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Bar", "Panel", "draw_stacked"]


@dataclass(frozen=True)
class Bar:
    """A label and parts by name, none of them negative."""

    label: str
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """Of all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Panel:
    """Bars under a title, from the top."""

    title: str
    bars: tuple[Bar, ...]


def draw_stacked(groups: Sequence[Panel], looks: Mapping[str, Look], label: str, layout: Layout) -> Figure:
    """looks: of the parts, in the order in which they are stacked; label: of the axis."""
    from matplotlib.patches import Patch

    wide = layout is Layout.WIDE
    number = max(len(panel.bars) for panel in groups)
    names = [name for name in looks if any(bar.parts.get(name) for panel in groups for bar in panel.bars)]
    columns = min(len(names), 5 if wide else 2)
    lines = -(-len(names) // columns)
    height = 0.55 + 0.2 * lines + (0.21 * number + 0.3) * (1 if wide else len(groups))
    figure = canvas(layout, height)
    alike = len({tuple(bar.label for bar in panel.bars) for panel in groups}) == 1
    most = max(bar.total for panel in groups for bar in panel.bars)
    drawn = panels(figure, len(groups), layout, sharex=True, sharey=wide and alike)
    for axes, panel in zip(drawn, groups, strict=True):
        _panel(axes, panel, looks)
        if panel.title:
            axes.set_title(panel.title)
        axes.set_xlim(0, 1.17 * most)
        if wide or panel is groups[-1]:
            axes.set_xlabel(label)
    handles = [
        Patch(facecolor=looks[name].colour, hatch=looks[name].hatch, edgecolor=PAPER, linewidth=0, label=name)
        for name in names
    ]
    legend(figure, handles, columns)
    return figure


def _panel(axes: Axes, panel: Panel, looks: Mapping[str, Look]) -> None:
    places = range(len(panel.bars))
    left = [0.0] * len(panel.bars)
    for name, look in looks.items():
        widths = [bar.parts.get(name, 0.0) for bar in panel.bars]
        if any(widths):
            axes.barh(
                places, widths, 0.74, left=left, color=look.colour, hatch=look.hatch, edgecolor=PAPER, linewidth=0.4
            )
            left = [start + width for start, width in zip(left, widths, strict=True)]
    for place, bar in zip(places, panel.bars, strict=True):
        axes.annotate(amount(bar.total), (bar.total, place), (3, 0), textcoords="offset points", va="center",
                      fontsize=8)  # fmt: skip
    axes.set_yticks(places, [bar.label for bar in panel.bars])
    axes.set_ylim(len(panel.bars) - 0.45, -0.55)
    axes.locator_params(axis="x", nbins=5)
    tidy(axes, "x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
