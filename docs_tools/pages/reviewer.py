"""What a hostile reviewer would ask, in numbers: from the cost model and recorded results."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from statistics import geometric_mean
from typing import Any

from docs_tools.commands import printed_and_written
from docs_tools.markdown import spread
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("reviewer",)


def texts() -> dict[str, str]:
    """By place."""
    return {**_baseline(), **_sets(), **_wires(), **_idle()}


def _baseline() -> dict[str, str]:
    """The uniform MAC against plain RTL."""
    plain = read_result("qor-freepdk45")["plain"]
    return {
        f"reviewer.{name}": f"{geometric_mean(row[key] for row in plain):.2f}"
        for name, key in (("strong", "ratio"), ("weak", "weak_ratio"))
    }


def _sets() -> dict[str, str]:
    """The sets of widths of one design at one mean, and the best of another."""
    shown, _ = printed_and_written("-m", "hwmodel.compare", "--bits", "4", "--format", "csv", "--out", "OUT")
    rows = csv.DictReader(shown.splitlines())
    found = [
        (row["design"], float(row["area_ratio"]), float(row["power_ratio"]))
        for row in rows
        if row["family"] == "subword" and row["normalisation"] == "equal throughput"
    ]
    return {"reviewer.sets": ", ".join(f"{name} {area:.2f} and {energy:.2f}" for name, area, energy in found)}


def _wires() -> dict[str, str]:
    """By how much the placement of netlists changes the energy ratios of designs."""
    return {
        f"reviewer.wires-{library}": spread(_changes(read_result(f"wires-{library}")["rows"]), "+.0f")
        for library in ("freepdk45", "sky130hd")
    }


def _changes(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of the rows but the uniform one, in percent."""
    return [100 * (after / before - 1) for before, after in (row["energy_ratio"] for row in rows[1:])]


def _idle() -> dict[str, str]:
    """Power of clock gates at half the rate to that of multiplexers."""
    designs = read_result("clock-gates")["designs"].values()
    saved = [100 * (1 - each["gates"]["power_uw"]["0.5"] / each["multiplexers"]["power_uw"]["0.5"]) for each in designs]
    return {"reviewer.gates": spread(saved, ".0f")}
