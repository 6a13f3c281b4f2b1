"""How wrong the cost model is: every calibration point of every library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reports.charts import Chart, Layout, draw_errors
from reports.numbers import Library, Quantity
from reports.values import Cell, Column, Source, Table
from reports.wording import model_finding

from .document import Section, TableBlock

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["model_section"]

_WHAT = (
    "Whole designs were held out before the model was fitted: families, widths and sizes that it has never seen. Their "
    "error is the one to trust."
)


def model_section(libraries: Sequence[Library], shown: str) -> Section:
    """The errors of all libraries, and a figure each, the others' folded away. shown: the library of the comparison."""
    first = next((library for library in libraries if library.name == shown), libraries[0])
    charts = [
        _chart(library, library is not first) for library in sorted(libraries, key=lambda each: each is not first)
    ]
    everywhere = Source(command="python -m hwmodel.validate", where=", ".join(library.name for library in libraries),
                        date=max(library.date for library in libraries))  # fmt: skip
    return Section(
        "model",
        "Model against synthesis",
        (_WHAT,),
        (charts[0], TableBlock(_table(libraries), everywhere), *charts[1:]),
    )


def _chart(library: Library, folded: bool) -> Chart:
    errors = "; ".join(
        f"{each.name} {each.mean_percent:.1f} % on average, {each.largest_percent:.0f} % at most"
        for each in library.quantities
    )
    points = sum(len(each.points) for each in library.quantities)
    return Chart(
        name=f"model-{library.name}",
        title=model_finding(library),
        caption=(
            f"Each point is a synthesised netlist of {library.designs} designs, {library.held_out} of them held out: "
            "predicted against measured above, the error below. The held-out design with the largest error is named."
        ),
        alt=f"Scatter plots of {points:,} predictions against measurements in {library.name}; held out: {errors}.",
        source=Source(
            command=library.command, where=f"{library.name}, {library.corner}", tools=library.tools, date=library.date
        ),
        draw=_drawing(library.quantities),
        table=_points(library),
        folded=folded,
    )


def _drawing(quantities: tuple[Quantity, ...]) -> Callable[[Layout], Figure]:
    return lambda layout: draw_errors(quantities, layout)


def _points(library: Library) -> Table:
    columns = (
        Column("design", "design"),
        Column("quantity", "quantity"),
        Column("unit", "unit"),
        Column("clock_mhz", "clock, MHz", 0),
        Column("operands", "operands"),
        Column("held_out", "held out"),
        Column("measured", "measured", 3),
        Column("predicted", "predicted", 3),
        Column("error_percent", "error, %", 1),
    )
    rows = tuple(
        (
            point.design, each.name, each.unit, point.clock_mhz, point.activity or "any",
            "yes" if point.held_out else "no", point.measured, point.predicted,
            100 * (point.predicted / point.measured - 1),
        )
        for each in library.quantities
        for point in each.points
    )  # fmt: skip
    return Table(f"model-points-{library.name}", f"Model against synthesis in {library.name}", columns, rows)


def _table(libraries: Sequence[Library]) -> Table:
    columns = (
        Column("library", "library"),
        Column("quantity", "quantity"),
        Column("points", "points", 0),
        Column("held_out_points", "of them held out", 0),
        Column("fitted_mean_percent", "fitted, mean error, %", 1),
        Column("held_out_mean_percent", "held out, mean error, %", 1),
        Column("held_out_largest_percent", "held out, largest error, %", 1),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            library.name, each.name, len(each.points), sum(point.held_out for point in each.points),
            each.fitted_percent, each.mean_percent, each.largest_percent,
        )
        for library in libraries
        for each in library.quantities
    ]  # fmt: skip
    return Table("model-errors", "Errors of the cost model", columns, tuple(rows))
