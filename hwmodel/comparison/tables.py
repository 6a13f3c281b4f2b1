"""The comparison as text and files: terminal, Markdown, CSV, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.synthesis import FLOW_VERSION
from hwmodel.workload import Width, width_records
from rtl.mac import BitSerialSpec, LoomSpec
from siliquant.files import write_atomically
from siliquant.inputs import csv_of, listing

from .best import best_rows
from .comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row, flow_of, is_estimated, is_uniform
from .requantisation import UnitRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "HEADERS",
    "UNIT_HEADERS",
    "cells",
    "figure",
    "frame",
    "markdown",
    "markdown_table",
    "notes",
    "shares_text",
    "unit_cells",
    "unit_notes",
    "write_tables",
]

HEADERS = (
    "design",
    "runs as",
    "area um2/unit",
    "power uW/unit",
    "area ratio, equal units",
    "power ratio, equal units",
    "units, equal throughput",
    "stages, equal throughput",
    "min period ns, equal throughput",
    "area um2 per MAC/cycle",
    "energy fJ/MAC",
    "area ratio, equal throughput",
    "energy ratio, equal throughput",
)
_PARTS = (("equal throughput", (0, 1, 6, 9, 10, 11, 12)), ("equal units", (0, 2, 3, 4, 5, 7, 8)))
"""Columns of each table in Markdown, which is to fit on a page."""
_MOST_DIGITS = 5  # of a share that is shown as a fraction
UNIT_HEADERS = (
    "code bits",
    "unit",
    "basis",
    "parameter sets",
    "accumulator bits",
    "parameter bits/set",
    "stages",
    "min period ns",
    "area um2",
    "power uW",
    "energy pJ a sum",
    "area / MAC",
    "energy / sum",
)
_UNIT_PARTS = (("cost", (0, 1, 3, 8, 10, 11, 12)), ("parameters and timing", (0, 1, 3, 2, 5, 6, 7)))
"""The same of units. Their power is the energy of a sum times the clock; the notes have the width of accumulators."""


def cells(rows: Sequence[Row]) -> list[tuple[Width, list[str]]]:
    """(bits, cells under HEADERS) for each row at equal throughput, with what is at equal units beside it."""
    units = [row for row in rows if row.normalisation == EQUAL_UNITS]
    rates = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    lines = []
    for unit, rate in zip(units, rates, strict=True):
        line = [
            rate.design,
            shares_text(rate.run_as),
            figure(unit.area_um2_per_unit, 1),
            figure(unit.power_uw_per_unit, 1),
            figure(unit.area_ratio, 2),
            figure(unit.power_ratio, 2),
            str(rate.units),
            str(rate.pipeline_stages),
            _period(rate),
            figure(rate.area_um2_per_mac_per_cycle, 1),
            figure(rate.energy_fj_per_mac, 0),
            figure(rate.area_ratio, 2),
            figure(rate.power_ratio, 2),
        ]
        lines.append((rate.bits, line))
    return lines


def _rate(row: Row) -> str:
    """At what rate operands come."""
    partly = row.activity.rpartition("; operands in ")
    return f"in {partly[2]}, which are idle otherwise" if partly[1] else "at full rate"


def _estimated_serial(rows: Sequence[Row]) -> str:
    """Serial designs of which the power is estimated without pipeline stages: it is known to be too low."""
    serial = (BitSerialSpec.design, LoomSpec.design)
    found = [
        row.design for row in rows
        if row.family in serial and is_estimated(row.source) and row.pipeline_stages == 0 and row.power_uw is not None
    ]  # fmt: skip
    return listing(dict.fromkeys(found)) if found else ""


def notes(rows: Sequence[Row]) -> list[str]:
    """What a reader must know beside the numbers."""
    first = rows[0]
    flow = (
        "registers counted; each design in the form, with 0 to 2 pipeline stages, that has the least product of area "
        "and power of those that meet the clock."
    )
    lines = [f"Library {first.library}, {first.corner}; clock {first.clock_mhz:g} MHz; {flow}"]
    size = next(row.units for row in rows if row.normalisation == EQUAL_UNITS)
    lanes = next(row.units for row in rows if row.normalisation == EQUAL_THROUGHPUT)
    lines.append(
        f"Equal units: {size} units, or lanes of the uniform MAC, into one accumulator, area and power per unit. Equal "
        f"throughput: units that give at least the products a cycle of {lanes} uniform lanes, into one accumulator."
    )
    for bits in dict.fromkeys(row.bits for row in rows):
        mixture = next((row.mixture for row in rows if row.bits == bits and not is_uniform(row)), f"{bits}b:1")
        lines.append(f"Mean of {bits} bits: the mixture (share of MACs by bit-width) is {shares_text(mixture)}.")
    lines.append(
        "A design has no width that its mixture does not need; of the sets of widths that are left the tables show the "
        "one with the least product of area and energy at equal throughput, the files all. First and last layers are "
        "left out: with --model they run at 8 bits on every design, in passes where it is narrower."
    )
    for bits in dict.fromkeys(row.bits for row in rows):
        rates = [row for row in rows if row.bits == bits and row.normalisation == EQUAL_THROUGHPUT]
        wide = [row.design for row in rates if row.units == 1 and row.macs_per_cycle > 1.2 * rates[0].macs_per_cycle]
        if wide:
            lines.append(
                f"At {bits} bits one unit of {', '.join(wide)} gives more products a cycle than the uniform MAC: it "
                "shares its accumulator among more of them. More lanes make an equal match."
            )
    estimated = [is_estimated(row.source) for row in rows]
    if any(estimated):
        which = "Estimated" if all(estimated) else "Rows of the source model are estimated, others measured: estimated"
        lines.append(
            f"{which} by the calibrated cost model (docs/calibration.md states its error); --synthesise measures, "
            "--check shows both."
        )
    if any(estimated) and not all(estimated):
        lines.append("Ratios of estimated rows are to the estimate of the uniform design.")
    if serial := _estimated_serial(rows):
        lines.append(
            f"Power of {serial}, estimated without pipeline stages, is too low at clocks near or beyond the fastest of "
            "a relaxed netlist (docs/calibration.md, where it is wrong)."
        )
    if flow := next((flow for row in rows if (flow := flow_of(row.source))), ""):
        lines.append(
            f"The model was fitted to netlists of flow {flow}. Generators and synthesis are at flow {FLOW_VERSION} "
            "since: docs/calibration.md says what that changes."
        )
    if any("out of range" in row.source for row in rows):
        beyond = ", ".join(dict.fromkeys(row.spec for row in rows if "out of range" in row.source))
        lines.append(f"(extrapolated): beyond the designs that the model was fitted on: {beyond}.")
    if any(row.power_uw is not None for row in rows):
        kinds = {row.toggles for row in rows if row.power_uw is not None}
        counted = "with glitches"
        if kinds != {"glitch-aware"}:
            where = "without glitches" if kinds == {"zero-delay"} else "without glitches where toggles are zero-delay"
            counted = f"{where}: Icarus Verilog is not installed (on Debian or Ubuntu: apt-get install iverilog)"
        lines.append(
            "Power: leakage, internal and switching power by the Liberty file, under uniform random codes with "
            f"signed activations {_rate(first)}, {counted}, in sums of 768 products, which do not fill the last step "
            "of every design; the clock tree is not in it."
        )
    if any(row.minimum_period_ns is None for row in rows):
        lines.append(
            "Timing and power are unknown: OpenSTA is not installed. On Debian or Ubuntu: apt-get install opensta"
        )
    if any(row.meets_clock is False for row in rows):
        lines.append("(misses): no pipelining meets the clock; shown is one within 2 % of the fastest.")
    return lines


def unit_cells(units: Sequence[UnitRow]) -> list[list[str]]:
    """Cells under UNIT_HEADERS, a line a requantisation unit."""
    return [
        [
            str(unit.bits),
            unit.design,
            unit.basis,
            str(unit.groups),
            str(unit.accumulator_width),
            str(unit.parameter_width),
            str(unit.pipeline_stages),
            _period(unit),
            figure(unit.area_um2, 0),
            figure(unit.power_uw, 1),
            figure(unit.energy_pj, 3),
            figure(unit.area_ratio, 2),
            figure(unit.energy_ratio, 3),
        ]
        for unit in units
    ]


def unit_notes(units: Sequence[UnitRow]) -> list[str]:
    """What a reader must know beside the numbers of requantisation."""
    first = units[0]
    widths = {unit.bits: unit for unit in units if unit.offset_width is not None}
    exact = "; ".join(
        f"{bits} bits: m {unit.multiplier_width}, b {unit.offset_width}, shift {unit.shift}"
        for bits, unit in widths.items()
    )
    head = next(unit.multiplier_width for unit in units if unit.design == "partialsum")
    accumulators = ", ".join(
        f"{width} at {bits}" for bits, width in {unit.bits: unit.accumulator_width for unit in units}.items()
    )
    lines = [
        (
            "One unit takes one accumulator a cycle and holds its parameter sets in registers: 1 for one scale a "
            f"tensor, 3 for one a head (DeiT-T). Area and energy are also given relative to the MAC it serves "
            f"({first.mac} and its like at the other widths), energy to what that MAC takes for the {first.products} "
            "products of one accumulator."
        ),
        f"Bits of an accumulator by bits of a code: {accumulators}.",
        f"multiplier: the narrowest that is exact for a projection of {first.products} inputs ({exact}).",
        (
            f"partialsum: adds the accumulators of heads along the reduction, each times {head} bits; one output takes "
            "as many accumulators as heads. With one scale for the input no such unit is needed."
        ),
    ]
    if any(unit.power_uw is not None for unit in units):
        stream = first.activity.partition(", w")[0]
        lines.append(
            f"Stream of accumulators: {stream}, codes of the unit's width; the parameter set changes every 64 (partial "
            "sums: every one). Parameter registers are behind clock gates where the library has such cells."
        )
    bases = {unit.basis for unit in units}
    if "measured" in bases:
        lines.append(
            "measured: synthesised, in rows that come with the package or that this machine made; the MACs beside them "
            "are those of the tables above."
        )
    if "estimated" in bases:
        lines.append("estimated: by the cost model, which was fitted to MACs; docs/calibration.md has its error.")
    if any(unit.effort == "quick" for unit in units):
        quick = next(unit for unit in units if unit.effort == "quick")
        lines.append(
            f"{quick.design} at {quick.bits} bits: quick recipes and one stage only, not for each head, for its size."
        )
    return lines


def markdown(rows: Sequence[Row], units: Sequence[UnitRow] = ()) -> str:
    """Tables in Markdown of at most seven columns, notes below; then the section on requantisation, if there are units.

    What is at equal throughput comes first, a table a bit-width, then what is at equal units; of each design the best
    kind, the files have all.
    """
    rows, parts = best_rows(rows), []
    for name, columns in _PARTS:
        for bits in dict.fromkeys(row.bits for row in rows):
            lines = [line for at, line in cells(rows) if at == bits]
            headers = [header.removesuffix(f", {name}") for header in HEADERS]
            parts.append(
                markdown_table(f"mean of {bits} bits, {name}", headers, lines, columns, left=("design", "runs as"))
            )
    parts.append("\n".join(f"- {note}" for note in notes(rows)))
    if units:
        for name, columns in _UNIT_PARTS:
            title = f"requantisation, one unit: {name}"
            parts.append(markdown_table(title, UNIT_HEADERS, unit_cells(units), columns, left=("unit",)))
        parts.append("\n".join(f"- {note}" for note in unit_notes(units)))
    return "\n\n".join(parts) + "\n"


def markdown_table(
    title: str, headers: Sequence[str], lines: Sequence[Sequence[str]], columns: Sequence[int], left: Sequence[str]
) -> str:
    """Some columns of a table as Markdown, below its title. left: headers of the columns that are text."""
    chosen = [headers[column] for column in columns]
    rule = ["---" if header in left else "---:" for header in chosen]
    rows = [chosen, rule, *([line[column] for column in columns] for line in lines)]
    return "\n".join([f"**{title}**", "", *(f"| {' | '.join(row)} |" for row in rows)])


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A tidy table: one line a design, bit-width and normalisation, units in the names of columns.

    Means that differ for weights and activations are as :func:`hwmodel.workload.width_records` has them.
    """
    import pandas as pd

    return pd.DataFrame(_records(rows)) if rows else pd.DataFrame(columns=[field.name for field in fields(Row)])


