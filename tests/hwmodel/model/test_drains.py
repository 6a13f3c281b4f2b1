"""The energy of sums that move down the columns of an array: bits that change, by hand, times what one costs."""

from __future__ import annotations

import pytest

from hwmodel.inference.costs import costs_of
from hwmodel.model import arrays
from hwmodel.model.arrays import drain_changes
from hwmodel.model.features import PARTS
from hwmodel.model.file import load_model
from hwmodel.model.structure import Part
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.workload.workload import Role
from rtl.array import ElementSpec
from rtl.mac import UniformSpec
from rtl.spec import Precision

PLAN = StreamPlan(Precision(4, 4))


def test_changes_are_counted_from_a_register_of_zeros_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 to 3: two bits; 3 to 5: two; 5 to -1 of w bits: all but two."""
    mac = UniformSpec(lanes=2, reduction_length=7)
    monkeypatch.setattr(arrays, "operand_sums", lambda *_: [([1], [3]), ([1], [5]), ([-1], [1])])
    drain_changes.cache_clear()
    try:
        assert drain_changes(mac, PLAN) == pytest.approx((2 + 2 + mac.accumulator_width - 2) / 3)
        for sums, changes in (([([1], [3])], 2.0), ([], 0.0)):
            monkeypatch.setattr(arrays, "operand_sums", lambda *_, sums=sums: sums)
            drain_changes.cache_clear()
            assert drain_changes(mac, PLAN) == changes
    finally:
        drain_changes.cache_clear()


def test_a_drained_sum_costs_its_changes() -> None:
    mac = UniformSpec(lanes=4)
    model = load_model("freepdk45")
    cost = costs_of(model, 10.0, None).mac(ElementSpec(mac=mac, systolic=False), PLAN.precision, next(iter(Role)))
    each_fj = model.coefficients.settled_fj[PARTS.index(Part.ACCUMULATOR_REGISTERS)]
    assert cost.drain_pj == pytest.approx(1e-3 * drain_changes(mac, PLAN) * each_fj)
    assert cost.drain_pj > 0
