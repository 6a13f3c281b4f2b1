"""Where area and energy of a design go: by part and by cause, per MAC a cycle, from cost model or synthesis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hwmodel.measurement import SynthesisRow
from hwmodel.model import Cost, LibraryModel, Part, clock_pj, cost_of, counts_of
from hwmodel.operands import StreamPlan
from hwmodel.workload import precision_of
from rtl.spec import MacSpec

from .designs import Subject

__all__ = ["CAUSES", "PARTS", "Breakdown", "by_model", "by_rows"]

PARTS = (
    "gates", "multiplexers", "compressors", "carry adders", "operand registers", "pipeline registers",
    "accumulator registers", "control", "other",
)  # fmt: skip
"""Parts of an area. Synthesis tells full and half adders (compressors) from all other gates, and no more of them."""
CAUSES = ("data", "glitches", "clock", "leakage")
"""Causes of energy: transitions that remain at the end of a cycle, those that do not, the clock of flip-flops."""
_OF_PART = {
    Part.AND_TERMS: "gates",
    Part.OR_GATES: "gates",
    Part.XOR_GATES: "gates",
    Part.MULTIPLEXERS: "multiplexers",
    Part.HOLDS: "multiplexers",
    Part.FULL_ADDERS: "compressors",
    Part.HALF_ADDERS: "compressors",
    Part.CARRY_BITS: "carry adders",
    Part.OPERAND_REGISTERS: "operand registers",
    Part.PIPELINE_REGISTERS: "pipeline registers",
    Part.ACCUMULATOR_REGISTERS: "accumulator registers",
    Part.CONTROL_REGISTERS: "control",
}
_OF_ROW = {
    "logic_um2": "gates",
    "compressor_um2": "compressors",
    "operand_registers_um2": "operand registers",
    "pipeline_registers_um2": "pipeline registers",
    "accumulator_registers_um2": "accumulator registers",
    "control_um2": "control",
}


@dataclass(frozen=True)
class Breakdown:
    """area_um2: by PARTS, per MAC a cycle; energy_fj: by CAUSES, per MAC, or None where it is not known. In both, what
    a design does not have is left out.
    """

    area_um2: Mapping[str, float]
    energy_fj: Mapping[str, float] | None


def by_model(subject: Subject, model: LibraryModel) -> Breakdown:
    """As the cost model has it, at the clock of the row."""
    spec, clock_mhz = subject.spec, subject.row.clock_mhz
    rate = subject.row.macs_per_cycle
    shares = subject.entry.run_as.shares
    plans = [StreamPlan(precision_of(bits)) for bits, _ in shares]
    costs = [cost_of(spec, plan, model, clock_mhz) for plan in plans]
    area: dict[str, float] = {}
    for part, (area_um2, _) in costs[0].by_part().items():
        name = _OF_PART.get(part, "other")
        area[name] = area.get(name, 0.0) + area_um2 / rate
    energy = dict.fromkeys(CAUSES, 0.0)
    for (_, share), plan, cost in zip(shares, plans, costs, strict=True):
        for cause, power_uw in _causes(spec, cost, model).items():
            energy[cause] += float(share) * 1e3 * power_uw / clock_mhz / plan.products_per_cycle(spec)
    return Breakdown(_ordered(area, PARTS), _ordered(energy, CAUSES))


def by_rows(rows: Iterable[SynthesisRow]) -> Callable[[Subject], Breakdown | None]:
    """As synthesis measured it; None for a design that has no row at its clock."""
    found: dict[tuple[str, str, float], list[SynthesisRow]] = {}
    for row in rows:
        found.setdefault((row.design, str(sorted(row.spec.items())), row.clock_mhz), []).append(row)

    def look(subject: Subject) -> Breakdown | None:
        spec, clock_mhz = subject.spec, subject.row.clock_mhz
        same = found.get((spec.design, str(sorted(spec.parameters.items())), clock_mhz), [])
        same = [row for row in same if row.library == subject.row.library and row.recipe == subject.row.source]
        if not same:
            return None
        parts = {name: getattr(same[0].parts, field) / subject.row.macs_per_cycle for field, name in _OF_ROW.items()}
        return Breakdown(_ordered(parts, PARTS), _measured_energy(subject, same))

    return look


def _causes(spec: MacSpec, cost: Cost, model: LibraryModel) -> dict[str, float]:
    """Power in uW by cause."""
    clock_uw = clock_pj(counts_of(spec), cost.pressure, model.coefficients) * cost.clock_mhz
    settled_uw = float(cost.settled_pj.sum()) * cost.clock_mhz
    return {
        "data": settled_uw - clock_uw,
        "glitches": float(cost.energy_pj.sum()) * cost.clock_mhz - settled_uw,
        "clock": clock_uw,
        "leakage": float(cost.leakage_uw.sum()),
    }


def _measured_energy(subject: Subject, rows: list[SynthesisRow]) -> dict[str, float] | None:
    """Over the mixture; None where one of its precisions has no power, or no count of settled transitions."""
    energy = dict.fromkeys(CAUSES, 0.0)
    for bits, share in subject.entry.run_as.shares:
        plan = StreamPlan(precision_of(bits))
        powered = [row for row in rows if row.activity == str(plan)]
        if not powered:
            return None
        row = powered[0]
        if row.power_uw is None or row.clock_uw is None or row.leakage_uw is None or row.settled_uw is None:
            return None
        glitches_uw = row.power_uw - row.leakage_uw - row.clock_uw - row.settled_uw
        values = {"data": row.settled_uw, "glitches": glitches_uw, "clock": row.clock_uw, "leakage": row.leakage_uw}
        for cause, power_uw in values.items():
            energy[cause] += float(share) * 1e3 * power_uw / row.clock_mhz / plan.products_per_cycle(subject.spec)
    return _ordered(energy, CAUSES)


def _ordered(values: Mapping[str, float], order: tuple[str, ...]) -> dict[str, float]:
    return {name: values[name] for name in order if values.get(name)}
