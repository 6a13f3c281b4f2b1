"""The comparison as text and files: terminal, Markdown, CSV, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row
from siliquant.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEADERS", "cells", "frame", "markdown", "notes", "write_tables"]

HEADERS = (
    "design",
    "runs as",
    "area um2/unit",
    "power uW/unit",
    "area ratio, equal units",
    "power ratio, equal units",
    "units, equal throughput",
    "stages",
    "min period ns",
    "area um2 per MAC/cycle",
    "energy fJ/MAC",
    "area ratio, equal throughput",
    "energy ratio, equal throughput",
)


def cells(rows: Sequence[Row]) -> list[tuple[int, list[str]]]:
    """(bits, cells under HEADERS) for each design: both normalisations side by side."""
    units = [row for row in rows if row.normalisation == EQUAL_UNITS]
    rates = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    lines = []
    for unit, rate in zip(units, rates, strict=True):
        period = _number(rate.minimum_period_ns, 2) + (" (misses)" if rate.meets_clock is False else "")
        line = [
            rate.design,
            rate.run_as,
            _number(unit.area_um2_per_unit, 1),
            _number(unit.power_uw_per_unit, 1),
            _number(unit.area_ratio, 2),
            _number(unit.power_ratio, 2),
            str(rate.units),
            str(rate.pipeline_stages),
            period,
            _number(rate.area_um2_per_mac_per_cycle, 1),
            _number(rate.energy_fj_per_mac, 0),
            _number(rate.area_ratio, 2),
            _number(rate.power_ratio, 2),
        ]
        lines.append((rate.bits, line))
    return lines


def notes(rows: Sequence[Row]) -> list[str]:
    """What a reader must know beside the numbers."""
    first = rows[0]
    flow = "registers counted; for each design the smallest of 0, 1 or 2 pipeline stages that meets the clock."
    lines = [f"Library {first.library}, {first.corner}; clock {first.clock_mhz:g} MHz; {flow}"]
    size = next(row.units for row in rows if row.normalisation == EQUAL_UNITS)
    lanes = next(row.units for row in rows if row.normalisation == EQUAL_THROUGHPUT)
    lines.append(
        f"Equal units: {size} units, or lanes of the uniform MAC, into one accumulator, area and power per unit. Equal "
        f"throughput: units that give at least the products a cycle of {lanes} uniform lanes, into one accumulator."
    )
    for bits in dict.fromkeys(row.bits for row in rows):
        mixture = next((row.mixture for row in rows if row.bits == bits and row.mixture != f"{bits}b:1"), f"{bits}b:1")
        lines.append(f"Mean of {bits} bits: the mixture (share of MACs by bit-width) is {mixture}.")
    for bits in dict.fromkeys(row.bits for row in rows):
        rates = [row for row in rows if row.bits == bits and row.normalisation == EQUAL_THROUGHPUT]
        wide = [row.design for row in rates if row.units == 1 and row.macs_per_cycle > 1.2 * rates[0].macs_per_cycle]
        if wide:
            lines.append(
                f"At {bits} bits one unit of {', '.join(wide)} gives more products a cycle than the uniform MAC: it "
                "shares its accumulator among more of them. More lanes make an equal match."
            )
    if any(row.power_uw is not None for row in rows):
        lines.append(
            "Power: leakage, internal and switching power from the Liberty file, zero-delay toggles of uniform random "
            "codes with signed activations at full rate; glitches and the clock tree are not in it."
        )
    if any(row.minimum_period_ns is None for row in rows):
        lines.append(
            "Timing and power are unknown: OpenSTA is not installed. On Debian or Ubuntu: apt-get install opensta"
        )
    if any(row.meets_clock is False for row in rows):
        lines.append("(misses): no variant meets the clock; the fastest is shown.")
    return lines


def markdown(rows: Sequence[Row]) -> str:
    """One Markdown table a bit-width, notes below."""
    parts = []
    for bits in dict.fromkeys(row.bits for row in rows):
        lines = [line for at, line in cells(rows) if at == bits]
        head = [f"| {' | '.join(HEADERS)} |", "|" + " --- |" * 2 + " ---: |" * (len(HEADERS) - 2)]
        body = [f"| {' | '.join(line)} |" for line in lines]
        parts.append("\n".join([f"**{bits} bits**", "", *head, *body]))
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(rows))]) + "\n"


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A tidy table: one line a design, bit-width and normalisation, units in the names of columns."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(Row)])


def write_tables(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Writes compare.csv, compare.json and compare.md; returns their paths."""
    texts = {
        "compare.csv": frame(rows).to_csv(index=False, lineterminator="\n"),
        "compare.json": json.dumps([asdict(row) for row in rows], indent=1) + "\n",
        "compare.md": markdown(rows),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _number(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:,.{digits}f}"
