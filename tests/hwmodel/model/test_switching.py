"""Transitions: against cycle by cycle evaluation with golden sums, and against a simulator of one cycle at a time."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.model.structure import GATE_PARTS, Part, datapath_of
from hwmodel.model.switching import count_transitions, switching_of
from hwmodel.operands.stimulus import RESET_CYCLES, StreamPlan, make_stimulus, operand_sums
from hwmodel.operands.streams import Stream
from rtl.logic.circuit import ONE, ZERO, Bit, Circuit, Op, Word, evaluate
from rtl.logic.datapath import Datapath
from rtl.logic.pipeline import schedule
from rtl.mac import UniformSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.model.modelcases import SMALL, glitches_one_by_one
from tests.hwmodel.model.slowcounts import Node, nodes_of


def plans(spec: MacSpec) -> list[StreamPlan]:
    """Several streams at the first and the last precision: sums that end in every way, long and short."""
    narrow, wide = spec.precisions[-1], spec.precisions[0]
    return [
        StreamPlan(wide, products=2 * spec.products_per_step(wide) + 1, cycles=50),
        StreamPlan(narrow, Stream("uniform", 3), products=7, cycles=41),
        StreamPlan(wide, Stream("lsq-gaussian" if wide.weight_bits > 1 else "uniform", 1), cycles=30),
    ]


def words_of(spec: MacSpec, plan: StreamPlan) -> dict[str, list[int]]:
    words = make_stimulus(spec, plan).words
    return {name: column[RESET_CYCLES:] for name, column in words.items() if name not in ("rst", "in_valid")}


def settled_bits(spec: MacSpec, plan: StreamPlan) -> tuple[dict[Bit, np.ndarray], Datapath]:
    """Every bit in every cycle, one cycle after the other; the accumulator at the end of each sum is checked."""
    words, path = words_of(spec, plan), datapath_of(spec)
    sums = [int(spec.compute(w, a, plan.precision)) for w, a in operand_sums(spec, plan)]
    every = [Bit(bit) for bit in range(path.circuit.bits)]
    register, states, answers = 0, [], []
    cycles = len(words["clear"])
    for cycle in range(cycles):
        ends = cycle + 1 == cycles or words["clear"][cycle + 1]
        state = {name: column[cycle] for name, column in words.items()} | {"accumulator": register, "result": register}
        states.append(state)
        register = number_of(evaluate(path.circuit, state, path.next_accumulator))
        if ends:
            answers.append(spec.unpack(number_of(evaluate(path.circuit, state | {"result": register}, path.output))))
    assert answers == sums, "the evaluation must give the golden sums"
    columns = {name: np.array([state[name] for state in states], dtype=object) for name in states[0]}
    return dict(zip(every, evaluate(path.circuit, columns, every), strict=True)), path


def number_of(bits: np.ndarray) -> int:
    return sum(int(bit) << position for position, bit in enumerate(bits.tolist()))


def toggles(wave: np.ndarray) -> int:
    return int((wave[1:] != wave[:-1]).sum())


def carries(path: Datapath, inputs: Word, bits: dict[Bit, np.ndarray]) -> int:
    """Transitions of the carries of a word adder, by adding the low parts of its words as numbers."""
    width, found = len(inputs) // 2, 0
    for position in range(width):
        a, b = (sum(bits[bit].astype(object) << i for i, bit in enumerate(word[: position + 1])) for word in
                (inputs[:width], inputs[width:]))  # fmt: skip
        found += toggles((a + b) >> (position + 1))
    return found


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_settled_transitions_are_those_of_cycle_by_cycle_evaluation(spec: MacSpec) -> None:
    for plan in plans(spec):
        bits, path = settled_bits(spec, plan)
        expected = dict.fromkeys(Part, 0)
        for gate in path.schedule.gates:
            if gate.op is not Op.NOT:
                expected[GATE_PARTS[gate.op]] += sum(toggles(bits[bit]) for bit in gate.outputs)
            if gate.op is Op.ADD:
                expected[Part.CARRY_BITS] += carries(path, gate.inputs, bits)
        for name, word in path.circuit.inputs.items():
            if name != "result":
                part = Part.ACCUMULATOR_REGISTERS if name == "accumulator" else Part.OPERAND_REGISTERS
                expected[part] += sum(toggles(bits[bit]) for bit in word)
        for crossing in path.schedule.crossings:
            expected[Part.PIPELINE_REGISTERS] += sum(toggles(bits[bit]) for bit in crossing)
        changes = len(bits[ONE]) - 1
        found = switching_of(spec, plan).settled
        assert {part: round(rate * changes) for part, rate in found.items()} == expected
        assert {part: rate * changes for part, rate in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("spec", [SMALL[0], SMALL[1], SMALL[5], SMALL[10]], ids=lambda spec: spec.name)
def test_glitches_are_those_of_a_simulator_of_one_cycle_at_a_time(spec: MacSpec) -> None:
    plan = plans(spec)[0]
    bits, path = settled_bits(spec, plan)
    nodes = nodes_of(path)
    waves = {bit: wave.astype(int).tolist() for bit, wave in bits.items()}
    for node in nodes:  # the carries inside word adders are bits of their own
        if node.outputs[1:] and node.outputs[1] not in waves:
            waves[node.outputs[1]] = [sum(x) // 2 for x in zip(*(waves[bit] for bit in node.inputs), strict=True)]
    expected = glitches_one_by_one(nodes, waves, len(waves[ONE]) - 1)
    assert switching_of(spec, plan).glitches == pytest.approx(expected)
    gates, fresh = [], 10**6
    for node in nodes:
        if node.op is not Op.FULL_ADDER:
            gates.append(replace(node, part=None))
            continue
        (a, b, c), (half, both, through) = node.inputs, (Bit(fresh + i) for i in range(3))
        fresh += 3
        for op, inputs, output in (
            (Op.XOR, (a, b), half), (Op.XOR, (half, c), node.outputs[0]), (Op.AND, (a, b), both),
            (Op.AND, (half, c), through), (Op.OR, (both, through), node.outputs[1]),
        ):  # fmt: skip
            gates.append(Node(op, inputs, (output,), node.part, node.stage))
        columns = [waves[bit] for bit in node.inputs]
        waves[half] = [x ^ y for x, y, _ in zip(*columns, strict=True)]
        waves[both] = [x & y for x, y, _ in zip(*columns, strict=True)]
        waves[through] = [(x ^ y) & z for x, y, z in zip(*columns, strict=True)]
    pulses = glitches_one_by_one(gates, waves, len(waves[ONE]) - 1)
    assert switching_of(spec, plan).pulses == pytest.approx(pulses)
    assert sum(pulses.values()) > 0


@dataclass
class Made:
    """A circuit made by hand under words of its inputs, one a cycle; every gate in one stage."""

    circuit: Circuit
    words: dict[str, list[int]]

    def plan(self) -> Datapath:
        every = tuple(bit for gate in self.circuit.gates for bit in gate.outputs)
        return Datapath(self.circuit, every, (), schedule(self.circuit, 0, every, ()))

    def waves(self) -> dict[Bit, list[int]]:
        every = [Bit(bit) for bit in range(self.circuit.bits)]
        return dict(zip(every, evaluate(self.circuit, self.words, every).astype(int).tolist(), strict=True))

    def glitches(self, plan: Datapath | None = None) -> dict[Part, float]:
        """Extra transitions a cycle; parts without any left out."""
        found = count_transitions(plan or self.plan(), self.words, "none").glitches
        return {part: rate for part, rate in found.items() if rate}


def late_xor(quarters: int) -> Circuit:
    """a xor a, one of them later by so many quarters; the bits of "ones" must be 1."""
    circuit = Circuit()
    (a,) = circuit.input("a", 1)
    late = a
    for one in circuit.input("ones", quarters):
        late = circuit.and_(late, one)
    circuit.xor(a, late)
    return circuit


@pytest.mark.parametrize(("quarters", "extra"), [(1, 0), (2, 2), (3, 2)])
def test_a_gate_whose_inputs_arrive_at_different_times(quarters: int, extra: int) -> None:
    """Nothing where the pulse is shorter than the gate's delay of two quarters; each change of the input gives one."""
    for wave in ([0, 1], [1, 0], [0, 1, 0, 0, 1]):
        made = Made(late_xor(quarters), {"a": wave, "ones": [7 >> 3 - quarters] * len(wave)})
        changed = sum(one != other for one, other in pairwise(wave)) / (len(wave) - 1)
        assert made.glitches() == ({Part.XOR_GATES: changed * extra} if extra else {})


