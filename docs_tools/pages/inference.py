"""One inference of a whole network, uniform against mixed."""

from __future__ import annotations

import csv

from docs_tools.commands import printed_and_written
from docs_tools.markdown import rounded, spread, table

__all__ = ["OWNS", "texts"]

OWNS = ("inference",)
MODEL, BITS = "deit-tiny", "3"


def texts() -> dict[str, str]:
    """By place."""
    command = ("-m", "hwmodel.compare", "--bits", BITS, "--model", MODEL, "--out", "OUT", "--format", "markdown")
    _, (text,) = printed_and_written(*command, names=["network.csv"])
    rows = list(csv.DictReader(text.splitlines()))
    tables = [_table(rows, equal) for equal in ("area", "latency")]
    return {"inference": "\n\n".join(tables), "inference.csv": rounded(text), **_verdict(rows)}


def _verdict(rows: list[dict[str, str]]) -> dict[str, str]:
    """Ratios to the uniform array of every other design, at equal area and at equal latency."""

    def ratios(equal: str, name: str) -> str:
        return spread([float(row[f"{name}_ratio"]) for row in rows if row["normalisation"] == f"equal {equal}"], ".2f")

    return {
        "inference.area-latency": ratios("area", "latency"),
        "inference.area-energy": ratios("area", "energy"),
        "inference.latency-area": ratios("latency", "logic_area"),
        "inference.latency-energy": ratios("latency", "energy"),
    }


def _table(rows: list[dict[str, str]], equal: str) -> str:
    """The uniform array, and that of every other design at equal area or latency."""
    lines = [
        (
            row["design"],
            f"{row['rows']}x{row['columns']}",
            f"{float(row['latency_us']):,.0f}",
            f"{float(row['energy_uj']):,.0f}",
            *(f"{float(row[name]):.2f}" for name in ("logic_area_ratio", "latency_ratio", "energy_ratio")),
        )
        for row in rows
        if row["normalisation"] in ("uniform", f"equal {equal}")
    ]
    headers = ("design", "array", "latency us", "energy uJ", "logic area ratio", "latency ratio", "energy ratio")
    return f"At equal {equal}:\n\n{table(headers, lines)}"
