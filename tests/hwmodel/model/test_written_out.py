"""Numbers of the cost model that nothing fits, written out, and what the rule of pipeline stages is told."""

from __future__ import annotations

from hwmodel.model.file import load_model
from hwmodel.model.inertial import QUARTERS
from hwmodel.model.requantisers import _shape
from hwmodel.model.stages import attempt_of_shape
from rtl.logic.circuit import DELAY, Op
from rtl.requant import ThresholdSpec


def test_delays_are_quarters_of_a_full_adder_rounded() -> None:
    whole = DELAY[Op.FULL_ADDER][0]
    assert {op: tuple(round(4 * delay / whole) for delay in DELAY[op]) for op in DELAY if op is not Op.NOT} == QUARTERS
    assert QUARTERS[Op.FULL_ADDER] == (4, 3)


def test_a_design_is_relaxed_where_it_meets_the_clock_as_it_is() -> None:
    """Slow clocks ask nothing; the fastest one that is met asks for all; beyond it nothing is met, nor relaxed."""
    model = load_model("freepdk45")
    shape = _shape(ThresholdSpec(accumulator_width=12, bits=2), model)
    found = {clock: attempt_of_shape(shape, model, float(clock)) for clock in (1, *range(50, 6001, 50))}
    assert found[1].relaxed
    assert found[1].meets_clock
    kinds = [(each.meets_clock, each.relaxed) for each in found.values()]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {(True, True), (True, False), (False, False)}
    areas = [each.area_um2 for each in found.values()]
    assert all(each.area_um2 == areas[0] for each in found.values() if each.relaxed)
    assert all(each.area_um2 > areas[0] for each in found.values() if each.meets_clock and not each.relaxed)
