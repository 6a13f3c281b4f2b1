"""The comparison, the demonstration and the accuracies in README.md."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from statistics import mean

from docs_tools.commands import ROOT, printed_and_written
from docs_tools.markdown import rounded, spread
from docs_tools.results import read_result
from hwmodel.comparison import EQUAL_UNITS, Row, best_rows, mixed_rows
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
        **_verdict([Row(**row) for row in json.loads(rows)]),
        **_accuracies(),
        "demo": "\n".join(["```text", *read_result("demo")["screen"], "```"]),
    }


def _verdict(rows: Sequence[Row]) -> dict[str, str]:
    """What the tables say of each design at its best set of widths; the sentences around them hold whatever that is."""
    best = best_rows(rows)
    rates, units = mixed_rows(best), mixed_rows(best, EQUAL_UNITS)
    areas = [row.area_ratio for row in rates if row.area_ratio is not None]
    energies = [row.power_ratio for row in rates if row.power_ratio is not None]
    smaller = sum((row.area_ratio or 0.0) < 1 for row in units)
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
