"""One inference of a whole network: energy by what GEMMs do, and the arrays that are at least as fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from hwmodel.inference import EQUAL_LATENCY, UNIFORM, NetworkRow, network_notes
from hwmodel.workload import Width, plain_width
from reports.charts import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Bar,
    Chart,
    Look,
    Panel,
    draw_floorplans,
    draw_stacked,
)
from reports.numbers import KINDS, Floorplan, Inference, Network, energy_by_kind, energy_uj, shown_name
from reports.values import Cell, Column, Source, Table, percent
from reports.wording import ends_finding, floorplan_finding

from .document import Section, TableBlock

__all__ = ["network_section"]

_LOOKS = dict(
    zip(
        KINDS,
        (Look(BLUE), Look(SKY, "////"), Look(PURPLE), Look(ORANGE), Look(VERMILLION, "xxxx"), Look(GREY, "\\\\\\\\")),
        strict=True,
    )
)
_COLUMNS = (
    Column("design", "design"),
    Column("array", "array"),
    Column("area_mm2", "all", 2, "area, mm²"),
    Column("logic_mm2", "logic", 2, "area, mm²"),
    Column("latency_us", "latency, µs", 0),
    Column("utilisation_percent", "utilisation, %", 0),
    Column("energy_uj", "all", 1, "energy of one inference, µJ"),
    Column("macs_uj", "MACs", 1, "energy of one inference, µJ"),
    Column("requantisation_uj", "requant.", 1, "energy of one inference, µJ"),
    Column("memories_uj", "memories", 1, "energy of one inference, µJ"),
    Column("leakage_uj", "leakage", 1, "energy of one inference, µJ"),
    Column("logic_area_ratio", "logic area", 2, "times uniform"),
    Column("energy_ratio", "energy", 2, "times uniform"),
)


def network_section(network: Network, source: Source) -> Section:
    """A figure, a table a width, and what must be known beside them."""
    name = shown_name(network.workload.name)
    pairs = list(zip(network.uniform, network.mixed, strict=True))
    bars = [bar for pair in pairs for bar in map(_bar, pair)]
    panels = [Panel("", tuple(bars))]
    chart = Chart(
        name="gemms",
        title=ends_finding(network),
        caption=(
            f"Energy of one inference of {name} by what its GEMMs do, MACs, requantisation, memories and leakage "
            "included: on the uniform array, and on the precision-scalable array of least energy that is at least as "
            "fast and runs it at the same mean."
        ),
        alt=_alt(name, pairs),
        source=source,
        draw=lambda layout: draw_stacked(panels, _LOOKS, "energy, µJ an inference", layout),
        table=_classes(network),
    )
    plans = _floorplans(network, source)
    tables = [TableBlock(_table(network, mean), source) for mean in network.bits]
    return Section(
        "inference",
        f"One inference of {name}",
        blocks=(chart, plans, *tables),
        notes=tuple(network_notes(network.rows)),
    )


def _floorplans(network: Network, source: Source) -> Chart:
    """Both arrays of the highest mean, as their areas have it."""
    name = shown_name(network.workload.name)
    plans = (network.uniform[-1].plan, network.mixed[-1].plan)
    has_memories = plans[0].result_memory_um2 > 0
    return Chart(
        name="floorplans",
        title=floorplan_finding(network),
        caption=(
            f"The two arrays that run {name} at a mean of {network.bits[-1]} bits in the same time, all parts to one "
            "scale by their areas. A drawing of areas, not a layout: wires, control and the space between macros are "
            "not in it." + ("" if has_memories else " No memories are known for this library.")
        ),
        alt="Two arrays as blocks to scale: " + "; ".join(
            f"{plan.name} with {plan.rows} × {plan.columns} elements of {plan.elements_um2 / 1e6:.2f} mm², "
            f"{plan.total_um2 / 1e6:.2f} mm² in all" for plan in plans
        ) + ".",
        source=source,
        draw=lambda layout: draw_floorplans(plans, layout),
        table=_parts(network),
    )  # fmt: skip


def _parts(network: Network) -> Table:
    parts = [field.name for field in fields(Floorplan) if field.name.endswith("_um2")]
    columns = (
        Column("design", "design"),
        Column("mean_bits", "mean bits", 0),
        *(
            Column(part.replace("um2", "mm2"), part.removesuffix("_um2").replace("_", " "), 3, "area, mm²")
            for part in parts
        ),
        Column("all_mm2", "all", 3, "area, mm²"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            found.plan.name,
            plain_width(found.row.bits),
            *(getattr(found.plan, part) / 1e6 for part in parts),
            found.plan.total_um2 / 1e6,
        )
        for pair in zip(network.uniform, network.mixed, strict=True)
        for found in pair
    ]
    marked = frozenset(range(0, len(rows), 2))
    return Table("array-parts", f"Arrays of {shown_name(network.workload.name)} by part", columns, tuple(rows), marked)


def _bar(found: Inference) -> Bar:
    design = "uniform" if found.row.normalisation == UNIFORM else found.row.design
    return Bar(f"{found.row.bits} bits, {design}", energy_by_kind(found.cost))


def _alt(name: str, pairs: Sequence[tuple[Inference, Inference]]) -> str:
    said = []
    for one, other in pairs:
        kind, value = max(energy_by_kind(one.cost).items(), key=lambda entry: entry[1])
        said.append(
            f"at {one.row.bits} bits uniform {energy_uj(one.cost):,.0f} µJ, of it "
            f"{percent(value / energy_uj(one.cost))} {kind}; {other.row.design} {energy_uj(other.cost):,.0f} µJ"
        )
    return f"Stacked bars of the energy of one inference of {name} by kind of GEMM: {'. '.join(said)}."


def _classes(network: Network) -> Table:
    kinds = [kind for kind in KINDS if any(kind in energy_by_kind(each.cost) for each in network.uniform)]
    columns = (
        Column("design", "design"),
        Column("mean_bits", "mean bits", 0),
        *(Column(f"{kind.replace(', ', '_').replace(' ', '_')}_uj", f"{kind}, µJ", 1) for kind in kinds),
        Column("sum_uj", "sum, µJ", 1),
    )
    rows: list[tuple[Cell, ...]] = []
    for one, other in zip(network.uniform, network.mixed, strict=True):
        for label, found in (("uniform", one), (other.row.design, other)):
            values = energy_by_kind(found.cost)
            rows.append(
                (label, plain_width(found.row.bits), *(values.get(kind, 0.0) for kind in kinds), energy_uj(found.cost))
            )
    marked = frozenset(number for number, row in enumerate(rows) if row[0] == "uniform")
    caption = f"Energy of one inference of {shown_name(network.workload.name)} by kind of GEMM"
    return Table("gemm-energy", caption, columns, tuple(rows), marked)


def _table(network: Network, mean: Width) -> Table:
    """The uniform array first, then all others that are at least as fast, by energy."""
    others = sorted(network.others(mean), key=lambda row: row.energy_uj)
    rows = (network.base(mean), *others)
    caption = f"Mean of {mean} bits: arrays at {EQUAL_LATENCY}, {rows[0].clock_mhz:g} MHz; mixture {others[0].mixture}"
    return Table(f"inference-{mean}-bits", caption, _COLUMNS, tuple(_line(row) for row in rows), frozenset({0}))


def _line(row: NetworkRow) -> tuple[Cell, ...]:
    return (
        row.design,
        f"{row.rows} × {row.columns}" + (" (misses)" if row.meets_clock is False else ""),
        row.area_um2 / 1e6,
        row.logic_area_um2 / 1e6,
        row.latency_us,
        100 * row.utilisation,
        row.energy_uj,
        row.mac_uj,
        row.requantisation_uj,
        row.sram_uj,
        row.leakage_uj,
        row.logic_area_ratio,
        row.energy_ratio,
    )
