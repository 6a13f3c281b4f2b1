"""The comparison as a bar plot that reads in grey."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from siliquant.files import write_atomically

from .comparison import EQUAL_THROUGHPUT, Row

__all__ = ["write_plot"]

_PALETTE = (("#1a1a1a", ""), ("#7a7a7a", "///"), ("#c8c8c8", "..."), ("#ffffff", "xx"), ("#4d4d4d", "\\\\\\"))


def write_plot(rows: Sequence[Row], path: Path) -> Path:
    """Area and energy per MAC at equal throughput, one panel each, as a PNG. Energy is left out where unknown."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of its cache, which a plot does without
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    labels = list(dict.fromkeys("uniform" if row.design.startswith("uniform") else row.design for row in shown))
    widths = list(dict.fromkeys(row.bits for row in shown))
    panels = [("area_um2_per_mac_per_cycle", "area, µm² per MAC/cycle")]
    if all(row.energy_fj_per_mac is not None for row in shown):
        panels.append(("energy_fj_per_mac", "energy, fJ per MAC"))
    figure = Figure(figsize=(10, 3.4 * len(panels)))
    figure.subplots_adjust(left=0.07, right=0.99, top=0.9, bottom=0.26 / len(panels), hspace=0.42)
    for axes, (field, title) in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        for place, bits in enumerate(widths):
            colour, hatch = _PALETTE[place % len(_PALETTE)]
            heights = [getattr(row, field) for row in shown if row.bits == bits]
            offset = (place - (len(widths) - 1) / 2) * 0.8 / len(widths)
            bars = axes.bar(
                [index + offset for index in range(len(heights))], heights, 0.76 / len(widths),
                color=colour, hatch=hatch, edgecolor="black", linewidth=0.6, label=f"mean {bits} bits",
            )  # fmt: skip
            axes.bar_label(bars, fmt="%.0f", fontsize=6, padding=1)
        axes.set_xticks(range(len(labels)), labels, rotation=20, ha="right", fontsize=8)
        axes.set_ylabel(title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.3)
        axes.set_axisbelow(True)
        axes.margins(x=0.01, y=0.12)
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=len(widths))
    first = shown[0]
    figure.suptitle(
        f"Uniform and mixed-precision MACs at equal throughput ({first.library}, {first.clock_mhz:g} MHz)",
        fontsize=10,
        parse_math=False,  # a library may have a $ in its name
    )
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150, metadata={"Software": None})
    write_atomically(path, image.getvalue())
    return path
