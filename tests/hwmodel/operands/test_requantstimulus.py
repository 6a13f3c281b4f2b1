"""Streams of units that they are not made for are refused."""

import re
from dataclasses import dataclass

import pytest

from hwmodel.operands.requantstimulus import RequantPlan, RequantStimulus, check_outputs, requant_stimulus
from rtl.logic.ports import Port
from rtl.requant import ThresholdSpec
from rtl.requant.spec import LoadableSpec
from rtl.requant.unit import ParameterField


@dataclass(frozen=True, kw_only=True)
class Other(LoadableSpec):
    """A unit of another kind."""

    design = "other"
    summary = "nothing"

    @property
    def parameter_fields(self) -> tuple[ParameterField, ...]:
        return (ParameterField("number", 4, 0, 15),)

    @property
    def ports(self) -> tuple[Port, ...]:
        return ()

    def build(self) -> None:
        raise NotImplementedError

    def create(self) -> None:
        raise NotImplementedError


def test_a_unit_of_another_kind_is_refused() -> None:
    spec, plan = Other(), RequantPlan(2, cycles=8)
    text = f"^{re.escape(f'spec must be a ThresholdSpec, a MultiplierSpec or a PartialSumSpec, not {spec!r}')}$"
    with pytest.raises(TypeError, match=text):
        requant_stimulus(spec, plan)
    stimulus = RequantStimulus({}, ((0, 1),), 0)
    with pytest.raises(TypeError, match=text):
        check_outputs(spec, plan, stimulus, [1], [1])
    check_outputs(ThresholdSpec(bits=2), plan, stimulus, [1], [1])
