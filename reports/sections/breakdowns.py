"""Area by part and energy by cause, at equal throughput."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hwmodel.workload import Width, plain_width
from reports.charts import BARS, BLUE, GREEN, GREY, VERMILLION, Bar, Chart, Look, Panel, draw_stacked
from reports.numbers import CAUSES, PARTS, Breakdown, Subject
from reports.values import Cell, Column, Source, Table, percent
from reports.wording import energy_finding, parts_finding

from .document import Section

__all__ = ["area_section", "energy_section"]

_PART_LOOKS = dict(zip(PARTS, BARS, strict=True))
_CAUSE_LOOKS = dict(zip(CAUSES, (Look(BLUE), Look(VERMILLION, "////"), Look(GREEN), Look(GREY)), strict=True))
Found = Mapping[Subject, Breakdown]


def area_section(found: Found, order: Sequence[str], source: Source, measured: bool) -> Section:
    """Stacked bars of area per MAC a cycle. found: of equal throughput."""
    if measured:
        how = "Parts are those of the netlists: full and half adders are compressors, all other gates are gates."
    else:
        how = (
            "Parts are counted in the plan of the datapath and weighed by the fitted area of each; multiplexers shift "
            "and select, and hold the registers; carry adders resolve the two rows that compressors leave."
        )
    chart = _chart(
        "parts", parts_finding(found), f"Area per MAC/cycle at equal throughput, with the sum at the end. {how}",
        found, order, lambda breakdown: breakdown.area_um2, _PART_LOOKS, "area, µm² per MAC/cycle", "area_um2", source,
    )  # fmt: skip
    return Section("area", "Area by part", blocks=(chart,))


def energy_section(found: Found, order: Sequence[str], source: Source) -> Section:
    """Stacked bars of energy per MAC; of designs whose power is known."""
    known = {subject: each for subject, each in found.items() if each.energy_fj is not None}
    chart = _chart(
        "energy",
        energy_finding(known),
        "Energy per MAC at equal throughput under uniform random codes, over the mixture, with the sum at the end. "
        "Data: transitions that remain at the end of a cycle; glitches: those that do not; clock: clock pins of "
        "flip-flops, without the clock tree.",
        known, order, lambda breakdown: breakdown.energy_fj or {}, _CAUSE_LOOKS, "energy, fJ per MAC", "energy_fj",
        source,
    )  # fmt: skip
    return Section("power", "Power by cause", blocks=(chart,))


def _chart(
    name: str,
    title: str,
    caption: str,
    found: Found,
    order: Sequence[str],
    values: Callable[[Breakdown], Mapping[str, float]],
    looks: Mapping[str, Look],
    label: str,
    unit: str,
    source: Source,
) -> Chart:
    ranks = {design: rank for rank, design in enumerate(order)}
    ordered = sorted(found, key=lambda subject: -1 if subject.uniform else ranks[subject.row.family])
    widths = list(dict.fromkeys(subject.row.bits for subject in found))
    panels = [
        Panel(
            f"{mean} bits",
            tuple(
                Bar("uniform" if subject.uniform else subject.row.design, values(found[subject]))
                for subject in ordered
                if subject.row.bits == mean
            ),
        )
        for mean in widths
    ]
    return Chart(
        name=name,
        title=title,
        caption=caption,
        alt=_alt(panels, label),
        source=source,
        draw=lambda layout: draw_stacked(panels, looks, label, layout),
        table=_table(name, panels, widths, looks, label, unit),
    )


def _alt(panels: Sequence[Panel], label: str) -> str:
    said = []
    for panel in panels:
        first = panel.bars[0]
        part, value = max(first.parts.items(), key=lambda entry: entry[1])
        sums = [bar.total for bar in panel.bars[1:]]
        said.append(
            f"at {panel.title} {first.label} {first.total:,.0f}, of it {percent(value / first.total)} {part}, the "
            f"others {min(sums):,.0f} to {max(sums):,.0f}"
        )
    return f"Stacked bars of {label}: {'; '.join(said)}."


def _table(
    name: str, panels: Sequence[Panel], widths: Sequence[Width], looks: Mapping[str, Look], label: str, unit: str
) -> Table:
    names = [part for part in looks if any(bar.parts.get(part) for panel in panels for bar in panel.bars)]
    columns = (
        Column("design", "design"),
        Column("mean_bits", "mean bits", 0),
        *(Column(f"{part.replace(' ', '_')}_{unit}", part, 1) for part in names),
        Column(f"sum_{unit}", "sum", 1),
    )
    rows: list[tuple[Cell, ...]] = [
        (bar.label, plain_width(mean), *(bar.parts.get(part, 0.0) for part in names), bar.total)
        for mean, panel in zip(widths, panels, strict=True)
        for bar in panel.bars
    ]
    marked = frozenset(number for number, row in enumerate(rows) if row[0] == "uniform")
    return Table(f"{name}-breakdown", label[:1].upper() + label[1:], columns, tuple(rows), marked)
