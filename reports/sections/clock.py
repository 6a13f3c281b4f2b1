"""Area against the clock period."""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.workload import plain_width
from reports.charts import Chart, draw_curves
from reports.numbers import Curve
from reports.values import Column, Source, Table, bits
from reports.wording import clock_finding

from .document import Section

__all__ = ["clock_section"]


def clock_section(curves: Sequence[Curve], source: Source) -> Section:
    """A figure, and its points as a table."""
    chart = Chart(
        name="clock",
        title=clock_finding(curves),
        caption=(
            "Area per MAC/cycle at equal throughput, each point with the pipelining (0, 1 or 2 stages) that "
            "meets the clock; a line begins at the shortest period that the design meets. Areas are on a logarithmic "
            "scale."
        ),
        alt=_alt(curves),
        source=source,
        draw=lambda layout: draw_curves(curves, layout),
        table=_table(curves),
    )
    return Section("clock", "Area against clock period", blocks=(chart,))


def _alt(curves: Sequence[Curve]) -> str:
    said = []
    for curve in curves:
        if curve.subject.uniform:
            others = [each for each in curves if each.subject.row.bits == curve.subject.row.bits and each is not curve]
            first = min(others, key=lambda each: each.fastest_ns)
            said.append(
                f"at {bits([curve.subject.row.bits])} the uniform MAC from {curve.areas_um2[0]:,.0f} um2 at "
                f"{curve.fastest_ns:.2f} ns to {curve.areas_um2[-1]:,.0f} at {curve.periods_ns[-1]:.2f} ns, the "
                f"fastest other, {first.subject.row.design}, from {first.areas_um2[0]:,.0f} at {first.fastest_ns:.2f} "
                "ns"
            )
    return f"Lines of area per MAC/cycle against clock period: {'; '.join(said)}."


def _table(curves: Sequence[Curve]) -> Table:
    columns = (
        Column("design", "design"),
        Column("mean_bits", "mean bits", 0),
        Column("clock_period_ns", "clock period, ns", 3),
        Column("area_um2_per_mac_per_cycle", "area, µm² per MAC/cycle", 1),
    )
    rows = tuple(
        (curve.subject.row.design, plain_width(curve.subject.row.bits), period, area)
        for curve in curves
        for period, area in zip(curve.periods_ns, curve.areas_um2, strict=True)
    )
    return Table("clock-curves", "Area against clock period at equal throughput", columns, rows)
