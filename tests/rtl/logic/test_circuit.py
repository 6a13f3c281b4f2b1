"""Gates, constant folding, controls and pipeline placement."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.logic.circuit import ONE, ZERO, Circuit, Op, evaluate
from rtl.logic.controls import Controls
from rtl.logic.pipeline import schedule


def value_of(circuit: Circuit, bits, **words: int) -> int:
    out = evaluate(circuit, {name: np.asarray(word) for name, word in words.items()}, bits)
    return sum(int(bit) << position for position, bit in enumerate(out))


# Operands: constants and two variables, x and its inverse among them, so that every folding rule is met.
@pytest.mark.parametrize("operands", list(product(range(5), repeat=3)))
def test_gates_compute_with_any_mix_of_constants_and_equal_inputs(operands: tuple[int, int, int]) -> None:
    for x, y in product((0, 1), repeat=2):
        circuit = Circuit()
        bx, by = circuit.input("v", 2)
        bits = [ZERO, ONE, bx, by, circuit.not_(bx)]
        values = [0, 1, x, y, 1 - x]
        a, b, c = (bits[k] for k in operands)
        va, vb, vc = (values[k] for k in operands)
        word = x | y << 1
        assert value_of(circuit, [circuit.not_(a)], v=word) == 1 - va
        assert value_of(circuit, [circuit.and_(a, b)], v=word) == va & vb
        assert value_of(circuit, [circuit.or_(a, b)], v=word) == va | vb
        assert value_of(circuit, [circuit.xor(a, b)], v=word) == va ^ vb
        assert value_of(circuit, [circuit.mux(a, b, c)], v=word) == (vb if va else vc)
        assert value_of(circuit, circuit.half_adder(a, b), v=word) == va + vb
        assert value_of(circuit, circuit.full_adder(a, b, c), v=word) == va + vb + vc


def test_no_adder_gets_a_constant_or_a_repeated_input() -> None:
    circuit = Circuit()
    x, y = circuit.input("v", 2)
    for a, b, c in product([ZERO, ONE, x, y, circuit.not_(x)], repeat=3):
        circuit.full_adder(a, b, c)
        circuit.half_adder(a, b)
    for gate in circuit.gates:
        if gate.op in (Op.FULL_ADDER, Op.HALF_ADDER):
            assert not {ZERO, ONE} & set(gate.inputs)
            assert len(set(gate.inputs)) == len(gate.inputs)
    assert circuit.count(Op.FULL_ADDER) == 0  # any three of x, not x, y fold


def test_equal_gates_are_shared() -> None:
    circuit = Circuit()
    x, y = circuit.input("v", 2)
    assert circuit.and_(x, y) == circuit.and_(y, x)
    assert circuit.not_(circuit.not_(x)) == x
    assert circuit.full_adder(x, y, circuit.and_(x, y)) == circuit.full_adder(circuit.and_(x, y), y, x)


@given(st.integers(1, 10), st.data())
def test_add_is_modular(width: int, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(0, (1 << width) - 1)) for _ in range(2))
    circuit = Circuit()
    total = circuit.add(circuit.input("a", width), circuit.input("b", width))
    assert value_of(circuit, total, a=a, b=b) == (a + b) % (1 << width)


@given(st.integers(2, 8), st.integers(1, 7), st.booleans(), st.booleans(), st.data())
def test_shifts(width: int, amount: int, control: bool, signed: bool, data: st.DataObject) -> None:
    word = data.draw(st.integers(0, (1 << width) - 1))
    circuit = Circuit()
    bits, bit = circuit.input("w", width), circuit.input("c", 1)[0]
    value = word - (1 << width) if signed and word >> (width - 1) else word
    left = circuit.shift_left(bits, bit, amount, signed=signed)
    assert len(left) == width + amount
    assert value_of(circuit, left, w=word, c=control) == (value << amount * control) % (1 << len(left))
    value = word - (1 << width) if word >> (width - 1) else word
    amount = min(amount, width - 1)
    right = circuit.shift_right(bits, bit, amount)
    assert value_of(circuit, right, w=word, c=control) == (value >> amount * control) % (1 << width)


def test_words_and_names_are_checked() -> None:
    circuit = Circuit()
    word = circuit.input("a", 2)
    with pytest.raises(ValueError, match="name must be new, not 'a' again"):
        circuit.input("a", 1)
    with pytest.raises(ValueError, match="words must have equal widths, not 2 and 1"):
        circuit.add(word, word[:1])


@given(st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_function_of_three_controls(truth: list[bool]) -> None:
    circuit = Circuit()
    bits = circuit.input("c", 3)
    states = [[code >> position & 1 for position in range(3)] for code in range(8)]
    controls = Controls(circuit, bits, states)
    bit = controls.function(np.array(truth))
    assert [value_of(circuit, [bit], c=code) for code in range(8)] == truth
    assert controls.function(np.array(truth)) == bit
    assert controls.truth(bit).tolist() == truth


def test_illegal_states_are_free() -> None:
    circuit = Circuit()
    bits = circuit.input("c", 2)
    controls = Controls(circuit, bits, [[0, 0], [1, 0], [1, 1]])  # thermometer code: 01 never occurs
    assert controls.function(np.array([False, True, True])) == bits[0]
    assert controls.function(np.array([False, False, True])) == bits[1]
    assert not circuit.gates


@pytest.mark.parametrize("stages", [0, 1, 2])
def test_every_path_crosses_every_register(stages: int) -> None:
    circuit = Circuit()
    a, b = circuit.input("a", 8), circuit.input("b", 8)
    total = circuit.add(circuit.add(a, b), tuple(circuit.xor(x, y) for x, y in zip(a, b, strict=True)))
    plan = schedule(circuit, stages, total, total)
    assert len(plan.crossings) == stages + 1
    for gate in plan.gates:
        at = plan.stage[gate.outputs[0]]
        assert 0 <= at <= stages
        for bit in gate.inputs:
            assert plan.stage[bit] <= at
            for crossing in range(plan.stage[bit], at):
                assert bit in plan.crossings[crossing]
    for bit in total:
        for crossing in range(plan.stage[bit], stages + 1):
            assert bit in plan.crossings[crossing]


def test_dead_gates_are_left_out() -> None:
    circuit = Circuit()
    a, b = circuit.input("a", 2)
    circuit.or_(a, b)
    used = circuit.and_(a, b)
    assert [gate.op for gate in schedule(circuit, 0, (used,), ()).gates] == [Op.AND]
