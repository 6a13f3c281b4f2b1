"""The parts of an array for whole networks, at the costs that the calibrated model has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwmodel.comparison import Answer, Question
from hwmodel.features import Vector, counts_of
from hwmodel.model import Cost, LibraryModel, cost_of
from hwmodel.networkrows import default_elements
from hwmodel.partcosts import Costs, MacCost, UnitCost
from hwmodel.requantstream import RequantPlan
from hwmodel.sram import SramTable
from hwmodel.stimulus import StreamPlan
from hwmodel.structure import FLIP_FLOPS, Part
from hwmodel.unitmodel import best_unit, unit_counts
from hwmodel.workload import Role
from rtl.requant import LoadableSpec, PartialSumSpec
from rtl.spec import MacSpec, Precision

__all__ = ["costs_of", "elements_of"]

_STAGES = range(3)
_WIDEST = 8  # bits of the codes whose accumulators a partial sum takes


def costs_of(
    model: LibraryModel, clock_mhz: float, sram: SramTable | None, off_chip_pj_per_bit: float | None = None
) -> Costs:
    """Costs by the model, under uniform random codes. Requantisers with the pipelining that meets the clock."""

    def cost_of_mac(mac: MacSpec, precision: Precision, role: Role) -> MacCost:
        cost = cost_of(mac, StreamPlan(precision), model, clock_mhz)
        return MacCost(
            area_um2=cost.total_area_um2,
            energy_pj_per_cycle=float(cost.energy_pj.sum()),
            idle_pj_per_cycle=_idle_pj(counts_of(mac), cost, model),
            leakage_uw=float(cost.leakage_uw.sum()),
            minimum_period_ns=cost.minimum_period_ns,
        )

    def cost_of_unit(spec: LoadableSpec) -> UnitCost:
        bits = _WIDEST if isinstance(spec, PartialSumSpec) else spec.parameters["bits"]
        plan = RequantPlan(int(bits))
        chosen, cost = best_unit(spec, plan, _STAGES, model, clock_mhz)
        return UnitCost(
            area_um2=cost.total_area_um2,
            energy_pj=float(cost.energy_pj.sum()),
            idle_pj_per_cycle=_idle_pj(unit_counts(chosen), cost, model),
            leakage_uw=float(cost.leakage_uw.sum()),
            minimum_period_ns=cost.minimum_period_ns,
        )

    return Costs(
        mac=cost_of_mac, unit=cost_of_unit, clock_mhz=clock_mhz, sram=sram, off_chip_pj_per_bit=off_chip_pj_per_bit
    )


def elements_of(
    lanes: int, designs: Sequence[MacSpec], answer: Callable[[Question], Answer]
) -> Callable[[int], tuple[MacSpec, ...]]:
    """The elements of the comparison at equal throughput, each with the pipelining that its answer has."""

    def elements(bits: int) -> tuple[MacSpec, ...]:
        found = []
        for spec in default_elements(bits, lanes, designs):
            widest = max(spec.precisions, key=lambda p: (p.weight_bits * p.activation_bits, p.activation_signed))
            found.append(answer(Question(spec, (widest,))).spec)
        return tuple(found)

    return elements


def _idle_pj(counts: Vector, cost: Cost, model: LibraryModel) -> float:
    """Energy a cycle in pJ of a part whose data stand still: the clock of its flip-flops."""
    clocked = sum(count for part, count in zip(Part, counts.tolist(), strict=True) if part in FLIP_FLOPS)
    growth = 1 + model.coefficients.energy_growth * cost.pressure**2
    return float(clocked * model.coefficients.clock_fj * growth * 1e-3)
