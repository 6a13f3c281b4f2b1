"""Accuracy against energy: what others published, and own runs, each for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwmodel.inference import NetworkCost
from hwmodel.workload import is_packaged, load_workload, published_accuracy, published_source, workload_names
from reports.charts import Chart, FrontPanel, FrontPoint, draw_front, front_of
from reports.inputs import FULL_PRECISION, Accuracies, Method, methods
from reports.numbers import Network, energy_uj, shown_name
from reports.values import Cell, Column, Source, Table
from reports.wording import front_finding, own_finding

from .document import Section, TableBlock

__all__ = ["accuracy_section", "own_workloads", "published_workloads"]

Costs = Mapping[tuple[str, int], NetworkCost]


def published_workloads(widths: Sequence[int]) -> list[str]:
    """Workloads that come with the package and have a published accuracy at one of the widths."""
    return [name for name in workload_names() if any(published_accuracy(_model(name), mean) for mean in widths)]


def own_workloads(found: Accuracies) -> list[tuple[str, int]]:
    """Workload and width of the runs that a uniform array of 2 to 8 bits can be costed for, each once."""
    known = set(workload_names())
    return list(
        dict.fromkeys(
            (method.first.model, method.bits)
            for method in methods(found.runs)
            if method.first.model in known and method.bits is not None and 2 <= method.bits <= 8
        )
    )


def accuracy_section(widths: Sequence[int], costs: Costs, network: Network, own: Accuracies, source: Source) -> Section:
    """costs: of uniform arrays by workload and width, those of own runs too. network: whose mixed arrays are marked,
    where accuracies of it are published.
    """
    names = published_workloads(widths)
    points = [
        FrontPoint(shown_name(name), str(mean), energy_uj(costs[name, mean]), accuracy)
        for name in names
        for mean in widths
        if (accuracy := published_accuracy(_model(name), mean)) is not None
    ]
    # Of a network of one's own no accuracy is known beside others.
    known = is_packaged(network.workload) and network.workload.name in names
    marked = network if known else None
    without = () if marked is None else tuple(each.row.energy_uj for each in marked.mixed)
    label = "" if marked is None else f"{shown_name(marked.workload.name)} mixed: accuracy not published"
    panels = [FrontPanel("published: ImageNet-1K top-1", tuple(points), without, label)] if points else []
    panels += _own_panels(own, costs)
    blocks: list[Chart | TableBlock] = [_chart(panels, points, names, widths, marked, source)] if panels else []
    where = Source(command=own.source, where=", ".join(dict.fromkeys(run.data for run in own.runs)), date=own.date)
    blocks.append(TableBlock(_own_table(own, costs), where))
    paragraphs = (f"Published, not ours: {published_source()}.",) if points else ()
    return Section("accuracy", "Accuracy against energy", paragraphs, tuple(blocks))


def _chart(
    panels: Sequence[FrontPanel],
    points: Sequence[FrontPoint],
    names: Sequence[str],
    widths: Sequence[int],
    network: Network | None,
    source: Source,
) -> Chart:
    energies = "energies are the cost model's, on uniform arrays of 16 × 16 elements."
    said = [f"Numbers in the points are bit-widths of weights and activations; {energies}"]
    if points:
        said.append(
            'Accuracies under "published" are those of others, not measured here; the dotted line joins those that no '
            "other beats."
        )
    if points and network is not None:
        said.append(
            f"Ticks at the bottom: the best mixed-precision array of {shown_name(network.workload.name)} at each "
            "mean; no accuracy was published for these."
        )
    own = [panel for panel in panels if any(point.interval_percent for point in panel.points)]
    if own:
        said.append("Own runs are in panels of their own: means over seeds, with mean intervals of 95 %.")
    return Chart(
        name="accuracy",
        title=front_finding(points) if points else own_finding([point for panel in own for point in panel.points]),
        caption=" ".join(said),
        alt=" ".join(_alt(panel) for panel in panels),
        source=source,
        draw=lambda layout: draw_front(panels, layout),
        table=_table(points, names, widths) if points else None,
    )


def _own_panels(own: Accuracies, costs: Costs) -> list[FrontPanel]:
    """A panel a model and data set; runs without an array, as those at full precision, are in the table only."""
    groups: dict[tuple[str, str], list[FrontPoint]] = {}
    for method in methods(own.runs):
        first = method.first
        if method.bits is not None and (first.model, method.bits) in costs:
            point = FrontPoint(
                first.name,
                str(method.bits),
                energy_uj(costs[first.model, method.bits]),
                method.mean_percent,
                method.interval_percent,
            )
            groups.setdefault((first.model, first.data), []).append(point)
    return [FrontPanel(f"own runs: {model} on {data}", tuple(points)) for (model, data), points in groups.items()]


def _alt(panel: FrontPanel) -> str:
    best = ", ".join(
        f"{point.series} at {point.label} bits ({point.energy_uj:,.3g} µJ, {point.accuracy_percent:.2f} %)"
        for point in front_of(panel.points)
    )
    return f"Accuracy against energy of one inference, {panel.title}: {len(panel.points)} points; not beaten: {best}."


def _table(points: Sequence[FrontPoint], names: Sequence[str], widths: Sequence[int]) -> Table:
    columns = (
        Column("network", "network"),
        Column("full_precision_percent", "full precision, %", 2, "published accuracy, ImageNet-1K top-1"),
        *(
            Column(f"w{mean}a{mean}_percent", f"W{mean}A{mean}, %", 2, "published accuracy, ImageNet-1K top-1")
            for mean in widths
        ),
        *(
            Column(f"w{mean}a{mean}_uj", f"W{mean}A{mean}, µJ", 0, "energy of one inference, cost model")
            for mean in widths
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for name in names:
        energies = {point.label: point.energy_uj for point in points if point.series == shown_name(name)}
        accuracies = [published_accuracy(_model(name), mean) for mean in (FULL_PRECISION, *widths)]
        rows.append((shown_name(name), *accuracies, *(energies.get(str(mean)) for mean in widths)))
    return Table("published", "Published accuracies, and energies on uniform arrays", columns, tuple(rows))


def _own_table(own: Accuracies, costs: Costs) -> Table:
    columns = (
        Column("method", "method"),
        Column("model", "model"),
        Column("data", "data"),
        Column("weight_bits", "weight bits", 0),
        Column("activation_bits", "activation bits", 0),
        Column("seeds", "seeds", 0),
        Column("samples", "test samples", 0),
        Column("accuracy_percent", "accuracy, %", 2),
        Column("deviation_points", "deviation over seeds, points", 2),
        Column("low_percent", "95 % interval from, %", 1),
        Column("high_percent", "to, %", 1),
        Column("energy_uj", "energy, µJ an inference", 1),
    )
    return Table("own-runs", "Own runs", columns, tuple(_own_line(method, costs) for method in methods(own.runs)))


def _own_line(method: Method, costs: Costs) -> tuple[Cell, ...]:
    first = method.first
    cost = None if method.bits is None else costs.get((first.model, method.bits))
    return (
        first.name, first.model, first.data, first.weight_bits, first.activation_bits, len(method.runs), first.samples,
        method.mean_percent, method.deviation, *method.interval_percent, None if cost is None else energy_uj(cost),
    )  # fmt: skip


def _model(name: str) -> str:
    """The model that a workload was traced from, by which accuracies are published."""
    return str(load_workload(name).provenance.get("model", name))
