"""One inference of a whole network, uniform against mixed."""

from __future__ import annotations

import csv

from docs_tools.commands import printed_and_written
from docs_tools.markdown import table

__all__ = ["OWNS", "texts"]

OWNS = ("inference",)
MODEL, BITS = "deit-tiny", "3"


def texts() -> dict[str, str]:
    """By place."""
    command = ("-m", "hwmodel.compare", "--bits", BITS, "--model", MODEL, "--out", "OUT", "--format", "markdown")
    _, text = printed_and_written(*command, name="network.csv")
    lines = []
    for row in csv.DictReader(text.splitlines()):
        alone = row["normalisation"] == "uniform"
        lines.append(
            (
                row["design"],
                "" if alone else row["normalisation"].removeprefix("equal "),
                f"{row['rows']}x{row['columns']}",
                f"{float(row['latency_us']):,.0f}",
                f"{float(row['energy_uj']):,.0f}",
                *(f"{float(row[name]):.2f}" for name in ("logic_area_ratio", "latency_ratio", "energy_ratio")),
            )
        )
    headers = ("design", "at equal", "array", "latency us", "energy uJ", "logic area", "latency", "energy")
    return {"inference": table(headers, lines, left=2)}
