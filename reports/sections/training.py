"""What training showed: oscillating weights, and which GEMMs suffer from low bits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hwmodel.workload import SensitivityTable
from reports.charts import Chart, Layout, Line, LinePanel, Values, draw_dots, draw_grid, draw_lines
from reports.inputs import Oscillation
from reports.values import Column, Source, Table, percent
from reports.wording import oscillation_finding, sensitivity_finding

from .document import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["oscillation_section", "sensitivity_section"]


def oscillation_section(runs: Sequence[Oscillation], note: str) -> Section:
    """Lines by epoch, and for runs that have them the shares of modules. note: of the files."""
    source = Source(command="python -m qat.train", where=", ".join(run.name for run in runs), note=note)
    ends = tuple(
        Line(f"{run.name}, {100 * run.shares[-1]:.2f} %", run.epochs, [100 * share for share in run.shares])
        for run in runs
    )
    panel = LinePanel("epoch", "oscillating weights, %", ends)
    lines = Chart(
        name="oscillation",
        title=oscillation_finding(runs),
        caption=(
            "A weight oscillates when its code changes back and forth: an exponential average (momentum 0.01) of "
            "changes opposite to the last one above 0.005. Shares are of all quantised weights, after each epoch."
        ),
        alt="Lines of oscillating weights by epoch: "
        + "; ".join(f"{run.name} from {percent(run.shares[0], 1)} to {percent(run.shares[-1], 1)}" for run in runs)
        + ".",
        source=source,
        draw=lambda layout: draw_lines([panel], layout),
        table=_epochs(runs),
    )
    return Section("oscillation", "Oscillation", blocks=(lines, *_module_charts(runs, source)))


def sensitivity_section(table: SensitivityTable, note: str) -> Section:
    """Dots by role, or a grid where there are layers."""
    values = {(role.value.replace("_", " "), layer): value for (role, layer), value in table.rows.items()}
    layered = any(layer is not None for _, layer in values)
    ranked = sorted(((kind, value) for (kind, _), value in values.items()), key=lambda entry: -entry[1])
    chart = Chart(
        name="sensitivity",
        title=sensitivity_finding(values),
        caption="Harm of one unit of quantisation noise in one product, relative to the others"
        + (
            "; the stronger the colour of a cell, the larger."
            if layered
            else ", on a logarithmic scale where all are positive."
        ),
        alt="Sensitivity to low bits by role: " + ", ".join(f"{kind} {value:g}" for kind, value in ranked[:12]) + ".",
        source=Source(where=table.source, note=note),
        draw=lambda layout: (
            draw_grid(values, "sensitivity", 2, layout)
            if layered
            else draw_dots(ranked, "sensitivity, relative", layout)
        ),
        table=_values("sensitivity-values", "Sensitivity to low bits", values, Column("sensitivity", "sensitivity", 4)),
    )
    return Section("sensitivity", "Sensitivity to low bits", blocks=(chart,))


def _epochs(runs: Sequence[Oscillation]) -> Table:
    columns = (Column("run", "run"), Column("epoch", "epoch", 0), Column("oscillating_percent", "oscillating, %", 2))
    rows = tuple(
        (run.name, epoch, 100 * share) for run in runs for epoch, share in zip(run.epochs, run.shares, strict=True)
    )
    return Table("oscillation-epochs", "Oscillating weights by epoch", columns, rows)


def _module_charts(runs: Sequence[Oscillation], source: Source) -> list[Chart]:
    charts = []
    for number, run in enumerate(run for run in runs if run.modules):
        values = {key: 100 * share for key, share in _by_layer(run.modules).items()}
        (kind, layer), most = max(values.items(), key=lambda entry: entry[1])
        where = kind if layer is None else f"{kind} in layer {layer}"
        charts.append(
            Chart(
                name=f"oscillation-modules-{number + 1}",
                title=f"In {run.name}, {where} oscillates most, with {most:.1f} % of its weights",
                caption="Shares of oscillating weights after the last epoch, by module and layer, in percent.",
                alt=f"Grid of oscillating weights of {run.name} by module and layer, at most {most:.1f} %.",
                source=source,
                draw=_drawing(values),
                table=_values(
                    f"oscillation-modules-{number + 1}", f"Oscillating weights of {run.name} by module", values,
                    Column("oscillating_percent", "oscillating, %", 2),
                ),
            )
        )  # fmt: skip
    return charts


def _drawing(values: Values) -> Callable[[Layout], Figure]:
    return lambda layout: draw_grid(values, "oscillating weights, %", 1, layout)


def _by_layer(modules: Mapping[str, float]) -> dict[tuple[str, int | None], float]:
    """Names with the number of their layer apart: of several numbers the first counts, the others stay in the name."""
    found: dict[tuple[str, int | None], float] = {}
    for name, share in modules.items():
        match = re.fullmatch(r"(?:.*?\.)?(\d+)\.(.+)", name)
        found[(match[2], int(match[1])) if match else (name, None)] = share
    return found


def _values(name: str, caption: str, values: Mapping[tuple[str, int | None], float], column: Column) -> Table:
    layered = any(layer is not None for _, layer in values)
    columns = (Column("part", "part"), *((Column("layer", "layer", 0),) if layered else ()), column)
    rows = tuple((kind, *((layer,) if layered else ()), value) for (kind, layer), value in values.items())
    return Table(name, caption, columns, rows)
