"""Notebook 3: training at few bits, oscillating weights, and the cycles of a simulated array."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.charts import BLUE, GREY, VERMILLION

from .panels import panels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["cycles_by_kind", "draw_cycles", "draw_digits", "draw_training", "draw_weights", "history"]

_COLOURS = (VERMILLION, BLUE)


def draw_digits(pixels: NDArray[np.float32], labels: NDArray[np.int64], train: int, test: int) -> None:
    """Eight images, [8, 1, rows, columns], under their labels; train, test: how many there are of each."""
    figure, drawn = panels(8, 8, 1.6)
    for axes, image, label in zip(drawn, pixels, labels, strict=True):
        axes.imshow(image[0], cmap="gray_r")
        axes.set_title(str(int(label)))
        axes.set(xticks=[], yticks=[])
    rows, columns = pixels.shape[-2:]
    figure.suptitle(f"{train:,} images to train with, {test:,} to test with, {rows} × {columns} pixels")


def history(folder: Path) -> pd.DataFrame:
    """metrics.csv of a run of qat.train, a line an epoch."""
    import pandas as pd

    with (folder / "metrics.csv").open() as lines:
        return pd.DataFrame(csv.DictReader(lines)).replace("", None).astype(float)


def draw_training(runs: Mapping[str, pd.DataFrame], full: pd.DataFrame, bits: int) -> None:
    """Accuracy with its intervals, and the share of oscillating weights, by epoch. runs: two, the plain one first."""
    _, (accuracy, share) = panels(2, 10, 3.8)
    for (name, run), colour, marker in zip(runs.items(), _COLOURS, "os", strict=True):
        percent = 100 * run[["test_score", "test_low", "test_high", "oscillation"]]
        around = [percent["test_score"] - percent["test_low"], percent["test_high"] - percent["test_score"]]
        accuracy.errorbar(run["epoch"], percent["test_score"], around, fmt=f"{marker}-", capsize=3, color=colour)
        share.plot(run["epoch"], percent["oscillation"], f"{marker}-", color=colour)
        for axes, column in ((accuracy, "test_score"), (share, "oscillation")):
            axes.annotate(name, (run["epoch"].iloc[-1], percent[column].iloc[-1]), (6, 0), textcoords="offset points",
                          va="center", color=colour, annotation_clip=False)  # fmt: skip
            axes.set_xticks(run["epoch"])
    best = 100 * full["test_score"].iloc[-1]
    accuracy.axhline(best, color=GREY, linestyle=":")
    accuracy.annotate("full precision", (1, best), (0, 3), textcoords="offset points", color=GREY)
    accuracy.set(xlabel="epoch", ylabel="test accuracy, % (bars: 95 % interval)")
    share.set(xlabel="epoch", ylabel="oscillating weights, %", ylim=(0, None))
    plain, other = (100 * run.iloc[-1] for run in runs.values())
    accuracy.set_title(
        f"Of {best:.1f} % at full precision, {bits} bits keep\n{plain['test_score']:.1f} % plain and "
        f"{other['test_score']:.1f} % regularised"
    )
    share.set_title(
        f"{plain['oscillation']:.2f} % of the weights oscillate at the end,\n{other['oscillation']:.2f} % with the "
        "regulariser"
    )


def draw_weights(places: Mapping[str, NDArray[np.float32]]) -> None:
    """Where 2-bit weights lie in units of their scale, by run, the plain one first; codes are -2 to 1."""
    _, (axes,) = panels(1, 8, 3.5)
    near = []
    for (name, found), colour in zip(places.items(), _COLOURS, strict=True):
        between = np.abs(found - np.floor(found) - 0.5)
        near.append(100 * float(np.mean((between < 0.1) & (found > -2) & (found < 1))))
        axes.hist(found, bins=150, density=True, histtype="step", color=colour, label=name)
    for threshold in (-1.5, -0.5, 0.5):
        axes.axvline(threshold, color=GREY, linestyle=":", linewidth=0.8)
    axes.set(xlabel="weight / scale (dotted: where the code changes)", ylabel="density", yscale="log")
    axes.set_title(
        f"Within 0.1 of a threshold lie {near[0]:.1f} % of the weights, and {near[1]:.1f} % with the regulariser"
    )
    axes.legend(frameon=False)


def cycles_by_kind(gemms: Sequence[Any], samples: int) -> pd.DataFrame:
    """Results compared of all samples, and cycles and products an image, of GEMMs of one name in all layers.

    gemms: those of what ``sim.harness.verify`` returns.
    """
    import pandas as pd

    lines: dict[str, dict[str, float]] = {}
    for gemm in gemms:
        parts = gemm.name.split(".")
        numbers = [place for place, part in enumerate(parts) if part.isdigit()]
        kind = ".".join(parts[numbers[-1] + 1 :] if numbers else parts[-2:])
        line = lines.setdefault(kind, {"compared": 0, "runs": 0.0, "loads": 0.0, "M products": 0.0})
        line["compared"] += gemm.accumulators + gemm.codes
        line["runs"] += gemm.cycles / samples
        line["loads"] += gemm.load_cycles / samples
        line["M products"] += gemm.macs / 1e6 / samples
    return pd.DataFrame(lines).T


def draw_cycles(kinds: pd.DataFrame, mismatches: int) -> None:
    """Cycles an image by kind of GEMM, as :func:`cycles_by_kind` has them."""
    _, (axes,) = panels(1, 8, 3.8)
    axes.barh(kinds.index, kinds["runs"], color=BLUE, label="runs")
    axes.barh(kinds.index, kinds["loads"], left=kinds["runs"], color=VERMILLION, hatch="//", edgecolor="white",
              label="loads of the memories")  # fmt: skip
    axes.invert_yaxis()
    axes.set(xlabel="cycles an image", ylabel="matrix product")
    total = kinds.sum()
    axes.set_title(
        f"{mismatches} of {total['compared']:,.0f} accumulators and codes differ from PyTorch's,\n"
        f"{total['runs']:,.0f} cycles of runs an image for {total['M products']:.1f} M products"
    )
    axes.legend(frameon=False)
