"""The comparison itself: all designs in both normalisations."""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row, is_uniform, notes, scalable_rows
from hwmodel.workload import Width, parts_of
from reports.charts import Chart, draw_pareto, draw_ratios, pareto
from reports.values import Cell, Column, Source, Table, bits
from reports.wording import mixed_widths, order_of, pareto_finding, ratio_title, widths_of

from .document import Section, TableBlock

__all__ = ["hardware_section", "hardware_table", "ratios_figure"]

_UNIT, _RATE = "equal units, per unit", "equal throughput, per MAC/cycle"
_COLUMNS = (
    Column("design", "design"),
    Column("runs_as", "runs as"),
    Column("area_um2_per_unit", "area, µm²", 1, _UNIT),
    Column("power_uw_per_unit", "power, µW", 1, _UNIT),
    Column("area_ratio_equal_units", "area, times uniform", 2, _UNIT),
    Column("power_ratio_equal_units", "power, times uniform", 2, _UNIT),
    Column("units", "units", 0, _RATE),
    Column("pipeline_stages", "stages", 0, _RATE),
    Column("minimum_period_ns", "min. period, ns", 2, _RATE),
    Column("area_um2_per_mac_per_cycle", "area, µm²", 1, _RATE),
    Column("energy_fj_per_mac", "energy, fJ/MAC", 0, _RATE),
    Column("area_ratio_equal_throughput", "area, times uniform", 2, _RATE),
    Column("energy_ratio_equal_throughput", "energy, times uniform", 2, _RATE),
)

_WHAT = (
    "Each precision-scalable design runs a mix of widths with the mean that the uniform MAC has as its one width. "
    "Equal throughput is the fair comparison: as much hardware as gives the same products a cycle. Equal units "
    "compares one unit with one lane, whatever work it does."
)


def hardware_section(rows: Sequence[Row], source: Source) -> Section:
    """Two figures, a table a width, and what must be known beside them."""
    tables = [TableBlock(hardware_table(rows, mean), source) for mean in widths_of(rows)]
    return Section(
        name="hardware",
        title="Hardware in both normalisations",
        paragraphs=(_WHAT + _unmixed(rows),),
        blocks=(*_designs(rows, source), *tables, ratios_figure(rows, EQUAL_UNITS, source)),
        notes=tuple(notes(rows)),
    )


def _unmixed(rows: Sequence[Row]) -> str:
    """That at some mean nothing is mixed, where it is so."""
    unmixed = [mean for mean in widths_of(rows) if mean not in mixed_widths(rows)]
    return f" At a mean of {bits(unmixed)} nothing is mixed: the choice is paid for and not used." if unmixed else ""


def _designs(rows: Sequence[Row], source: Source) -> list[Chart]:
    """Area against energy, where all energies are known."""
    found = [row for row in rows if row.normalisation == EQUAL_THROUGHPUT]
    if any(row.energy_fj_per_mac is None for row in found):
        return []
    means = list(dict.fromkeys(row.bits for row in found))
    fronts = [pareto([row for row in found if row.bits == mean]) for mean in means]
    said = "; ".join(
        f"at {mean} bits {', '.join(f'{row.design} ({row.area_um2_per_mac_per_cycle:,.0f} µm²)' for row in best)}"
        for mean, best in zip(means, fronts, strict=True)
    )
    chart = Chart(
        name="designs",
        title=pareto_finding(found),
        caption=(
            "Area and energy at equal throughput, on logarithmic scales, in each panel scales of its own: further left "
            "and further down is better. Solid line: what no design beats in both; dotted line: the same among those "
            "that switch precision."
        ),
        alt=f"Scatter plots of area against energy of all designs; beaten by none in both: {said}.",
        source=source,
        draw=lambda layout: draw_pareto(found, layout),
    )
    return [chart]


def hardware_table(rows: Sequence[Row], mean: Width) -> Table:
    """All designs at one mean width, both normalisations side by side."""
    units = [row for row in rows if row.bits == mean and row.normalisation == EQUAL_UNITS]
    rates = [row for row in rows if row.bits == mean and row.normalisation == EQUAL_THROUGHPUT]
    lines = []
    for unit, rate in zip(units, rates, strict=True):
        marks = " (misses)" * (rate.meets_clock is False) + " (extrapolated)" * ("out of range" in rate.source)
        line: tuple[Cell, ...] = (
            rate.design + marks,
            rate.run_as,
            unit.area_um2_per_unit,
            unit.power_uw_per_unit,
            unit.area_ratio,
            unit.power_ratio,
            rate.units,
            rate.pipeline_stages,
            rate.minimum_period_ns,
            rate.area_um2_per_mac_per_cycle,
            rate.energy_fj_per_mac,
            rate.area_ratio,
            rate.power_ratio,
        )
        lines.append(line)
    marked = frozenset(number for number, rate in enumerate(rates) if is_uniform(rate))
    first = rates[0]
    caption = f"Mean of {mean} bits: area and power at {first.clock_mhz:g} MHz in {first.library}"
    return Table(f"hardware-{mean}-bits", caption, _COLUMNS, tuple(lines), marked)


def ratios_figure(rows: Sequence[Row], normalisation: str, source: Source) -> Chart:
    """All designs as multiples of the uniform MAC."""
    found, order = scalable_rows(rows, normalisation), order_of(rows)
    second = "energy per product" if normalisation == EQUAL_THROUGHPUT else "power per unit"
    first = "area per product a cycle" if normalisation == EQUAL_THROUGHPUT else "area per unit"
    known = [row.power_ratio for row in found if row.power_ratio is not None]
    what = f"{first} and {second}" if len(known) == len(found) else first
    return Chart(
        name="throughput" if normalisation == EQUAL_THROUGHPUT else "units",
        title=ratio_title(rows, normalisation),
        caption=(
            f"{what.capitalize()} as multiples of the uniform MAC of the same mean width, on logarithmic scales; a "
            "mark a mean width. Designs are in the order of their area at equal throughput, over all widths."
        ),
        alt=_alt(found, what, normalisation),
        source=source,
        draw=lambda layout: draw_ratios(found, order, layout),
    )


def _alt(found: Sequence[Row], what: str, normalisation: str) -> str:
    said = []
    for name, field in (("area", "area_ratio"), (what.split()[-3], "power_ratio")):
        known = [row for row in found if getattr(row, field) is not None]
        if len(known) < len(found) or (field == "power_ratio" and " and " not in what):
            continue
        low, high = (choose(known, key=lambda row: getattr(row, field)) for choose in (min, max))
        said.append(
            f"{name} from {getattr(low, field):.2f} times ({low.design} at {low.bits} bits) to "
            f"{getattr(high, field):.2f} times ({high.design} at {high.bits} bits)"
        )
    designs = len({row.family for row in found})
    return (
        f"Dot plot of {designs} precision-scalable designs against the uniform MAC at {normalisation}, means of "
        f"{bits(sorted({row.bits for row in found}, key=parts_of))}: {'; '.join(said)}."
    )
