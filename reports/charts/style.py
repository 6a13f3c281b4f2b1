"""What all figures share: sizes, fonts, and colours that the colour-blind can tell apart (Okabe and Ito, 2008).

Hue never stands alone: lines and points differ by marker, areas by hatching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import log10
from typing import TYPE_CHECKING, Any

from hwmodel.workload import Pair, Width
from reports.values import Source, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BARS", "COLOURS", "GREY", "INK", "LINE", "PAPER", "SOFT", "TINT", "WIDTHS", "Chart", "Layout", "Look", "Mark",
    "canvas", "design_mark", "legend", "log_ticks", "panels", "spaced", "tidy", "width_mark",
]  # fmt: skip

INK, SOFT, LINE, PAPER, TINT = "#1b1f23", "#57606a", "#d5d9de", "#ffffff", "#eceff2"
BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, YELLOW, GREY = (
    "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#f0e442", "#8c959f",
)  # fmt: skip
COLOURS: Mapping[str, str] = {
    INK: "ink", SOFT: "soft", LINE: "line", PAPER: "paper", TINT: "tint", BLUE: "blue", SKY: "sky", GREEN: "green",
    ORANGE: "orange", VERMILLION: "vermillion", PURPLE: "purple", YELLOW: "yellow", GREY: "grey",
}  # fmt: skip
"""Every colour of a figure, and the variable of the page that takes its place there, light or dark."""


class Layout(Enum):
    """The page that a figure is for; the value is its width in inches, at which its text has the size of the page's."""

    WIDE = 9.6
    NARROW = 3.75


RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.4,
    "legend.borderpad": 0.0,
    "hatch.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.04,
    "svg.hashsalt": "siliquant",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a run may have a $ in its name
}


@dataclass(frozen=True)
class Chart:
    """A figure and what stands beside it.

    name: of its files and anchor. title: what it shows, as a sentence without a full stop. caption: how it is to be
    read. alt: what it shows, for those who do not see it. draw: for a layout. table: its numbers, or None. folded: seen
    when it is opened.
    """

    name: str
    title: str
    caption: str
    alt: str
    source: Source
    draw: Callable[[Layout], Figure]
    table: Table | None = None
    folded: bool = False


@dataclass(frozen=True)
class Mark:
    """How points of one kind look."""

    colour: str
    marker: str
    filled: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """For Axes.plot."""
        face = self.colour if self.filled else PAPER
        return {"color": self.colour, "marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour}


@dataclass(frozen=True)
class Look:
    """How areas of one kind look."""

    colour: str
    hatch: str = ""


_FAMILIES = {
    "uniform": Mark(INK, "o"), "padded": Mark(PURPLE, "v"), "subword": Mark(BLUE, "s"),
    "bitfusion": Mark(VERMILLION, "^"), "bitblade": Mark(ORANGE, "D"), "bitserial": Mark(GREEN, "P"),
    "loom": Mark(SKY, "X"), "dc1d": Mark(YELLOW, "p"),
}  # fmt: skip
WIDTHS = {
    2: Mark(BLUE, "o"), 3: Mark(ORANGE, "s"), 4: Mark(VERMILLION, "^"), 5: Mark(GREEN, "D"), 6: Mark(PURPLE, "v"),
    7: Mark(SKY, "P"), 8: Mark(GREY, "X"),
}  # fmt: skip
BARS = (
    Look(BLUE), Look(SKY, "////"), Look(VERMILLION), Look(ORANGE, "----"), Look(GREEN), Look(YELLOW, "\\\\\\\\"),
    Look(PURPLE, "xxxx"), Look(GREY), Look(TINT, "||||"),
)  # fmt: skip
"""Neighbours differ in hue, in lightness and in hatching."""


def design_mark(design: str) -> Mark:
    """By family: the first word of a design's name with its widths."""
    return _FAMILIES.get(design.split()[0], Mark(GREY, "x"))


def width_mark(bits: Width, shown: Sequence[Width] = ()) -> Mark:
    """By mean bit-width. shown: all means of a chart, of which different ones of weights and of activations take, in
    turn, the marks that no other mean has.
    """
    free = [mark for width, mark in WIDTHS.items() if width not in shown]
    pairs = [width for width in shown if isinstance(width, Pair)]
    if isinstance(bits, Pair):
        return free[pairs.index(bits) % len(free)] if bits in pairs and free else Mark(GREY, "x")
    return WIDTHS.get(bits, Mark(GREY, "x"))


def canvas(layout: Layout, height: float) -> Figure:
    """An empty figure of the layout's width; height in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(layout.value, height), layout="constrained")


def panels(
    figure: Figure, number: int, layout: Layout, *, sharex: bool = False, sharey: bool = False
) -> Sequence[Axes]:
    """Side by side on a wide page, below each other on a narrow one."""
    rows, columns = (1, number) if layout is Layout.WIDE else (number, 1)
    return list(figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey).ravel())


def tidy(axes: Axes, grid: str = "") -> None:
    """No frame, and a grid along one axis, or none."""
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(axis=grid)  # type: ignore[arg-type]
        axes.tick_params(axis=grid, length=0)  # type: ignore[arg-type]


def log_ticks(axes: Axes, axis: str, values: Sequence[float], gap: float = 0.07) -> None:
    """A logarithmic axis with these ticks as plain numbers: those within its limits, as many as stand ``gap`` apart, a
    share of its length, the first of ``values`` first.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    chosen = axes.xaxis if axis == "x" else axes.yaxis
    limits = axes.get_xlim() if axis == "x" else axes.get_ylim()
    inside = spaced(values, *limits, gap)
    chosen.set_major_locator(FixedLocator(inside))
    chosen.set_major_formatter(FixedFormatter([f"{value:,g}" for value in inside]))
    chosen.set_minor_locator(NullLocator())


def spaced(values: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Those of ``values`` between ``low`` and ``high`` that stand ``gap`` of that apart on a logarithmic scale, rising;
    of two that are nearer the first is taken.
    """
    found: list[float] = []
    for value in values:
        near = any(abs(log10(value / other)) < gap * log10(high / low) for other in found)
        if low <= value <= high and not near:
            found.append(value)
    return sorted(found)


def legend(figure: Figure, handles: Sequence[Any], columns: int) -> None:
    """Above the panels, at the left."""
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns)
