"""What is counted of many gates at once is what plain Python counts gate by gate, to the last bit where it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.model.paths import Adders, Reach, longest_path
from hwmodel.model.structure import Part, Share, datapath_of, structure_of
from hwmodel.model.switching import Switching, switching_of, switchings
from hwmodel.operands.stimulus import RESET_CYCLES, StreamPlan, make_stimulus, stimulus_bits
from hwmodel.operands.streams import STREAM_NAMES, Stream
from rtl.array.step import step_layout
from rtl.mac import DESIGNS, BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision
from rtl.spec.packing import packing_of, word_bits
from tests.hwmodel.model import slowcounts
from tests.hwmodel.model.modelcases import SMALL, delays

DELAYS = [delays(seed=seed) for seed in range(2)]


@st.composite
def specs(draw: st.DrawFn) -> MacSpec:
    """A small design of any kind."""
    design = draw(st.sampled_from(DESIGNS))
    known = design.parameter_help()
    values: dict[str, int | bool] = {
        "pipeline_stages": draw(st.integers(0, 2)),
        "reduction_length": draw(st.sampled_from([1, 3, 64, 4096, 1 << 24])),
    }
    for name in ("weight_bits", "activation_bits"):
        if name in known:
            values[name] = draw(st.integers(1, 8))
    if "maximum_bits" in known:
        values["maximum_bits"] = draw(st.integers(2, 8))
    if "gating" in known:
        values["gating"] = draw(st.booleans())
    if "widths" in known:
        values["widths"] = draw(st.sampled_from([(8, 4, 2), (8, 4), (8, 2), (4, 2), (4, 2, 1)]))
    values[design.size_parameter] = draw(st.integers(1, 2 if "widths" in known else 5))
    return design(**values)


@st.composite
def cases(draw: st.DrawFn) -> tuple[MacSpec, StreamPlan]:
    """A small design under a stream of any kind and length."""
    spec = draw(specs())
    precision = draw(st.sampled_from(spec.precisions))
    names = STREAM_NAMES if min(precision.weight_bits, precision.activation_bits) > 1 else STREAM_NAMES[:1]
    cycles, products = draw(st.sampled_from([2, 40, 65, 300])), draw(st.sampled_from([1, 5, 100]))
    try:
        return spec, StreamPlan(
            precision, Stream(draw(st.sampled_from(names)), draw(st.integers(0, 3))), products, cycles
        )
    except ValueError:  # a network that was not recorded at this precision
        return spec, StreamPlan(precision, Stream(), products, cycles)


def the_same(found: Switching, expected: Switching) -> None:
    """Sums of whole numbers over the same cycles: as good as equal."""
    for name in ("settled_by_share", "glitches_by_share", "pulses_by_share"):
        for share, part in product(Share, Part):
            rates = getattr(found, name)[share][part], getattr(expected, name)[share][part]
            assert rates[0] == pytest.approx(rates[1], rel=1e-12, abs=0), (name, share, part)


@settings(max_examples=40, deadline=None)
@given(specs(), st.sampled_from([Reach(), Reach(4, 9, 36)]))
def test_counts_and_longest_paths(spec: MacSpec, reach: Reach) -> None:
    assert structure_of(spec) == slowcounts.structure_of(spec)
    for ns, adders in product(DELAYS, Adders):
        assert longest_path(spec, ns, adders, reach) == slowcounts.longest_path(spec, ns, adders, reach)


@settings(max_examples=40, deadline=None)
@given(specs())
def test_pipeline_registers_are_where_one_budget_after_the_other_puts_them(spec: MacSpec) -> None:
    plan = datapath_of(spec)
    expected = slowcounts.schedule(plan.circuit, spec.pipeline_stages, plan.next_accumulator, plan.output)
    assert plan.schedule.gates == expected.gates
    assert plan.schedule.crossings == expected.crossings
    live = {bit for gate in expected.gates for bit in gate.outputs}
    assert {bit: plan.schedule.stage[bit] for bit in live} == {bit: expected.stage[bit] for bit in live}


def test_a_register_in_front_of_a_short_loop_may_lie_deep_in_the_tree() -> None:
    """With budgets of 1.5 times the loop through the accumulator, which is short, the tree was cut where it is wide:
    at 103 bits.
    """
    spec = BitFusionSpec(units=4, widths=(8, 2), pipeline_stages=1)
    assert datapath_of(spec).schedule.registers < 60


@settings(max_examples=30, deadline=None)
@given(cases())
def test_transitions(case: tuple[MacSpec, StreamPlan]) -> None:
    the_same(switching_of(*case), slowcounts.switching_of(*case))


@settings(max_examples=8, deadline=None)
@given(st.lists(cases(), min_size=2, max_size=6))
def test_designs_that_are_counted_together_do_not_disturb_each_other(asked: list[tuple[MacSpec, StreamPlan]]) -> None:
    found = dict(switchings(asked))
    assert sorted(found) == list(range(len(asked)))
    for number, case in enumerate(asked):
        assert found[number] == switching_of.__wrapped__(*case)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_bits_on_the_ports_are_those_of_the_words(case: tuple[MacSpec, StreamPlan]) -> None:
    spec, plan = case
    words, bits = make_stimulus(spec, plan).words, stimulus_bits(spec, plan)
    widths = {port.name: port.width for port in spec.operand_ports} | {"clear": 1}
    assert bits.keys() == widths.keys()
    for name, width in widths.items():
        assert np.array_equal(bits[name], word_bits(words[name][RESET_CYCLES:], width))


@pytest.mark.parametrize("limit", ["hwmodel.model.inertial._MOST_BYTES", "hwmodel.model.switching._MOST_WORDS"])
def test_bounds_on_memory_change_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(spec, StreamPlan(spec.precisions[0], cycles=300)) for spec in SMALL[:6]]
    expected = dict(switchings(asked))
    monkeypatch.setattr(limit, 1)
    assert dict(switchings(iter(asked))) == expected


@dataclass(frozen=True, kw_only=True)
class _Scrambled(UniformSpec):
    """Its ports hold each weight exclusive-or its activation: no port bit is a copy of one bit of a code."""

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        mixed = [w ^ a for w, a in zip(weights, activations, strict=True)]
        return super()._pack_step(mixed, activations, precision)


def test_a_design_that_does_more_than_copy_the_bits_of_its_operands_is_packed_by_itself() -> None:
    spec, precision = _Scrambled(weight_bits=3, activation_bits=3, lanes=2), Precision(3, 3)
    assert packing_of(spec, precision, 2) is None
    plan = StreamPlan(precision, products=5, cycles=20)
    words, bits = make_stimulus(spec, plan).words, stimulus_bits(spec, plan)
    for port in spec.operand_ports:
        assert np.array_equal(bits[port.name], word_bits(words[port.name][RESET_CYCLES:], port.width))
    with pytest.raises(ValueError, match=r"^uniform_w3_a3_l2 must copy the bits of its operands to its ports"):
        step_layout(spec, precision, 2)
