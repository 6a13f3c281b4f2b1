"""The comparison as a dot plot of ratios to the uniform MAC, with the answer as its title."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from siliquant.files import write_atomically

from .best import best_rows
from .comparison import Row
from .sentence import answer_sentence, scalable_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_plot"]

_DOTS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "D"), ("#cc79a7", "^"), ("#e69f00", "v"), ("#56b4e9", "P"),
         ("#000000", "X"))  # fmt: skip
"""Colours and shapes by mean bit-width, told apart without colour, too (Okabe and Ito, 2008)."""
_WIDE = "padded"
"""A design that must not set the scale: it holds a full multiplier for every product."""
_TICKS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def write_plot(rows: Sequence[Row], path: Path) -> list[Path]:
    """Ratios of area and energy at equal throughput, a line a design; ``path`` is the PNG, beside it lies the SVG.

    Each design is in its best kind. Energy is left out where it is unknown. A point beyond the scale stands at its
    edge, with its value.
    """
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of its cache, which a plot does without
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    found = scalable_rows(best_rows(rows))
    designs = list(dict.fromkeys(row.family for row in found))[::-1]
    panels = [("area_ratio", "area per MAC/cycle, times that of the uniform MAC")]
    if found and all(row.power_ratio is not None for row in found):
        panels.append(("power_ratio", "energy per MAC, times that of the uniform MAC"))
    first = rows[0]
    figure = Figure(figsize=(10, 1.9 + 0.34 * max(1, len(designs))), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (field, title) in zip(grid, panels, strict=True):
        _draw(axes, found, designs, field)
        axes.set_xlabel(f"{title} (log)", fontsize=8)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, len(labels)), frameon=False, fontsize=8)
    figure.suptitle(
        f"{fill(answer_sentence(rows), 100)}\n{first.library}, {first.clock_mhz:g} MHz",
        fontsize=10, parse_math=False,  # a library may have a $ in its name
    )  # fmt: skip
    paths = [path, path.with_suffix(".svg")]
    with mpl.rc_context({"svg.hashsalt": "siliquant"}):
        for each in paths:
            image = io.BytesIO()
            metadata: dict[str, Any] = {"Software": None} if each.suffix == ".png" else {"Date": None, "Creator": None}
            figure.savefig(image, format=each.suffix[1:], dpi=150, metadata=metadata)
            write_atomically(each, image.getvalue())
    return paths


def _draw(axes: Axes, found: Sequence[Row], designs: Sequence[str], field: str) -> None:
    """One panel."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ratios = [getattr(row, field) for row in found]
    decides = [ratio for row, ratio in zip(found, ratios, strict=True) if row.family != _WIDE] or ratios
    low, high = min([1.0, *ratios]) / 1.1, max([1.0, *decides]) * 1.15
    widths = list(dict.fromkeys(row.bits for row in found))
    for place, bits in enumerate(widths):
        colour, shape = _DOTS[place % len(_DOTS)]
        shown = [(row, ratio) for row, ratio in zip(found, ratios, strict=True) if row.bits == bits]
        height = [designs.index(row.family) + (place - (len(widths) - 1) / 2) * -0.18 for row, _ in shown]
        inside = [min(ratio, high) for _, ratio in shown]
        axes.plot(inside, height, shape, color=colour, markersize=5, label=f"mean of {bits} bits", clip_on=False)
        for y, (_, ratio) in zip(height, shown, strict=True):
            if ratio > high:
                axes.annotate(f"{ratio:.1f} \N{RIGHTWARDS ARROW}", (high, y), (-6, 0), textcoords="offset points",
                              ha="right", va="center", fontsize=7)  # fmt: skip
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(range(len(designs)), designs, fontsize=8)
    axes.set_ylim(-0.6, len(designs) - 0.4)
    axes.grid(axis="both", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