@pytest.mark.parametrize(("change", "glitches"), [(0, 2), (63, 2), (64, 2), (255, 2), (256, 0), (398, 0)])
def test_glitches_are_those_of_the_first_256_changes(change: int, glitches: int) -> None:
    """Of a longer run they are a sample; transitions that remain are counted to its end."""
    wave = [int(cycle > change) for cycle in range(400)]
    made = Made(late_xor(3), {"a": wave, "ones": [7] * 400})
    assert made.glitches() == ({Part.XOR_GATES: glitches / 256} if glitches else {})
    settled = count_transitions(made.plan(), made.words, "none").settled
    assert settled[Part.OPERAND_REGISTERS] == 1 / 399


def test_what_comes_out_of_a_register_arrives_at_once() -> None:
    made = Made(late_xor(3), {"a": [0, 1, 0], "ones": [7] * 3})
    plan = made.plan()
    (last,) = made.circuit.gates[-1].outputs
    later = replace(plan.schedule, stage=plan.schedule.stage | {last: 1})
    assert made.glitches(replace(plan, schedule=later)) == {}
    assert made.glitches(plan) == {Part.XOR_GATES: 2.0}


def test_a_glitch_goes_on_through_inverters_and_the_gates_behind() -> None:
    """The pulse of the exclusive or, inverted, gives one in the OR gate, and none where the other input hides it."""
    for other, found in ((0, {Part.XOR_GATES: 2.0, Part.OR_GATES: 2.0}), (1, {Part.XOR_GATES: 2.0})):
        circuit = late_xor(3)
        circuit.or_(circuit.not_(circuit.gates[-1].outputs[0]), circuit.input("other", 1)[0])
        # Inverted, the settled 1 hides the other input; so the pulse shows only where that is 0.
        assert Made(circuit, {"a": [0, 1], "ones": [7, 7], "other": [other, other]}).glitches() == found


