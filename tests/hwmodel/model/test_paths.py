"""The longest path: against every path of small designs written out, and by what must hold of any delays."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.measurement.sweep import sweep_designs
from hwmodel.model.flat import OWN_INPUTS
from hwmodel.model.paths import Adders, Reach, Step, longest_path
from hwmodel.model.structure import datapath_of
from hwmodel.yosys.fanout import LARGEST_FANOUT, split_fanout
from hwmodel.yosys.gates import Gates
from rtl.logic.circuit import Bit, Gate, Op
from rtl.mac import PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec
from tests.hwmodel.model.modelcases import SMALL, delays

TINY = [
    UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=2),
    UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=2),
    UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=2),
    UniformSpec(weight_bits=2, activation_bits=3, lanes=2, reduction_length=2, pipeline_stages=1),
    UniformSpec(weight_bits=3, activation_bits=2, lanes=2, reduction_length=2, pipeline_stages=2),
    XnorSpec(lanes=3, reduction_length=3),
    XnorSpec(lanes=4, reduction_length=4, pipeline_stages=1),
]
STEPS = {Op.AND: Step.AND, Op.OR: Step.OR, Op.XOR: Step.XOR, Op.MUX: Step.MUX, Op.HALF_ADDER: Step.HALF}
DELAYS = [delays(seed=seed) for seed in range(4)]


def every_path_ns(spec: MacSpec, ns: dict[Step, float], adders: Adders) -> Iterator[tuple[float, int]]:
    """The time and pipeline stage of each path from a register to a register or to the port, one by one."""
    plan = datapath_of(spec)
    made: dict[Bit, Gate] = {bit: gate for gate in plan.schedule.gates for bit in gate.outputs}
    stage = plan.schedule.stage
    read = Counter(bit for gate in plan.schedule.gates for bit in gate.inputs)
    read.update((*plan.next_accumulator, *plan.output))

    def net(bit: Bit) -> float:
        assert read[bit] <= LARGEST_FANOUT, "tiny designs have no buffers"
        return ns[Step.FAN_OUT] * math.log2(1 + read[bit]) + ns[Step.LOAD] * read[bit]

    @cache
    def to(bit: Bit, at: int) -> list[float]:
        if bit < 2:
            return []
        if bit not in made or stage[bit] != at:
            return [ns[Step.START] + net(bit)]
        gate = made[bit]
        if gate.op is Op.NOT:
            return to(gate.inputs[0], at)
        if gate.op is Op.ADD:
            width, position = len(gate.outputs), gate.outputs.index(bit)
            found = []
            for number, one in enumerate(gate.inputs):
                hops: float = position - number % width
                if adders is Adders.PREFIX:
                    hops = math.log2(width + 1)
                if hops >= 0:
                    found += [ns[Step.RIPPLE] * hops + ns[Step.TOTAL] + net(bit) + before for before in to(one, at)]
            return found
        step = STEPS[gate.op] if gate.op in STEPS else (Step.SUM, Step.CARRY)[gate.outputs.index(bit)]
        return [before + ns[step] + net(bit) for one in gate.inputs for before in to(one, at)]

    stages = spec.pipeline_stages
    for bit in plan.next_accumulator:
        yield from ((before + ns[Step.SETUP], stages) for before in to(bit, stages))
    for crossing, bits in enumerate(plan.schedule.crossings):
        for bit in bits:
            if bit in made and stage[bit] == crossing:
                yield from ((before + ns[Step.SETUP], crossing) for before in to(bit, crossing))
    for bit in plan.output:
        yield from ((before, stages + 1) for before in to(bit, stages + 1))


@pytest.mark.parametrize("adders", Adders)
@pytest.mark.parametrize("spec", TINY, ids=lambda spec: spec.name)
def test_no_path_is_longer(spec: MacSpec, adders: Adders) -> None:
    for ns in DELAYS:
        found = longest_path(spec, ns, adders)
        longest, stage = max(every_path_ns(spec, ns, adders))
        assert found.ns == pytest.approx(longest, rel=1e-12)
        assert found.stage == stage


@pytest.mark.parametrize("adders", Adders)
@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_the_steps_add_up(spec: MacSpec, adders: Adders) -> None:
    for ns in DELAYS:
        path = longest_path(spec, ns, adders)
        assert set(path.steps) == set(Step)
        assert sum(ns[step] * number for step, number in path.steps.items()) == pytest.approx(path.ns, rel=1e-12)
        assert path.steps[Step.START] == 1
        assert path.steps[Step.SETUP] == (path.stage <= spec.pipeline_stages)
        assert 0 <= path.stage <= spec.pipeline_stages + 1


@settings(max_examples=60)
@given(
    spec=st.sampled_from(SMALL),
    adders=st.sampled_from(Adders),
    values=st.lists(st.floats(0, 1), min_size=len(Step), max_size=len(Step)),
    slower=st.sampled_from(Step),
    by=st.floats(0, 1),
    scale=st.floats(0.1, 10),
)
def test_slower_steps_never_make_it_shorter(
    spec: MacSpec, adders: Adders, values: list[float], slower: Step, by: float, scale: float
) -> None:
    ns = dict(zip(Step, values, strict=True))
    path = longest_path(spec, ns, adders)
    after = longest_path(spec, ns | {slower: ns[slower] + by}, adders)
    assert path.ns + by * path.steps[slower] <= after.ns * (1 + 1e-9) + 1e-12, "the same path has grown by that much"
    assert after.ns <= path.ns + by * after.steps[slower] + 1e-9 * after.ns, "the new one was no longer before"
    scaled = longest_path(spec, {step: scale * value for step, value in ns.items()}, adders)
    assert scaled.ns == pytest.approx(scale * path.ns, rel=1e-9)


def only(**values: float) -> dict[Step, float]:
    return dict.fromkeys(Step, 0.0) | {Step[name]: value for name, value in values.items()}


@pytest.mark.parametrize("spec", [TINY[1], UniformSpec(), UniformSpec(lanes=64, weight_bits=8)], ids=lambda s: s.name)
def test_single_steps_of_a_uniform_mac(spec: UniformSpec) -> None:
    """One AND term, and as many carry-propagate adders in a row as there are: of the terms with a sign, and last."""
    adders = [len(gate.outputs) for gate in datapath_of(spec).schedule.gates if gate.op is Op.ADD]
    for kind in Adders:
        for name, number in (("START", 1), ("SETUP", 1), ("AND", 1), ("TOTAL", len(adders))):
            assert longest_path(spec, only(**{name: 0.25}), kind).ns == 0.25 * number
    assert longest_path(spec, only(RIPPLE=0.25), Adders.RIPPLE).ns >= 0.25 * (adders[-1] - 1)
    ahead = 0.25 * sum(math.log2(width + 1) for width in adders)
    assert longest_path(spec, only(RIPPLE=0.25), Adders.PREFIX).ns == pytest.approx(ahead)


def test_the_port_of_a_scaled_sum_is_a_path_of_its_own() -> None:
    """Multiplexers between the accumulator and the port: two where sums are shifted for two precisions."""
    slow = only(START=0.1, MUX=9.0)
    for spec in (SubwordSpec(units=1), PaddedSpec(units=1, gating=True)):
        path = longest_path(spec, slow, Adders.RIPPLE)
        assert path.steps[Step.MUX] >= 2
    gated = longest_path(PaddedSpec(units=1, gating=True), slow, Adders.RIPPLE)
    assert (gated.stage, gated.steps[Step.SETUP], gated.ns) == (1, 0.0, pytest.approx(18.1))


@pytest.mark.parametrize("adders", Adders)
def test_pipeline_registers_cut_the_path(adders: Adders) -> None:
    spec = UniformSpec(weight_bits=8, activation_bits=8, lanes=4)
    for ns in DELAYS:
        whole, two, three = (longest_path(replace(spec, pipeline_stages=n), ns, adders).ns for n in range(3))
        assert whole > two > three or whole > two == three


def test_carries_that_look_ahead_are_faster_where_words_are_wide() -> None:
    for spec in SMALL:
        ripple, ahead = (longest_path(spec, only(RIPPLE=1.0), adders).ns for adders in Adders)
        assert ahead <= ripple
    ripple, ahead = (longest_path(UniformSpec(), only(RIPPLE=1.0), adders).ns for adders in Adders)
    assert 2 * ahead < ripple


def test_every_design_of_the_sweep_has_a_path() -> None:
    for design in sweep_designs()[::14]:
        for adders in Adders:
            assert 0.5 < longest_path(design.spec, DELAYS[0], adders).ns < 100


@pytest.mark.parametrize("elements", [1, 3, 7, 24, 25, 100, 300, 512])
def test_layers_of_buffers_are_those_that_synthesis_puts_in(elements: int) -> None:
    """The input that most gates of all elements read, nothing else taking time."""
    spec = UniformSpec(weight_bits=1, activation_bits=1, lanes=1)
    plan = datapath_of(spec)
    read = Counter(bit for gate in plan.schedule.gates for bit in gate.inputs)
    most = max(read[bit] for name, bits in plan.circuit.inputs.items() if name not in OWN_INPUTS for bit in bits)
    sinks = {
        f"sink{n}": {"type": "AND", "port_directions": {"A": "input"}, "connections": {"A": [2]}}
        for n in range(elements * most)
    }
    driver = {"driver": {"type": "FLOP", "port_directions": {"Q": "output"}, "connections": {"Q": [2]}}}
    gates = Gates({"ports": {}, "cells": driver | sinks, "netnames": {}}, {})
    split_fanout(gates, ("BUF", "A", "Z"), set(), set(), {}, {})
    layers, bit = 0, gates.pin("sink0", "A")
    while bit != 2:
        assert bit is not None
        layers, bit = layers + 1, gates.pin(gates.driver[bit][0], "A")
    nothing = dict.fromkeys(Step, 0.0)
    reach = Reach(weights=elements, activations=elements, others=elements)
    ripple = longest_path(spec, nothing | {Step.START: 1.0, Step.BUFFERS: 1.0}, Adders.RIPPLE, reach)
    assert ripple.steps[Step.BUFFERS] == layers
    alone = longest_path(spec, nothing | {Step.START: 1.0, Step.BUFFERS: 1.0}, Adders.RIPPLE)
    assert alone.steps[Step.BUFFERS] == 0


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_registers_that_drive_more_are_never_faster(spec: MacSpec) -> None:
    for ns in DELAYS:
        alone = longest_path(spec, ns, Adders.RIPPLE).ns
        for reach in (Reach(weights=4), Reach(activations=9), Reach(weights=16, activations=16, others=256)):
            assert longest_path(spec, ns, Adders.RIPPLE, reach).ns >= alone * (1 - 1e-12)
