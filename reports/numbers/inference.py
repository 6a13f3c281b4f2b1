"""One inference of a whole network, with its energy by what GEMMs do, on arrays that are as fast as the uniform one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hwmodel.comparison import EQUAL_THROUGHPUT, Row, contenders, is_uniform
from hwmodel.inference import (
    EQUAL_LATENCY,
    UNIFORM,
    Costs,
    NetworkCost,
    NetworkRow,
    NoArrayError,
    candidates,
    costs_of,
    element_cost,
    elements_of,
    equal_latency,
    multiplier,
    network_cost,
    network_rows,
    sram_of,
    uniform_array,
)
from hwmodel.model import LibraryModel
from hwmodel.workload import (
    Mixture,
    PrecisionClass,
    Role,
    Width,
    Workload,
    assign_at,
    load_workload,
    uniform,
)
from rtl.spec import MacSpec

__all__ = [
    "KINDS", "Floorplan", "Inference", "Network", "energy_by_kind", "energy_uj", "inferences", "network", "shown_name",
]  # fmt: skip

KINDS = ("query, key, value", "scores, context", "projection", "FFN", "downsampling", "first and last layers")
_KIND = {
    Role.QUERY: KINDS[0], Role.KEY: KINDS[0], Role.VALUE: KINDS[0], Role.SCORES: KINDS[1], Role.CONTEXT: KINDS[1],
    Role.PROJECTION: KINDS[2], Role.FC1: KINDS[3], Role.FC2: KINDS[3], Role.PROJECTION_FC1: KINDS[3],
    Role.PROJECTION_FC2: KINDS[3], Role.GATE: KINDS[3], Role.UP: KINDS[3], Role.DOWN: KINDS[3],
    Role.DOWNSAMPLING: KINDS[4],
}  # fmt: skip
_NAMES = {
    "deit-tiny": "DeiT-T", "deit-small": "DeiT-S", "deit-base": "DeiT-B", "sret-tiny": "SReT-T", "swin-tiny": "Swin-T",
    "swin-small": "Swin-S", "bert-base-128": "BERT-base, 128 tokens", "bert-base-384": "BERT-base, 384 tokens",
    "smollm2-135m-prefill-1024": "SmolLM2-135M, 1,024 tokens at once",
    "smollm2-135m-decode-1024": "SmolLM2-135M, the last of 1,024 tokens",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Floorplan:
    """An array by its parts: areas in um2, of all elements, all registers at one edge and so on; memories are 0 where
    no table of them is known. What the elements share is with the registers of the rows.
    """

    name: str
    rows: int
    columns: int
    elements_um2: float
    row_registers_um2: float
    column_registers_um2: float
    requantisers_um2: float
    activation_memory_um2: float
    weight_memory_um2: float
    result_memory_um2: float

    @property
    def total_um2(self) -> float:
        """Of all parts."""
        return sum(value for name, value in vars(self).items() if name.endswith("_um2"))


@dataclass(frozen=True)
class Inference:
    """One inference on one array: its row, its cost in full, and the array by its parts."""

    row: NetworkRow
    cost: NetworkCost
    plan: Floorplan


@dataclass(frozen=True)
class Network:
    """A network at some mean widths, on all designs: every line of hwmodel.inference.rows.

    uniform: in full, a width each. mixed: likewise, of the best other design.
    """

    workload: Workload
    rows: tuple[NetworkRow, ...]
    uniform: tuple[Inference, ...] = ()
    mixed: tuple[Inference, ...] = ()

    def base(self, bits: Width) -> NetworkRow:
        """The uniform row of a width."""
        return next(row for row in self.rows if row.bits == bits and row.normalisation == UNIFORM)

    def others(self, bits: Width) -> list[NetworkRow]:
        """Those of the other designs that are at most as slow as it."""
        return [row for row in self.rows if row.bits == bits and row.normalisation == EQUAL_LATENCY]

    def best(self, bits: Width) -> NetworkRow:
        """Of these the one with the least energy."""
        return min(self.others(bits), key=lambda row: row.energy_uj)

    @property
    def bits(self) -> tuple[Width, ...]:
        """The mean widths."""
        return tuple(dict.fromkeys(row.bits for row in self.rows))


def shown_name(workload: str) -> str:
    """A network as its authors write it."""
    return _NAMES.get(workload, workload)


@dataclass(frozen=True)
class _Setting:
    costs: Costs
    elements: Callable[[Width, Mixture], Sequence[MacSpec]]


def network(workload: Workload, rows: Sequence[Row], model: LibraryModel) -> Network:
    """One inference of a workload, as ``hwmodel.compare --model`` has it: the same elements, arrays and costs.

    rows: of the comparison. Raises NoArrayError where no other design has an array as fast as the uniform one.
    """
    setting, bits = _setting(rows, model, workload.longest_sum()), _bits(rows)
    made = Network(workload, tuple(network_rows(workload, bits, setting.costs, elements=setting.elements)))
    for mean in bits:
        if not made.others(mean):
            raise NoArrayError(f"no precision-scalable array at a mean of {mean} bits is as fast as the uniform one")
    costs = {mean: _cost(workload, mean, setting) for mean in bits}
    return replace(
        made,
        uniform=tuple(_inference(made.base(mean), costs[mean], setting) for mean in bits),
        mixed=tuple(
            _inference(made.best(mean), _mixed_cost(made.best(mean), costs[mean], setting), setting) for mean in bits
        ),
    )


def inferences(
    names: Sequence[str], rows: Sequence[Row], model: LibraryModel, bits: Sequence[int] | None = None
) -> dict[tuple[str, int], NetworkCost]:
    """Uniform arrays only, of several networks: costs by network and bits (default: those of the comparison that
    weights and activations share).
    """
    longest = max(load_workload(name).longest_sum() for name in names)
    setting = _setting([row for row in rows if is_uniform(row)], model, longest)
    means = [mean for mean in _bits(rows) if isinstance(mean, int)] if bits is None else bits
    return {(name, mean): _cost(load_workload(name), mean, setting) for name in names for mean in means}


def energy_uj(cost: NetworkCost) -> float:
    """Of one inference, in microjoules."""
    return cost.energy.total_pj / 1e6


def energy_by_kind(cost: NetworkCost) -> Mapping[str, float]:
    """Energy of an inference in uJ by KINDS; kinds that the network lacks are left out."""
    found = dict.fromkeys(KINDS, 0.0)
    for role, energy in cost.energy_by_role.items():
        found[_KIND.get(role, KINDS[-1])] += energy.total_pj / 1e6
    return {kind: value for kind, value in found.items() if value}


def ends_share(workload: Workload) -> float:
    """Share of the products that first and last layers have, 0 to 1."""
    return workload.macs_by_class()[PrecisionClass.ENDS] / workload.macs


def _bits(rows: Sequence[Row]) -> list[Width]:
    return list(dict.fromkeys(row.bits for row in rows))


def _setting(rows: Sequence[Row], model: LibraryModel, longest_sum: int) -> _Setting:
    first = rows[0]
    lanes = next(row.units for row in rows if is_uniform(row) and row.normalisation == EQUAL_THROUGHPUT)
    names = list(dict.fromkeys(row.family for row in rows if not is_uniform(row)))
    # Macros of memories are known for this node and not scaled to others.
    elements = elements_of(lanes, contenders(names), model, first.clock_mhz, longest_sum=longest_sum)
    return _Setting(costs_of(model, first.clock_mhz, sram_of(first.library)), elements)


def _inference(row: NetworkRow, cost: NetworkCost, setting: _Setting) -> Inference:
    array, area = cost.array, cost.area
    element = element_cost(array, cost.assignment.workload, setting.costs)
    plan = Floorplan(
        name=row.design,
        rows=array.rows,
        columns=array.columns,
        elements_um2=array.rows * array.columns * element.area_um2,
        row_registers_um2=array.rows * element.row.area_um2 + element.shared.area_um2,
        column_registers_um2=array.columns * element.column.area_um2,
        requantisers_um2=area.requantisation_um2,
        activation_memory_um2=area.activation_sram_um2,
        weight_memory_um2=area.weight_sram_um2,
        result_memory_um2=area.result_sram_um2,
    )
    return Inference(row, cost, plan)


def _cost(workload: Workload, bits: Width, setting: _Setting) -> NetworkCost:
    """Of the uniform array."""
    alike = uniform(workload, bits)
    first, *_ = setting.elements(bits, assign_at(workload, bits).mixture())
    return network_cost(uniform_array(first, alike), alike, setting.costs)


def _mixed_cost(row: NetworkRow, base: NetworkCost, setting: _Setting) -> NetworkCost:
    """The array of a row at equal latency."""
    assignment = assign_at(base.assignment.workload, row.bits)
    element = next(mac for mac in setting.elements(row.bits, assignment.mixture())[1:] if mac.label == row.design)
    requant = multiplier(assignment.drained_bits)
    among = candidates(base.array, element, requant, assignment, setting.costs)
    return network_cost(equal_latency(among, base.cycles), assignment, setting.costs)