def _records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return width_records(rows, ("bits", "run_as_mean_bits"))


def write_tables(rows: Sequence[Row], folder: Path, units: Sequence[UnitRow] = ()) -> list[Path]:
    """Writes compare.csv, compare.json, compare.md and, of units, requantisation.csv and .json; returns their paths."""
    texts = {
        "compare.csv": csv_of(frame(rows)),
        "compare.json": json.dumps(_records(rows), indent=1) + "\n",
        "compare.md": markdown(rows, units),
    }
    if units:
        texts["requantisation.csv"] = csv_of(_unit_frame(units))
        texts["requantisation.json"] = json.dumps([asdict(unit) for unit in units], indent=1) + "\n"
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _unit_frame(units: Sequence[UnitRow]) -> pd.DataFrame:
    import pandas as pd

    # Widths that a design lacks stay empty, and do not make those of the others fractions.
    columns = [field.name for field in fields(UnitRow)]
    return pd.DataFrame([asdict(unit) for unit in units], columns=columns, dtype=object)


def _period(row: Row | UnitRow) -> str:
    beyond = isinstance(row, Row) and "out of range" in row.source
    marks = (" (misses)" if row.meets_clock is False else "") + (" (extrapolated)" if beyond else "")
    return figure(row.minimum_period_ns, 2) + marks


def shares_text(mixture: str) -> str:
    """A mixture, as rows have it, in percent where its fractions would be long.

    >>> shares_text("2b:1/3 4b:2/3"), shares_text("2b:1182/8471 4b:7289/8471")
    ('2b:1/3 4b:2/3', '2b:14% 4b:86%')
    """
    shares = [part.split(":") for part in mixture.split(" ")]
    if all(len(share) <= _MOST_DIGITS for _, share in shares):
        return mixture
    return " ".join(f"{width}:{float(100 * Fraction(share)):.0f}%" for width, share in shares)


def figure(value: float | None, digits: int) -> str:
    """A number in a table, with so many digits behind the point."""
    return "unknown" if value is None else f"{value:,.{digits}f}"
