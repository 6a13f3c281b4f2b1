"""The bit heap against plain integers: exhaustively for products of every width, by properties for sums."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtl.logic.bitheap import BitHeap
from rtl.logic.circuit import ONE, ZERO, Circuit, Op, evaluate
from rtl.logic.controls import Controls


def words_of(bits: np.ndarray) -> np.ndarray:
    return np.tensordot(1 << np.arange(len(bits), dtype=np.int64), bits.astype(np.int64), axes=1)


def as_signed(words: np.ndarray, width: int, signed: bool) -> np.ndarray:
    return np.where((words >> (width - 1)) & signed, words - (1 << width), words)


def plain_heap() -> tuple[Circuit, BitHeap]:
    circuit = Circuit()
    return circuit, BitHeap(circuit, Controls(circuit, (), [()]))


@pytest.mark.parametrize(("m", "n"), list(product(range(1, 9), repeat=2)))
def test_every_product_of_every_width_with_every_sign(m: int, n: int) -> None:
    w, a = np.meshgrid(np.arange(1 << m), np.arange(1 << n), indexing="ij")
    for w_signed, a_signed, negative in product((0, 1), repeat=3):
        circuit, heap = plain_heap()
        signs = (ZERO, ONE)
        heap.add_product(
            circuit.input("w", m), circuit.input("a", n),
            weight_signed=signs[w_signed], activation_signed=signs[a_signed], negative=bool(negative),
        )  # fmt: skip
        width = m + n + 1
        got = words_of(evaluate(circuit, {"w": w, "a": a}, heap.total(width)))
        expected = as_signed(w, m, bool(w_signed)) * as_signed(a, n, bool(a_signed)) * (-1) ** negative
        np.testing.assert_array_equal(got, expected % (1 << width))


@pytest.mark.parametrize(("m", "n"), list(product(range(1, 9), repeat=2)))
def test_signs_chosen_at_run_time(m: int, n: int) -> None:
    circuit = Circuit()
    w_bits, a_bits, signs = circuit.input("w", m), circuit.input("a", n), circuit.input("signs", 2)
    heap = BitHeap(circuit, Controls(circuit, signs, list(product((0, 1), repeat=2))))
    heap.add_product(w_bits, a_bits, weight_signed=signs[0], activation_signed=signs[1])
    width = m + n + 1
    total = heap.total(width)
    w, a = np.meshgrid(np.arange(1 << m), np.arange(1 << n), indexing="ij")
    for w_signed, a_signed in product((0, 1), repeat=2):
        got = words_of(evaluate(circuit, {"w": w, "a": a, "signs": np.full_like(w, w_signed | a_signed << 1)}, total))
        expected = as_signed(w, m, bool(w_signed)) * as_signed(a, n, bool(a_signed))
        np.testing.assert_array_equal(got, expected % (1 << width))


TERMS = st.lists(
    st.tuples(
        st.integers(1, 6),  # bits
        st.integers(0, 5),  # column
        st.booleans(),  # signed
        st.booleans(),  # negative
        st.sampled_from(["never", "c0", "c1", "not c0", "both"]),  # negated by which control
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=150)
@given(TERMS, st.integers(-1000, 1000), st.data())
def test_words_constants_and_conditional_signs_add_up(terms, constant: int, data: st.DataObject) -> None:
    circuit = Circuit()
    c = circuit.input("c", 2)
    states = list(product((0, 1), repeat=2))
    controls = Controls(circuit, c, states)
    flips = {
        "never": (ZERO, lambda c0, c1: 0), "c0": (c[0], lambda c0, c1: c0), "c1": (c[1], lambda c0, c1: c1),
        "not c0": (controls.function(np.array([s[0] == 0 for s in states])), lambda c0, c1: 1 - c0),
        "both": (controls.xor(c[0], c[1]), lambda c0, c1: c0 ^ c1),
    }  # fmt: skip
    heap = BitHeap(circuit, controls)
    heap.add_constant(constant)
    values = []
    for number, (bits, column, signed, negative, flip) in enumerate(terms):
        word = circuit.input(f"t{number}", bits)
        for position, bit in enumerate(word):
            top = signed and position == bits - 1
            heap.add_bit(column + position, bit, negative=negative ^ top, flip=flips[flip][0])
        values.append(data.draw(st.integers(0, (1 << bits) - 1)))
    width = data.draw(st.integers(1, 16))
    total = heap.total(width)
    for c0, c1 in states:
        inputs = {f"t{number}": np.asarray(value) for number, value in enumerate(values)} | {
            "c": np.asarray(c0 | c1 << 1)
        }
        expected = constant
        for value, (bits, column, signed, negative, flip) in zip(values, terms, strict=True):
            number = int(as_signed(np.asarray(value), bits, signed)) << column
            expected += -number if negative ^ bool(flips[flip][1](c0, c1)) else number
        assert int(words_of(evaluate(circuit, inputs, total))) == expected % (1 << width)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.integers(0, 3), st.data())
def test_a_row_keeps_every_carry_and_shifts(columns: list[int], column: int, data: st.DataObject) -> None:
    circuit = Circuit()
    shift = circuit.input("s", 1)
    controls = Controls(circuit, shift, [[0], [1]])
    inner, outer = BitHeap(circuit, controls), BitHeap(circuit, controls)
    word = circuit.input("w", len(columns))
    signs = data.draw(st.lists(st.booleans(), min_size=len(columns), max_size=len(columns)))
    for bit, place, negative in zip(word, columns, signs, strict=True):
        inner.add_bit(place, bit, negative=negative)
    row = inner.row()
    assert row.maximum < 1 << len(row.word)
    outer.add_row(row, column=column, shifts=((shift[0], 3),))
    total = outer.total(20)
    value = data.draw(st.integers(0, (1 << len(columns)) - 1))
    exact = sum((value >> k & 1) * (-1 if n else 1) << p for k, (p, n) in enumerate(zip(columns, signs, strict=True)))
    for on in (0, 1):
        got = int(words_of(evaluate(circuit, {"w": np.asarray(value), "s": np.asarray(on)}, total)))
        assert got == (exact << column + 3 * on) % (1 << 20)


@given(st.integers(1, 40), st.integers(1, 10))
@settings(max_examples=60)
def test_one_full_adder_a_bit(height: int, width: int) -> None:
    """Every full adder removes one bit: the tree and its carry-propagate adder have no more than bits in - bits out."""
    circuit, heap = plain_heap()
    for number in range(height):
        heap.add_word(circuit.input(f"w{number}", width))
    total = heap.row().word
    adders = circuit.count(Op.FULL_ADDER)
    carry_propagate = sum(len(gate.outputs) for gate in circuit.gates if gate.op is Op.ADD)
    assert adders <= height * width - len(total)
    assert adders + carry_propagate >= height * width - len(total)
    assert circuit.count(Op.HALF_ADDER) == 0


def test_bits_that_are_gated_take_a_sign_that_others_have() -> None:
    """Where a bit is 0 its sign does not matter: it needs no group of its own, and none where its sign is fixed."""
    circuit = Circuit()
    one, other = circuit.input("controls", 2)
    controls = Controls(circuit, (one, other), list(product((0, 1), repeat=2)))
    heap = BitHeap(circuit, controls)
    gates = {bit: controls.function(controls.truth(bit)) for bit in (one, other)}
    inverse = {bit: controls.function(~controls.truth(bit)) for bit in gates}
    differ = controls.xor(one, other)
    bits = circuit.input("bits", 5)
    enables = (ONE, inverse[other], other, one, inverse[one])
    flips = (one, differ, differ, one, one)  # as it is; equal to one; to not one; always; never
    for bit, flip, enable in zip(bits, flips, enables, strict=True):
        heap.add_bit(0, circuit.and_(bit, enable), flip=flip, enable=enable)
    assert list(heap._groups) == [one]
    words = np.array(list(product(range(4), range(32))))
    values = words_of(evaluate(circuit, {"controls": words[:, 0], "bits": words[:, 1]}, heap.total(4)))
    for (control, word), value in zip(words.tolist(), values.tolist(), strict=True):
        on = {one: control & 1, other: control >> 1, differ: (control ^ control >> 1) & 1, ONE: 1}
        on |= {inverse[one]: 1 - on[one], inverse[other]: 1 - on[other]}
        wanted = sum(
            (-1 if on[flip] else 1) * (word >> place & on[enable] & 1)
            for place, (flip, enable) in enumerate(zip(flips, enables, strict=True))
        )
        assert value == wanted % 16, (control, word)
