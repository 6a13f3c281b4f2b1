"""What is outside of what was calibrated: forms of designs, and parts of arrays as far as their MAC."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwmodel.model.arrays import core_cost, drain_cost, share_cost, share_shape
from hwmodel.model.model import cost_of
from hwmodel.model.structure import Share
from hwmodel.operands.stimulus import StreamPlan
from rtl.array import Architecture, CoreSpec
from rtl.mac import UniformSpec
from rtl.spec.mac import Precision
from tests.hwmodel.model.modelcases import model, own_cache  # noqa: F401

PLAN = StreamPlan(Precision(4, 4), products=11, cycles=60)


@pytest.mark.parametrize("architecture", Architecture)
def test_what_is_outside_of_the_range_is_what_the_mac_has_too_much_of(architecture: Architecture) -> None:
    mac, narrow = UniformSpec(lanes=4), model(most=20.0)
    core = CoreSpec(mac=mac, rows=3, columns=2, architecture=architecture)
    outside = cost_of(mac, PLAN, narrow, 100.0).outside
    assert outside
    assert core_cost(core, PLAN, narrow, 100.0).outside == outside
    assert drain_cost(core, PLAN, narrow, 100.0).outside == outside
    for share in Share:
        assert share_cost(core, share, PLAN, narrow, 100.0).outside == outside
        assert share_shape(core, share, narrow).outside == outside
    assert core_cost(core, PLAN, model(), 100.0).outside == ()


def test_a_form_of_which_no_design_was_calibrated_is_outside() -> None:
    known = model()
    unknown = replace(known, range=replace(known.range, forms=()))
    booth = UniformSpec(lanes=4, booth=True)
    assert cost_of(booth, PLAN, known, 100.0).outside == ()
    assert cost_of(booth, PLAN, unknown, 100.0).outside == ("booth, with which no design was calibrated",)
    assert cost_of(UniformSpec(lanes=4), PLAN, unknown, 100.0).outside == ()
    assert unknown.forms(UniformSpec(lanes=4)) == (UniformSpec(lanes=4),)
    assert len(known.forms(UniformSpec(lanes=4))) > 1
