"""The parts of an array for whole networks, at the costs that the calibrated model has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from hwmodel.comparison import REDUCTION_LENGTH
from hwmodel.model import (
    Cost,
    LibraryModel,
    Share,
    attempt_of_shape,
    best_unit,
    drain_cost,
    share_cost,
    share_shape,
)
from hwmodel.operands import RequantPlan, StreamPlan
from hwmodel.synthesis import Attempt, try_trials, weighed_precision
from hwmodel.workload import Mixture, Role, Width
from rtl.array import Architecture, CoreSpec, ElementSpec
from rtl.requant import LoadableSpec, PartialSumSpec
from rtl.spec import MacSpec, Precision

from .memories import SramTable
from .parts import Costs, EdgeCost, MacCost, UnitCost
from .rows import default_elements

__all__ = ["costs_of", "elements_of"]

_STAGES = range(3)
_WIDEST = 8  # bits of the codes whose accumulators a partial sum takes


def costs_of(
    model: LibraryModel,
    clock_mhz: float,
    sram: SramTable | None,
    off_chip_pj_per_bit: float | None = None,
    *,
    rows: int = 16,
    columns: int = 16,
) -> Costs:
    """Costs by the model, under uniform random codes. Requantisers with the pipelining that meets the clock.

    rows, columns: of the array whose fan-out the operand registers at the edge are taken to have.
    """

    @cache
    def cost_at(element: ElementSpec, precision: Precision) -> MacCost:
        core, plan = _core(element, rows, columns), StreamPlan(precision)
        costs = {share: share_cost(core, share, plan, model, clock_mhz) for share in Share}
        parts = {share: _fields(cost) for share, cost in costs.items()}
        whole = parts[Share.ELEMENT]
        if element.systolic:  # an element has all of them
            whole = {name: sum(part[name] for part in parts.values()) for name in whole}
            parts = {share: dict.fromkeys(whole, 0.0) for share in Share}
        return MacCost(
            **whole,
            minimum_period_ns=costs[Share.ELEMENT].minimum_period_ns,
            drain_pj=float(drain_cost(core, plan, model, clock_mhz).energy_pj.sum()),
            row=EdgeCost(**parts[Share.ROW]),
            column=EdgeCost(**parts[Share.COLUMN]),
            shared=EdgeCost(**parts[Share.ARRAY]),
        )

    def cost_of_mac(element: ElementSpec, precision: Precision, role: Role) -> MacCost:
        return cost_at(element, precision)

    def cost_of_unit(spec: LoadableSpec) -> UnitCost:
        bits = _WIDEST if isinstance(spec, PartialSumSpec) else spec.parameters["bits"]
        plan = RequantPlan(int(bits))
        _, cost = best_unit(spec, plan, _STAGES, model, clock_mhz)
        return UnitCost(
            area_um2=cost.total_area_um2,
            energy_pj=float(cost.energy_pj.sum()),
            idle_pj_per_cycle=float(cost.idle_pj.sum()),
            leakage_uw=float(cost.leakage_uw.sum()),
            minimum_period_ns=cost.minimum_period_ns,
        )

    return Costs(
        mac=cost_of_mac, unit=cost_of_unit, clock_mhz=clock_mhz, sram=sram, off_chip_pj_per_bit=off_chip_pj_per_bit
    )


def elements_of(
    lanes: int,
    designs: Sequence[type[MacSpec]],
    model: LibraryModel,
    clock_mhz: float,
    *,
    rows: int = 16,
    columns: int = 16,
    longest_sum: int = 1,
) -> Callable[[Width, Mixture], tuple[MacSpec, ...]]:
    """The elements of the comparison at equal throughput, each with the pipelining and form that suit a broadcast array
    of ``rows`` x ``columns`` of them at the clock (hwmodel.synthesis.stages).

    longest_sum: products of the longest sums of a network; accumulators that do not hold them are made as wide as they
    need.
    """
    length = max(REDUCTION_LENGTH, longest_sum)

    @cache
    def best(spec: MacSpec) -> MacSpec:
        def core(mac: MacSpec) -> CoreSpec:
            return _core(ElementSpec(mac=mac, systolic=False), rows, columns)

        def look(mac: MacSpec) -> Attempt:
            return attempt_of_shape(share_shape(core(mac), Share.ELEMENT, model), model, clock_mhz)

        def power_uw(mac: MacSpec) -> float:
            plan = StreamPlan(weighed_precision(mac))
            return share_cost(core(mac), Share.ELEMENT, plan, model, clock_mhz).power_uw

        found = try_trials(spec, _STAGES, lambda mac: mac, look, power_uw, model.forms)
        assert found is not None
        return found[0]

    return lambda bits, mixture: tuple(best(spec) for spec in default_elements(bits, mixture, lanes, designs, length))


def _core(element: ElementSpec, rows: int, columns: int) -> CoreSpec:
    architecture = Architecture.SYSTOLIC if element.systolic else Architecture.BROADCAST
    return CoreSpec(mac=element.mac, rows=rows, columns=columns, architecture=architecture)


def _fields(cost: Cost) -> dict[str, float]:
    """A cost by the names of EdgeCost."""
    return {
        "area_um2": cost.total_area_um2,
        "energy_pj_per_cycle": float(cost.energy_pj.sum()),
        "idle_pj_per_cycle": float(cost.idle_pj.sum()),
        "leakage_uw": float(cost.leakage_uw.sum()),
    }
