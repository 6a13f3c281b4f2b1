"""Requantisation: thresholds against multipliers with tables, at every code width."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwmodel.comparison import UnitRow, unit_notes
from reports.charts import BLUE, GREY, VERMILLION, Chart, Line, LinePanel, Mark, draw_lines
from reports.values import Cell, Column, Source, Table
from reports.wording import requantiser_finding

from .document import Section

__all__ = ["requantiser_section"]

_WHAT = (
    "Between two layers accumulators become the next layer's codes. A requantiser by thresholds holds every value at "
    "which the code changes and compares; one with a multiplier holds a factor and an offset, and computes. Both give "
    "exactly the codes of the trained network. With a scale for each of three heads they hold three sets."
)
_COLUMNS = (
    Column("code_bits", "code bits", 0),
    Column("design", "design"),
    Column("scales", "sets of parameters", 0),
    Column("parameter_bits", "bits held", 0),
    Column("area_um2", "area, µm²", 0),
    Column("power_uw", "power, µW", 0),
    Column("energy_pj", "energy, pJ a sum", 2),
    Column("minimum_period_ns", "min. period, ns", 2),
    Column("area_ratio", "area, times its MAC", 2),
    Column("energy_ratio", "energy, times its sum", 3),
    Column("basis", "basis"),
)
_MARKS = {
    ("thresholds", False): Mark(BLUE, "o"),
    ("thresholds", True): Mark(BLUE, "o", filled=False),
    ("multiplier", False): Mark(VERMILLION, "s"),
    ("multiplier", True): Mark(VERMILLION, "s", filled=False),
}


def requantiser_section(rows: Sequence[UnitRow], source: Source) -> Section:
    """A figure, its numbers, and what must be known beside them."""
    powered = all(row.energy_pj is not None for row in rows)
    area = _panel(rows, "area, µm²", lambda row: row.area_um2, lambda row: row.area_um2 / row.area_ratio, "uniform MAC")
    energy = _panel(
        rows, "energy, pJ a sum", lambda row: row.energy_pj or 0.0,
        lambda row: (row.energy_pj or 0.0) / (row.energy_ratio or 1.0), f"its {rows[0].products} products",
    )  # fmt: skip
    panels = [area, energy] if powered else [area]
    chart = Chart(
        name="requantisers",
        title=requantiser_finding(rows),
        caption=(
            "One unit, which takes a sum a cycle, by the width of the codes that it gives, on logarithmic scales; "
            "hollow: a scale for each of three heads. Grey: the uniform MAC of that width beside it, and the energy of "
            "the products of one sum."
        ),
        alt="Lines of area and energy of requantisers by code width: "
        + "; ".join(
            f"{row.design} at {row.bits} bits, {row.groups} sets: {row.area_um2:,.0f} µm²"
            for row in rows if row.groups == 1
        )
        + ".",
        source=source,
        draw=lambda layout: draw_lines(panels, layout),
        table=_table(rows),
    )  # fmt: skip
    return Section("requantisation", "Requantisation", (_WHAT,), (chart,), tuple(unit_notes(rows)))


def _panel(
    rows: Sequence[UnitRow],
    label: str,
    value: Callable[[UnitRow], float],
    beside: Callable[[UnitRow], float],
    name: str,
) -> LinePanel:
    """The units, and what stands ``beside`` them of the MAC."""
    lines = []
    for (design, heads), mark in _MARKS.items():
        mine = [row for row in rows if row.design == design and (row.groups > 1) is heads]
        lines.append(
            Line(design + ", a scale a head" * heads, [row.bits for row in mine], [value(row) for row in mine], mark)
        )
    first = {row.bits: beside(row) for row in reversed(rows)}
    widths = sorted(first)
    lines.append(Line(name, widths, [first[width] for width in widths], Mark(GREY, "D")))
    return LinePanel("bits of a code", label, tuple(lines), log=True)


def _table(rows: Sequence[UnitRow]) -> Table:
    lines: list[tuple[Cell, ...]] = [
        (
            row.bits, row.design, row.groups, row.groups * row.parameter_width, row.area_um2, row.power_uw,
            row.energy_pj, row.minimum_period_ns, row.area_ratio, row.energy_ratio, row.basis,
        )
        for row in rows
    ]  # fmt: skip
    return Table("requantisers-units", "Requantisers, one unit each", _COLUMNS, tuple(lines))
