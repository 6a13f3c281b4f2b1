"""The comparison, the demonstration and the accuracies in README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from statistics import mean
from typing import Any

from docs_tools.commands import ROOT, printed_and_written
from docs_tools.markdown import rounded, spread
from docs_tools.results import read_result
from hwmodel.comparison import mixes
from reports.inputs import read_study

__all__ = ["OWNS", "texts"]

OWNS = ("compare", "verdict", "demo", "accuracy")


def texts() -> dict[str, str]:
    """By place."""
    command = ("-m", "hwmodel.compare", "--bits", "2,3,4", "--out", "OUT", "--format", "markdown")
    files = ("compare.json", "compare.csv", "requantisation.csv")
    shown, (rows, macs, units) = printed_and_written(*command, names=files)
    first = '`make compare BITS=2,3,4 ARGS="--format markdown"` prints:'
    return {
        "compare": f"{first}\n\n{shown.strip()}",
        "compare.csv": rounded(macs),
        "compare-requantisers.csv": rounded(units),
        **_verdict(json.loads(rows)),
        **_accuracies(),
        "demo": "\n".join(["```text", *read_result("demo")["screen"], "```"]),
    }


def _verdict(rows: list[Mapping[str, Any]]) -> dict[str, str]:
    """What the table says, in numbers; the sentences around them hold whatever they are."""
    scalable = [row for row in rows if row["family"] != "uniform" and mixes(row["run_as"])]
    rates = [row for row in scalable if row["normalisation"] == "equal throughput"]
    units = [row for row in scalable if row["normalisation"] == "equal units"]
    areas, energies = ([row[name] for row in rates] for name in ("area_ratio", "power_ratio"))
    smaller = sum(row["area_ratio"] < 1 for row in units)
    return {
        "verdict.rows": str(len(rates)),
        "verdict.larger": str(sum(area > 1 for area in areas)),
        "verdict.hungrier": str(sum(energy > 1 for energy in energies)),
        "verdict.area": spread(areas, ".2f"),
        "verdict.energy": spread(energies, ".2f"),
        "verdict.smaller-units": str(smaller),
        "verdict.unit-rows": str(len(units)),
    }


def _accuracies() -> dict[str, str]:
    """Mean accuracy on the test split over the kept seeds of three runs, in percent."""
    runs = read_study(ROOT / "reports" / "results" / "training" / "vit-mnist.json")
    means = {}
    for name in ("fp", "w2a2-all", "w2a2-plain"):
        scores = [run.last("test_score") for run in runs if re.fullmatch(rf"vit-mnist-{name}(-s\d+)?", run.name)]
        means[name] = mean(100 * score for score in scores if score is not None)
    return {
        "accuracy.full": f"{means['fp']:.1f}",
        "accuracy.remedies": f"{means['w2a2-all']:.2f}",
        "accuracy.plain": f"{means['w2a2-plain']:.2f}",
    }
