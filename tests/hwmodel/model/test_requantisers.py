"""Requantisation units by the cost model: their flip-flops against synthesised rows, their switching against values."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwmodel.measurement.row import SynthesisRow
from hwmodel.measurement.store import RowStore
from hwmodel.model.features import PARTS
from hwmodel.model.file import load_model
from hwmodel.model.model import Cost
from hwmodel.model.requantisers import best_unit, unit_cost, unit_counts
from hwmodel.model.structure import FLIP_FLOPS, Part
from hwmodel.operands.requantstimulus import RequantPlan
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec

KINDS: dict[str, type[LoadableSpec]] = {kind.design: kind for kind in (ThresholdSpec, MultiplierSpec, PartialSumSpec)}


def measured() -> list[tuple[LoadableSpec, SynthesisRow]]:
    rows = [row for row in RowStore(Path("/nonexistent")).rows() if row.design in KINDS and row.activity is not None]
    return [(KINDS[row.design](**row.spec), row) for row in rows]


def flip_flops(spec: LoadableSpec) -> float:
    return sum(count for part, count in zip(PARTS, unit_counts(spec).tolist(), strict=True) if part in FLIP_FLOPS)


def test_flip_flops_are_those_of_the_synthesised_units() -> None:
    rows = measured()
    assert len(rows) > 15
    for spec, row in rows:
        assert flip_flops(spec) == sum(number for cell, number in row.histogram.items() if cell.startswith("DFF")), spec


def test_clock_gates_are_those_of_the_synthesised_units() -> None:
    gates = {design: set[float]() for design in KINDS}
    for spec, row in measured():
        counted = unit_counts(spec)[PARTS.index(Part.CLOCK_GATES)]
        assert counted == sum(number for cell, number in row.histogram.items() if cell.startswith("CLKGATE")), spec
        gates[spec.design].add(counted)
    assert all(len(each) > 1 for each in gates.values())


@pytest.mark.parametrize("design", ["multiplier", "partialsum"])
def test_units_that_were_never_fitted_come_out_near_their_measurement(design: str) -> None:
    model = load_model("freepdk45")
    for spec, row in measured():
        if spec.design == design:
            plan = RequantPlan(spec.parameters.get("bits", 4))
            cost = unit_cost(spec, plan, model, row.clock_mhz)
            assert cost.total_area_um2 == pytest.approx(row.area_um2, rel=0.4), spec


def test_a_parameter_set_more_is_its_registers_holds_and_multiplexers_more() -> None:
    one, three = (ThresholdSpec(accumulator_width=12, bits=2, groups=groups) for groups in (1, 3))
    more = dict(zip(PARTS, (unit_counts(three) - unit_counts(one)).tolist(), strict=True))
    width = one.parameter_width
    assert more[Part.HOLDS] == 2 * width
    assert more[Part.OPERAND_REGISTERS] == 2 * width + three.group_width
    assert more[Part.MULTIPLEXERS] == 2 * width


def test_the_smallest_pipelining_that_meets_the_clock_is_taken() -> None:
    model = load_model("freepdk45")
    spec = MultiplierSpec(accumulator_width=20, bits=4, multiplier_width=13, offset_width=24, shift=19)
    plan = RequantPlan(4)

    def cost(stages: int, clock_mhz: float) -> Cost:
        found, one = best_unit(spec, plan, [stages], model, clock_mhz)
        assert found.pipeline_stages == stages
        return one

    relaxed, _ = best_unit(spec, plan, range(3), model, 50.0)
    assert relaxed.pipeline_stages == 0
    tight = 1000.0 / (0.97 * cost(0, 1e4).minimum_period_ns)
    chosen, one = best_unit(spec, plan, range(3), model, tight)
    assert chosen.pipeline_stages > 0
    assert one.meets_clock


def test_of_a_unit_the_first_256_accumulators_are_looked_at() -> None:
    model, spec = load_model("freepdk45"), ThresholdSpec(accumulator_width=12, bits=2)
    powers = {
        cycles: unit_cost(spec, RequantPlan(2, cycles=cycles), model, 100.0).power_uw for cycles in (255, 256, 257, 900)
    }
    assert powers[256] == powers[257] == powers[900] != powers[255]
