"""hwmodel.operands.statistics and hwmodel.operands.markov: statistics of codes, and codes of given statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.operands.markov import chain, markov_codes
from hwmodel.operands.statistics import CodeStatistics, OperandStatistics, lane_codes, plan_statistics, statistics
from hwmodel.operands.stimulus import StreamPlan, drive, operand_sums
from hwmodel.operands.streams import Stream
from rtl.mac import UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision
from rtl.spec.values import BIPOLAR, CodeValues, all_codes, codes_of

TWO, FOUR = all_codes(2, True), all_codes(4, True)
HALF = CodeStatistics((0.5, 0.5), (0.5, 0.5), 0.25)


@given(st.data())
def test_statistics_are_counts_of_bits(data: st.DataObject) -> None:
    """Against bit strings, lane by lane."""
    bits = data.draw(st.integers(2, 8))
    signed = data.draw(st.booleans())
    lowest = -(1 << (bits - 1)) if signed else 0
    code = st.integers(lowest, lowest + (1 << bits) - 1)
    steps, lanes = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 3))
    codes = data.draw(st.lists(st.lists(code, min_size=lanes, max_size=lanes), min_size=steps, max_size=steps))
    found = statistics([[0], [1]], codes, FOUR, all_codes(bits, signed)).activations
    words = [[format(value % (1 << bits), f"0{bits}b")[::-1] for value in row] for row in codes]
    for bit in range(bits):
        ones = sum(word[bit] == "1" for row in words for word in row)
        changes = sum(words[t][lane][bit] != words[t - 1][lane][bit] for t in range(1, steps) for lane in range(lanes))
        assert found.ones[bit] == pytest.approx(ones / (steps * lanes))
        assert found.toggles[bit] == pytest.approx(changes / ((steps - 1) * lanes))
    assert found.zeros == pytest.approx(sum(value == 0 for row in codes for value in row) / (steps * lanes))
    assert found.bits == bits


def test_one_bit() -> None:
    """Codes -1 and +1 are bits 0 and 1; -1 and 0 are bits 1 and 0."""
    signs = statistics([[1], [-1], [-1], [1]], [[-1], [0], [0], [-1]], BIPOLAR, all_codes(1, True))
    assert signs.weights == CodeStatistics((2 / 3,), (0.5,), 0.0)
    assert signs.activations == CodeStatistics((2 / 3,), (0.5,), 0.5)
    assert statistics([[1], [-1]], [[1], [1]], BIPOLAR, BIPOLAR).activations == CodeStatistics((0.0,), (1.0,), 0.0)


def test_any_set_of_values() -> None:
    """Sign and exponent: -2 is 110, 4 is 011, 0 is 000."""
    powers = CodeValues(3, (-4, -2, -1, 0, 1, 2, 4), (7, 6, 5, 0, 1, 2, 3))
    found = statistics([[-2], [4], [0], [4]], [[0], [1], [1], [1]], powers, FOUR).weights
    assert found == CodeStatistics((1.0, 2 / 3, 1 / 3), (0.5, 0.75, 0.25), 0.25)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([[1.0], [2.0]], TypeError, "weights must be an array of integers, not of float64"),
        ([[1]], ValueError, "weights must have shape (steps, lanes) with 2 steps or more, not (1, 1)"),
        ([1, 2], ValueError, "weights must have shape (steps, lanes) with 2 steps or more, not (2,)"),
        ([[1], [8]], ValueError, "weights must be from -8 to 7, not 8"),
        ([[1], [-9]], ValueError, "weights must be from -8 to 7, not -9"),
    ],
)
def test_bad_codes(weights: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        statistics(weights, [[0], [0]], FOUR, FOUR)  # type: ignore[arg-type]
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), (), 0.0), "ones must be 1 to 8 numbers, one for each bit, not 0"),
        (((0.5,), (0.5, 0.5), 0.0), "toggles must be as many numbers as ones, 2, not 1"),
        (((1.5,), (0.5,), 0.0), "toggles must be from 0 to 1, not 1.5"),
        (((0.5,), (0.5,), -0.1), "zeros must be from 0 to 1, not -0.1"),
    ],
)
def test_bad_statistics(arguments: tuple[tuple[float, ...], tuple[float, ...], float], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        CodeStatistics(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("spec", "plan"),
    [
        (UniformSpec(weight_bits=3, activation_bits=4, lanes=5), StreamPlan(Precision(3, 4), products=13, cycles=30)),
        (XnorSpec(lanes=7), StreamPlan(Precision(1, 1), products=17, cycles=30)),
        (XnorSpec(lanes=7), StreamPlan(Precision(1, 1, False), products=18, cycles=30)),
        (XnorSpec(lanes=256), StreamPlan(Precision(1, 1), Stream("minilm"), cycles=30)),
    ],
    ids=["uniform", "binary", "binary unsigned", "recorded"],
)
def test_lanes_hold_what_the_ports_do(spec: MacSpec, plan: StreamPlan) -> None:
    """Port words, unused lanes included, bit by bit."""
    sums = operand_sums(spec, plan)
    words = drive(spec, plan.precision, sums).words
    for name, codes, bits in zip(
        ("weights", "activations"),
        lane_codes(spec, plan.precision, sums),
        (plan.precision.weight_bits, plan.precision.activation_bits),
        strict=True,
    ):
        lanes = codes.shape[1]
        binary = isinstance(spec, XnorSpec)
        planes = codes > 0 if binary else codes & ((1 << bits) - 1)
        for row, word in zip(planes, words[name][2:], strict=True):
            assert [word >> (lane * bits) & ((1 << bits) - 1) for lane in range(lanes)] == row.astype(int).tolist()


def test_statistics_of_a_plan() -> None:
    """Uniform codes: all halves; the recorded ones have their zeros."""
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)
    uniform = plan_statistics(spec, StreamPlan(Precision(4, 4)))
    for codes in (uniform.weights, uniform.activations):
        assert codes.toggles == pytest.approx((0.5,) * 4, abs=0.015)
        assert codes.ones == pytest.approx((0.5,) * 4, abs=0.015)
        assert codes.zeros == pytest.approx(1 / 16, abs=0.01)
    after_gelu = plan_statistics(spec, StreamPlan(Precision(4, 4, False), Stream("minilm")))
    assert 0.4 < after_gelu.activations.zeros < 0.7
    assert after_gelu.activations.toggles[3] < 0.1
    assert isinstance(after_gelu, OperandStatistics)


def joint(bits: int, seed: int) -> np.ndarray:
    """Some distribution of a code and the next one, the same in both orders."""
    generator = np.random.Generator(np.random.PCG64(seed))
    both = generator.gamma(0.3, size=(1 << bits, 1 << bits)) + 1e-3
    both[0, 0] += generator.uniform(0, 5)
    both += both.T
    return both / both.sum()


def exact(both: np.ndarray) -> CodeStatistics:
    """Statistics of a distribution, by summing over all pairs of codes."""
    bits = len(both).bit_length() - 1
    pairs = [(x, y, both[x, y]) for x in range(len(both)) for y in range(len(both))]
    ones = tuple(min(1.0, sum(p for x, _, p in pairs if x >> bit & 1)) for bit in range(bits))
    toggles = tuple(min(1.0, sum(p for x, y, p in pairs if (x ^ y) >> bit & 1)) for bit in range(bits))
    return CodeStatistics(toggles, ones, sum(p for x, _, p in pairs if x == 0))


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_the_chain_has_the_statistics_and_no_less_entropy(bits: int, seed: int) -> None:
    source = joint(bits, seed)
    wanted = exact(source)
    both = chain(wanted)
    assert (both == both.T).all() or np.abs(both - both.T).max() < 1e-12
    assert both.sum() == pytest.approx(1)
    found = exact(both)
    assert found.ones == pytest.approx(wanted.ones, abs=1e-5)
    assert found.toggles == pytest.approx(wanted.toggles, abs=1e-5)
    assert found.zeros == pytest.approx(wanted.zeros, abs=1e-5)
    assert -(both * np.log(both)).sum() >= -(source * np.log(source)).sum() - 1e-4


def test_without_conditions_on_each_other_bits_are_independent() -> None:
    """Zeros as chance has them: the product of the bits' own chains."""
    wanted = CodeStatistics((0.3, 0.1), (0.4, 0.2), 0.6 * 0.8)
    both = chain(wanted)
    own = [np.array([[1 - p - t / 2, t / 2], [t / 2, p - t / 2]]) for p, t in ((0.4, 0.3), (0.2, 0.1))]
    assert np.abs(both - np.kron(own[1], own[0])).max() < 1e-6