def test_a_pulse_is_short_whatever_else_changes_meanwhile() -> None:
    """A pulse from quarter 2 to 4 at a full adder of four, alone and beside a cycle with a change at quarter 3."""
    rates = []
    for cycles in (2, 3):
        circuit = late_xor(2)
        pulse = circuit.gates[-1].outputs[0]
        other, third = (circuit.input(name, 1)[0] for name in ("other", "third"))
        for one in circuit.input("more", 3):
            other = circuit.and_(other, one)
        circuit.full_adder(pulse, other, third)
        words = {"a": [0, 1, 1], "other": [0, 0, 1], "third": [0] * 3, "ones": [3] * 3, "more": [7] * 3}
        made = Made(circuit, {name: wave[:cycles] for name, wave in words.items()})
        rates.append({part: rate * (cycles - 1) for part, rate in made.glitches().items()})
    assert rates == [{Part.XOR_GATES: 2.0}] * 2


@pytest.mark.parametrize("kind", ["xor", "and_", "or_"])
def test_balanced_trees_have_no_glitches(kind: str) -> None:
    circuit, rng = Circuit(), np.random.default_rng(0)
    level = list(circuit.input("word", 16))
    while len(level) > 1:
        level = [getattr(circuit, kind)(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    assert Made(circuit, {"word": rng.integers(0, 1 << 16, 200).tolist()}).glitches() == {}


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Any gates over five inputs."""
    circuit = Circuit()
    bits = list(circuit.input("word", 5))
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["not_", "and_", "or_", "xor", "mux", "half_adder", "full_adder"]))
        number = {"not_": 1, "mux": 3, "full_adder": 3}.get(kind, 2)
        made = getattr(circuit, kind)(*(draw(st.sampled_from(bits)) for _ in range(number)))
        bits += [bit for bit in (made if isinstance(made, tuple) else (made,)) if bit not in (ZERO, ONE)]
    return circuit


@settings(max_examples=150)
@given(circuits(), st.integers(0, 31), st.integers(0, 31))
def test_glitches_of_any_circuit_in_one_cycle(circuit: Circuit, before: int, after: int) -> None:
    """Every net settles, and the extra transitions are those of the simulator."""
    made = Made(circuit, {"word": [before, after]})
    expected = glitches_one_by_one(nodes_of(made.plan()), made.waves(), 1)
    assert made.glitches() == {part: rate for part, rate in expected.items() if rate}
    waves, settled = made.waves(), count_transitions(made.plan(), made.words, "none").settled
    for part in {GATE_PARTS[gate.op] for gate in circuit.gates if gate.op is not Op.NOT}:
        outputs = [bit for gate in circuit.gates if GATE_PARTS.get(gate.op) is part for bit in gate.outputs]
        assert settled[part] == sum(waves[bit][0] != waves[bit][1] for bit in outputs)


@settings(max_examples=80)
@given(circuits(), st.lists(st.integers(0, 31), min_size=2, max_size=6))
def test_glitches_of_a_cycle_do_not_depend_on_other_cycles(circuit: Circuit, words: list[int]) -> None:
    changes = len(words) - 1
    alone = [Made(circuit, {"word": list(pair)}).glitches() for pair in pairwise(words)]
    expected = {part: sum(each.get(part, 0.0) for each in alone) / changes for part in Part}
    found = Made(circuit, {"word": words}).glitches()
    assert {part: found.get(part, 0.0) for part in Part} == pytest.approx(expected)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_the_same_again_and_parts_that_never_switch(spec: MacSpec) -> None:
    plan = plans(spec)[0]
    found = switching_of(spec, plan)
    assert switching_of.__wrapped__(spec, plan) == found
    for rates in (found.settled, found.glitches, found.pulses):
        assert set(rates) == set(Part)
        assert min(rates.values()) >= 0
        assert rates[Part.CONTROL_REGISTERS] == rates[Part.HOLDS] == 0
    registers = (Part.OPERAND_REGISTERS, Part.PIPELINE_REGISTERS, Part.ACCUMULATOR_REGISTERS)
    assert not any(found.glitches[part] for part in registers)
    assert {part for part in Part if found.pulses[part]} <= {Part.FULL_ADDERS, Part.CARRY_BITS}


def test_a_precision_that_the_design_lacks_is_refused() -> None:
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=2)
    with pytest.raises(ValueError, match=r"^precision must be one of w4a4s, w4a4u for uniform_w4_a4_l2, not w8a8s$"):
        switching_of(spec, StreamPlan(Precision(8, 8)))
