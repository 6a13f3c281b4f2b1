"""hwmodel.operands.streams: ranges, shares and reproducibility of operand codes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwmodel.operands.recorded import pairs_of
from hwmodel.operands.streams import LSQ_GAUSSIAN, STREAM_NAMES, UNIFORM, Stream, pack
from rtl.spec.mac import Precision
from rtl.spec.values import codes_of


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", range(1, 9))
def test_uniform_covers_the_range(bits: int, signed: bool) -> None:
    """Every code about equally often."""
    codes = Stream(UNIFORM, 1).codes(4000, 16, bits, signed=signed, operand="weights")
    assert codes.shape == (4000, 16)
    assert codes.dtype == np.int64
    lowest = -(1 << (bits - 1)) if signed else 0
    counts = np.bincount((codes - lowest).ravel(), minlength=1 << bits)
    assert len(counts) == 1 << bits
    assert counts.min() > 0.7 * 64000 / (1 << bits)


@pytest.mark.parametrize(("bits", "signed", "share"), [(2, True, 0.575), (4, True, 0.237), (4, False, 0.540)])
def test_gaussian_zeros(bits: int, signed: bool, share: float) -> None:
    """Zeros as the normal distribution has them: P(|v| < s/2), or P(v < s/2) when rectified."""
    codes = Stream(LSQ_GAUSSIAN).codes(5000, 8, bits, signed=signed, operand="activations")
    assert (codes == 0).mean() == pytest.approx(share, abs=0.01)
    assert codes.min() >= (-(1 << (bits - 1)) if signed else 0)
    assert codes.max() <= (1 << (bits - signed)) - 1


@pytest.mark.parametrize("values", [(-1, 0, 1), (-4, -2, -1, 0, 1, 2, 4), (1, 3, 7)])
def test_drawn_codes_are_among_the_values(values: tuple[int, ...]) -> None:
    """Uniform: each as often as the others. Gaussian: as often as the normal distribution is nearest to it."""
    codes = codes_of(4, values)
    for name in (UNIFORM, LSQ_GAUSSIAN):
        drawn = Stream(name, 2).drawn(8000, 8, codes, operand="weights")
        assert drawn.dtype == np.int64
        assert set(drawn.ravel().tolist()) == set(values)
        shares = [(drawn == value).mean() for value in values]
        if name == UNIFORM:
            assert shares == pytest.approx([1 / len(values)] * len(values), abs=0.01)
            continue
        mean = math.sqrt(2 / math.pi) * (1 if values[0] < 0 else 0.5)
        points = np.linspace(-9, 9, 360_001)
        density = np.exp(-(points**2) / 2)
        steps = points / (2 * mean / math.sqrt(values[-1]))
        nearest = np.abs(steps[:, None] - np.array(values)).argmin(axis=1)
        wanted = np.bincount(nearest, density, len(values)) / density.sum()
        assert shares == pytest.approx(wanted.tolist(), abs=0.01)


def test_same_stream_same_codes() -> None:
    """Fixed for ever: these very codes are behind published rows."""
    stream = Stream(UNIFORM, 0)
    first = stream.codes(2, 4, 4, signed=True, operand="weights")
    assert first.tolist() == [[-1, -7, -7, -2], [-5, 7, 7, 0]]
    assert (first == Stream(UNIFORM, 0).codes(2, 4, 4, signed=True, operand="weights")).all()
    assert (first != stream.codes(2, 4, 4, signed=True, operand="activations")).any()
    assert (first != Stream(UNIFORM, 1).codes(2, 4, 4, signed=True, operand="weights")).any()
    assert stream.label == "uniform, seed 0"
    assert STREAM_NAMES == ("uniform", "lsq-gaussian", "minilm", "vit-mnist")
    assert [Stream(name).recorded for name in STREAM_NAMES] == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "bits", "signed"),
    [
        ("vit-mnist", 2, True),
        ("vit-mnist", 3, False),
        ("vit-mnist", 8, True),
        ("minilm", 4, True),
        ("minilm", 4, False),
    ],
)
def test_recorded_codes_of_equal_steps_are_operands_of_one_product(name: str, bits: int, signed: bool) -> None:
    """With lanes for the longest sum every step is one sum: that of a row and a column of the recording."""
    stream = Stream(name)
    weights = stream.codes(200, 2048, bits, signed=True, operand="weights")
    activations = stream.codes(200, 2048, bits, signed=signed, operand="activations")
    assert weights.shape == activations.shape == (200, 2048)
    assert weights.dtype == activations.dtype == np.int64
    assert weights.min() >= -(1 << (bits - 1))
    assert weights.max() < 1 << (bits - 1)
    assert activations.min() >= (-(1 << (bits - 1)) if signed else 0)
    assert activations.max() < 1 << (bits - signed)
    if signed:
        pairs, _ = pairs_of(name, Precision(bits, bits))
        sums = {int(value) for pair in pairs for value in (pair.activations @ pair.weights.T).ravel()}
        assert set((weights * activations).sum(1).tolist()) <= sums


def test_recorded_codes_follow_the_array() -> None:
    """The weights of a column stay for all its rows; another seed starts elsewhere, the same gives the same."""
    (first, *_), _ = pairs_of("minilm", Precision(4, 4))
    stream = Stream("minilm", 0)
    steps = -(-first.products // 16)
    weights = stream.codes(100 * steps, 16, 4, signed=True, operand="weights")
    activations = stream.codes(100 * steps, 16, 4, signed=True, operand="activations")
    for row, at in enumerate(range(0, 3 * steps, steps)):
        assert weights[at : at + steps].ravel()[: first.products].tolist() == first.weights[0].tolist()
        assert activations[at : at + steps].ravel()[: first.products].tolist() == first.activations[row].tolist()
    assert (weights == stream.codes(100 * steps, 16, 4, signed=True, operand="weights")).all()
    other = Stream("minilm", 1).codes(100 * steps, 16, 4, signed=True, operand="weights")
    assert other[:steps].ravel()[: first.products].tolist() == first.weights[1].tolist()
    assert stream.label == "minilm, seed 0"


def test_one_recorded_bit_is_a_sign() -> None:
    """Bit 1 is +1: as the code -1 of one signed bit."""
    pairs, _ = pairs_of("minilm", Precision(1, 1))
    codes = Stream("minilm").codes(1000, 384, 1, signed=True, operand="weights")
    assert set(codes.ravel().tolist()) == {-1, 0}
    assert pack(codes[:1], 1)[0] == sum(int(code > 0) << lane for lane, code in enumerate(pairs[0].weights[0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 5}, "weight_bits must be 2, 3, 4 or 8 in the stream vit-mnist, which has no others recorded, not 5"),
        (
            {"bits": 5, "signed": False, "operand": "activations"},
            "weight_bits must be 2, 3, 4 or 8 in the stream vit-mnist, which has no others recorded, not 5",
        ),
        ({"operand": "bias"}, "operand must be weights or activations in the stream vit-mnist, not 'bias'"),
        ({"signed": False}, "weights must be signed in the stream vit-mnist, not unsigned"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
    ],
)
def test_what_was_not_recorded(arguments: dict[str, object], message: str) -> None:
    good = {"steps": 2, "lanes": 2, "bits": 4, "signed": True, "operand": "weights"}
    with pytest.raises(ValueError) as caught:
        Stream("vit-mnist").codes(**(good | arguments))  # type: ignore[arg-type]
    assert str(caught.value) == message
    with pytest.raises(ValueError) as caught:
        Stream().sums(Precision(4, 4), 10, lambda length: length)
    assert str(caught.value) == "stream must be one of minilm, vit-mnist to have sums, not 'uniform'"


def test_pack() -> None:
    """Lane 0 lowest, two's complement."""
    assert pack(np.array([[-1, 2], [7, -8]]), 4) == [0x2F, 0x87]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, not 0"),
        ({"lanes": -1}, ValueError, "lanes must be at least 1, not -1"),
        ({"bits": 9}, ValueError, "bits must be an integer from 1 to 8, not 9"),
        ({"bits": 2.5}, TypeError, "bits must be an integer from 1 to 8, not 2.5"),
        ({"bits": 1}, ValueError, "a lsq-gaussian code must have a value above 0, not only from -1 to 0"),
    ],
)
def test_bad_sizes(arguments: dict[str, int], error: type[Exception], message: str) -> None:
    """Sentences that say what it must be."""
    good = {"steps": 2, "lanes": 2, "bits": 4}
    with pytest.raises(error) as caught:
        Stream(LSQ_GAUSSIAN).codes(**(good | arguments), signed=True, operand="weights")
    assert str(caught.value) == message


def test_bad_streams() -> None:
    """Unknown names and seeds."""
    with pytest.raises(
        ValueError, match=r"^stream must be one of uniform, lsq-gaussian, minilm, vit-mnist, not 'gauss'$"
    ):
        Stream("gauss")
    with pytest.raises(ValueError, match="seed must not be negative, but it was -1"):
        Stream(UNIFORM, -1)
