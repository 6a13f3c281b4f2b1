"""What a hostile reviewer would ask, in numbers: from the packaged rows, the cost model, and recorded results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import geometric_mean
from typing import Any

from docs_tools.commands import printed_and_written
from docs_tools.markdown import spread, table
from docs_tools.results import read_result

__all__ = ["OWNS", "texts"]

OWNS = ("reviewer",)
MAY_BE_ZERO = ("reviewer.swaps",)


def texts() -> dict[str, str]:
    """By place."""
    return {**_baseline(), **_sets(), **_elsewhere(), **_wires(), **_idle(), **_check()}


def _baseline() -> dict[str, str]:
    """The uniform MAC against plain RTL."""
    plain = read_result("qor-freepdk45")["plain"]
    return {
        f"reviewer.{name}": f"{geometric_mean(row[key] for row in plain):.2f}"
        for name, key in (("strong", "ratio"), ("weak", "weak_ratio"))
    }


def _sets() -> dict[str, str]:
    """The sets of widths of one design at one mean, and the best of another."""
    shown, _ = printed_and_written("-m", "hwmodel.compare", "--bits", "4", "--wide", "--format", "csv", "--out", "OUT")
    header, *lines = (line.split(",") for line in shown.strip().splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    found = [
        (row["design"], float(row["area_ratio"]), float(row["power_ratio"]))
        for row in rows
        if row["family"] == "subword" and row["normalisation"] == "equal throughput"
    ]
    return {"reviewer.sets": ", ".join(f"{name} {area:.2f} and {energy:.2f}" for name, area, energy in found)}


def _elsewhere() -> dict[str, str]:
    """The ratios at other clocks and with other operands."""
    record = read_result("ratios")
    return {
        "reviewer-clocks": _ratios(record["clocks"], "{} MHz"),
        "reviewer-streams": _ratios(record["streams"], "{}"),
    }


def _ratios(found: Mapping[str, Mapping[str, Mapping[str, Any]]], header: str) -> str:
    """Area and energy of each design to the uniform one."""
    designs = list(next(iter(found.values())))[1:]
    lines = [
        (design, *(f"{each[design]['area_ratio']:.2f} / {each[design]['energy_ratio']:.2f}" for each in found.values()))
        for design in designs
    ]
    return table(("area / energy, uniform 4x4 is 1", *(header.format(name) for name in found)), lines)


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


def _check() -> dict[str, str]:
    """What the model says beside the packaged measurements of the same rows."""
    shown, _ = printed_and_written("-m", "hwmodel.compare", "--bits", "2,3,4", "--check", "--out", "OUT")
    found = {}
    for name, quantity in (("area", "area"), ("power", "power"), ("period", "minimum period")):
        match = re.search(rf"^{quantity}: (\S+) % apart on average, (\S+) % at most$", shown, re.MULTILINE)
        assert match is not None
        found[f"reviewer.{name}-error"] = f"{match[1]} % on average, {match[2]} % at most"
    order = re.search(r"^order: (\d+) of ([\d,]+) pairs", shown, re.MULTILINE)
    others = re.search(r"^pipeline stages or form: other ones in (\d+) of (\d+) rows$", shown, re.MULTILINE)
    assert order is not None
    assert others is not None
    found |= {"reviewer.swaps": order[1], "reviewer.pairs": order[2]}
    return found | {"reviewer.others": f"{others[1]} of {others[2]}"}