@pytest.mark.parametrize(
    ("statistics_of", "codes"),
    [
        (CodeStatistics((0.0, 0.0), (0.0, 0.0), 1.0), {0}),
        (CodeStatistics((0.5, 0.0), (0.5, 1.0), 0.0), {2, 3}),
        (CodeStatistics((0.5, 0.0), (0.5, 0.0), 0.5), {0, 1}),
        (CodeStatistics((0.6, 0.6), (0.6, 0.6), 0.0), {1, 2, 3}),
    ],
)
def test_extremes(statistics_of: CodeStatistics, codes: set[int]) -> None:
    assert set(markov_codes(statistics_of, 400, 4, values=all_codes(2, False)).ravel().tolist()) == codes


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("lsq-gaussian", Precision(4, 4)), ("vit-mnist", Precision(4, 4, False)), ("vit-mnist", Precision(8, 8)),
        ("minilm", Precision(2, 2)), ("minilm", Precision(4, 4, False)), ("minilm", Precision(1, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_codes_have_the_statistics_of_a_stream(name: str, precision: Precision) -> None:
    bits = precision.weight_bits
    spec: MacSpec = XnorSpec(lanes=64) if bits == 1 else UniformSpec(weight_bits=bits, activation_bits=bits, lanes=16)
    measured = plan_statistics(spec, StreamPlan(precision, Stream(name)))
    held = spec.weight_values(precision), spec.activation_values(precision)
    for wanted, values in zip((measured.weights, measured.activations), held, strict=True):
        codes = markov_codes(wanted, 3000, 16, values=values, seed=1)
        assert codes.dtype == np.int64
        found = statistics(codes, codes, values, values).weights
        assert found.toggles == pytest.approx(wanted.toggles, abs=0.015)
        assert found.ones == pytest.approx(wanted.ones, abs=0.02)
        assert found.zeros == pytest.approx(wanted.zeros, abs=0.02)


def test_the_same_seed_gives_the_same_codes() -> None:
    """These very codes."""
    first, other = (markov_codes(HALF, 2, 6, values=TWO, seed=seed).tolist() for seed in (0, 1))
    assert first == [[-2, 1, 0, 0, -1, -1], [-2, -2, -2, -1, -1, 0]]
    assert first != other


@pytest.mark.parametrize(
    ("given_statistics", "message"),
    [
        (
            CodeStatistics((0.9, 0.5), (0.2, 0.5), 0.1),
            "toggles of bit 0 must be at most 0.4000 with ones of 0.2, not 0.9",
        ),
        (
            CodeStatistics((0.5, 0.5), (0.5, 0.5), 0.6),
            "zeros must be a share that codes with these ones and toggles can have, not 0.6",
        ),
        (
            CodeStatistics((0.2, 0.2), (0.2, 0.2), 0.1),
            "zeros must be a share that codes with these ones and toggles can have, not 0.1",
        ),
        (CodeStatistics((0.5,), (0.5,), 0.2), "zeros of one-bit codes must be 0 or 0.5000, not 0.2"),
    ],
)
def test_what_no_codes_can_have(given_statistics: CodeStatistics, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        markov_codes(given_statistics, 10, 2, values=all_codes(given_statistics.bits, False))
    assert str(caught.value) == message


def test_bad_sizes() -> None:
    with pytest.raises(ValueError, match=r"^steps must be an integer of at least 1, not 0$"):
        markov_codes(HALF, 0, 2, values=TWO)
    with pytest.raises(TypeError, match=r"^lanes must be an integer of at least 1, not 2.5$"):
        markov_codes(HALF, 2, 2.5, values=TWO)  # type: ignore[arg-type]
    for values, count in ((codes_of(2, (-1, 0, 1)), 3), (all_codes(3, True), 8)):
        with pytest.raises(ValueError, match=rf"^values must be 4, one for each word of 2 bits, not {count}$"):
            markov_codes(HALF, 2, 2, values=values)
