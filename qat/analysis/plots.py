"""Figures of an analysis: sensitivity, outliers, oscillation, as PNG and SVG."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siliquant.files import with_own_ids, write_atomically

from .parts import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_plots"]

_DOTS = (("#0072b2", "o"), ("#e69f00", "s"), ("#d55e00", "^"), ("#009e73", "D"), ("#cc79a7", "v"), ("#56b4e9", "P"),
         ("#000000", "X"))  # fmt: skip
"""Colours and shapes, told apart without colour, too (Okabe and Ito, 2008)."""


def write_plots(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """``sensitivity``, ``outliers`` and, where there are runs, ``oscillation`` in `folder`."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of its cache, which a plot does without
    import matplotlib as mpl

    mpl.use("Agg")
    written = []
    with mpl.rc_context({"svg.hashsalt": "siliquant", "text.parse_math": False}):
        drawn = {"sensitivity": _sensitivity(found), "outliers": _outliers(found["outliers"]["statistics"])}
        if found["oscillation"]["runs"]:
            drawn["oscillation"] = _oscillation(found["oscillation"]["runs"])
        for name, figure in drawn.items():
            for form in ("png", "svg"):
                image = io.BytesIO()
                metadata: dict[str, Any] = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
                figure.savefig(image, format=form, dpi=150, metadata=metadata)
                written.append(folder / f"{name}.{form}")
                drawing = image.getvalue()
                if form == "svg":
                    drawing = with_own_ids(drawing.decode(), "part").encode()
                write_atomically(written[-1], drawing)
    return written


def _figure(panels: int, height: float) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, height), layout="constrained")
    drawn = list(figure.subplots(1, panels, squeeze=False)[0])
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", linewidth=0.3)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=8)
    return figure, drawn


def _sensitivity(found: Mapping[str, Any]) -> Figure:
    """Changes of the loss with their intervals, by class and width."""
    parts = [entry for entry in found["sensitivity"]["parts"] if entry["kind"] == "class"]
    names = list(dict.fromkeys(entry["name"] for entry in parts))
    widths = sorted({entry["bits"] for entry in parts})
    figure, drawn = _figure(2, 1.2 + 0.32 * len(names))
    titles = {"alone": "alone quantised: loss above full precision",
              "left out": "left out: loss saved of a network that is quantised"}  # fmt: skip
    for axes, (how, title) in zip(drawn, titles.items(), strict=True):
        axes.axvline(0, color="#1b1f23", linewidth=0.8)
        for place, bits in enumerate(widths):
            colour, shape = _DOTS[place % len(_DOTS)]
            mine = {entry["name"]: entry["change"] for entry in parts if entry["bits"] == bits and entry["how"] == how}
            heights = [names.index(name) + 0.18 * (place - (len(widths) - 1) / 2) for name in mine]
            values = [change["loss"] for change in mine.values()]
            bars = [[change["loss"] - change["low"] for change in mine.values()],
                    [change["high"] - change["loss"] for change in mine.values()]]  # fmt: skip
            axes.errorbar(values, heights, xerr=bars, fmt=shape, color=colour, markersize=4.5, linewidth=1.0,
                          label=f"{bits} bits")  # fmt: skip
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(title, fontsize=8)
    handles, labels = drawn[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(widths), frameon=False, fontsize=8)
    return figure


def _outliers(statistics: Sequence[Mapping[str, Any]]) -> Figure:
    """Kurtosis of every tensor of the body, by class."""
    shown = [entry for entry in statistics if not entry["end"] and entry["kurtosis"] is not None]
    found = {entry["part"] for entry in shown}
    names = [name for name in (*CLASSES, "convolution") if name in found]
    figure, drawn = _figure(2, 0.9 + 0.32 * len(names))
    for axes, tensor in zip(drawn, ("weight", "activation"), strict=True):
        for number, network in enumerate(("transformer", "convnet")):
            mine = [entry for entry in shown if entry["tensor"] == tensor and entry["network"] == network]
            colour, shape = _DOTS[2 * number]
            axes.plot([entry["kurtosis"] for entry in mine], [names.index(entry["part"]) for entry in mine], shape,
                      color=colour, markersize=4.5, alpha=0.8)  # fmt: skip
        axes.axvline(0, color="#1b1f23", linewidth=0.8)
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"excess kurtosis of {tensor}s (0: normal), a point a tensor", fontsize=8)
    return figure


def _oscillation(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """Shares by class of the first run through its epochs, and the scores of all runs by their last shares."""
    figure, drawn = _figure(2, 3.2)
    first = runs[0]
    for place, (name, shares) in enumerate(first["by_class"].items()):
        colour, shape = _DOTS[place % len(_DOTS)]
        drawn[0].plot(first["epochs"], [100 * share for share in shares], shape, linestyle="-", color=colour,
                      markersize=4, linewidth=1.0, label=name.replace("_", " "))  # fmt: skip
    drawn[0].set_xlabel(f"epoch of {first['name']}", fontsize=8)
    drawn[0].set_ylabel("oscillating weights, %", fontsize=8)
    drawn[0].legend(frameon=False, fontsize=7)
    widths = list(dict.fromkeys((run["weight_bits"], run["activation_bits"]) for run in runs))
    for place, bits in enumerate(widths):
        colour, shape = _DOTS[place % len(_DOTS)]
        mine = [run for run in runs if (run["weight_bits"], run["activation_bits"]) == bits]
        scores = [100 * run["score"] for run in mine]
        bars = [
            [100 * (run["score"] - run["low"]) for run in mine],
            [100 * (run["high"] - run["score"]) for run in mine],
        ]
        drawn[1].errorbar([100 * run["shares"][-1] for run in mine], scores, yerr=bars, fmt=shape, color=colour,
                          markersize=5, linewidth=1.0, label=f"W{bits[0]}A{bits[1]}")  # fmt: skip
    drawn[1].set_xlabel("oscillating weights after the last epoch, %", fontsize=8)
    drawn[1].set_ylabel("score, % (95 % interval)", fontsize=8)
    drawn[1].legend(frameon=False, fontsize=7)
    return figure
