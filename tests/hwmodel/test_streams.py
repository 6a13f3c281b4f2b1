"""hwmodel.streams: ranges, shares and reproducibility of operand codes."""

from __future__ import annotations

import numpy as np
import pytest

from hwmodel.streams import LSQ_GAUSSIAN, STREAM_NAMES, UNIFORM, Stream, pack


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


def test_same_stream_same_codes() -> None:
    """Fixed for ever: these very codes are behind published rows."""
    stream = Stream(UNIFORM, 0)
    first = stream.codes(2, 4, 4, signed=True, operand="weights")
    assert first.tolist() == [[-1, -7, -7, -2], [-5, 7, 7, 0]]
    assert (first == Stream(UNIFORM, 0).codes(2, 4, 4, signed=True, operand="weights")).all()
    assert (first != stream.codes(2, 4, 4, signed=True, operand="activations")).any()
    assert (first != Stream(UNIFORM, 1).codes(2, 4, 4, signed=True, operand="weights")).any()
    assert stream.label == "uniform, seed 0"
    assert STREAM_NAMES == ("uniform", "lsq-gaussian")


def test_pack() -> None:
    """Lane 0 lowest, two's complement."""
    assert pack(np.array([[-1, 2], [7, -8]]), 4) == [0x2F, 0x87]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, not 0"),
        ({"lanes": -1}, ValueError, "lanes must be at least 1, not -1"),
        ({"bits": 17}, ValueError, "bits must be at most 16, not 17"),
        ({"bits": 2.5}, TypeError, "bits must be an integer, not 2.5"),
        ({"bits": 1}, ValueError, "bits must be at least 2 for signed lsq-gaussian codes, not 1"),
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
    with pytest.raises(ValueError, match="stream must be one of uniform, lsq-gaussian, not 'gauss'"):
        Stream("gauss")
    with pytest.raises(ValueError, match="seed must not be negative, but it was -1"):
        Stream(UNIFORM, -1)
