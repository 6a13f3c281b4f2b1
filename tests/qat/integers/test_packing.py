"""Packed codes come back, and lie where the format says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qat.integers.packing import pack, unpack
from qat.settings.ranges import code_range


def bits_of(code: int, bits: int) -> str:
    """The bits of a code, lowest first, as text; independent of NumPy."""
    if bits == 1:
        return "1" if code > 0 else "0"
    return format(code % (1 << bits), f"0{bits}b")[::-1]


def by_hand(codes: list[int], bits: int) -> bytes:
    stream = "".join(bits_of(code, bits) for code in codes)
    stream += "0" * (-len(stream) % 8)
    return bytes(int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8))


def allowed(bits: int, signed: bool) -> list[int]:
    low, high = code_range(bits, signed)
    return [low, high] if bits == 1 else list(range(low, high + 1))


@given(bits=st.integers(1, 8), signed=st.booleans(), shape=st.lists(st.integers(0, 5), max_size=3), data=st.data())
def test_round_trip(bits: int, signed: bool, shape: list[int], data: st.DataObject) -> None:
    count = int(np.prod(shape))
    values = data.draw(st.lists(st.sampled_from(allowed(bits, signed)), min_size=count, max_size=count))
    codes = np.array(values, dtype=np.int64).reshape(shape)
    packed = pack(codes, bits)
    assert packed.dtype == np.uint8
    assert packed.shape == (-(-count * bits // 8),)
    assert packed.tobytes() == by_hand(values, bits)
    back = unpack(packed, bits, tuple(shape), signed=signed)
    assert back.dtype == np.int64
    assert back.shape == codes.shape
    assert np.array_equal(back, codes)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_code_of_every_width(bits: int, signed: bool) -> None:
    codes = np.array(allowed(bits, signed), dtype=np.int64)
    assert np.array_equal(unpack(pack(codes, bits), bits, codes.shape, signed=signed), codes)


@pytest.mark.parametrize(
    ("codes", "bits", "packed"),
    [
        ([1, -1, 3, -4], 3, [0b11_111_001, 0b0000_100_0]),
        ([0, 1, 2, 3, 3], 2, [0b11100100, 0b11]),
        ([-1, 1, 1, -1, 1, -1, -1, -1, 1], 1, [0b00010110, 1]),
        ([0, 1, 1, 0], 1, [0b0110]),
        ([7, -8, -1], 4, [0x87, 0x0F]),
        ([-128, 127, -1], 8, [0x80, 0x7F, 0xFF]),
        ([31, 0, 1], 5, [0b000_11111, 0b0_00001_00]),
    ],
)
def test_known_bytes(codes: list[int], bits: int, packed: list[int]) -> None:
    assert pack(np.array(codes), bits).tolist() == packed


def test_rows_follow_each_other_without_padding() -> None:
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    assert pack(codes, 3).tobytes() == by_hand([1, 2, 3, 4, 5, 6], 3)
    assert np.array_equal(unpack(pack(codes, 3), 3, (2, 3), signed=False), codes)
    assert pack(codes.T, 3).tobytes() == by_hand([1, 4, 2, 5, 3, 6], 3)


BYTES: NDArray[np.uint8] = np.zeros(3, dtype=np.uint8)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: unpack(BYTES, 4, (7,), signed=True), "7 codes of 4 bits must take 4 bytes, not 3"),
        (lambda: unpack(BYTES, 4, (2, 2), signed=True), "4 codes of 4 bits must take 2 bytes, not 3"),
        (lambda: pack(np.array([0, 8]), 3), "codes of 3 bits must be from -4 to 7, not 8"),
        (lambda: pack(np.array([-5, 0]), 3), "codes of 3 bits must be from -4 to 7, not -5"),
        (lambda: pack(np.array([1, 2]), 1), "codes of 1 bits must be from -1 to 1, not 2"),
        (lambda: pack(np.array([-(2**63)]), 8), "codes of 8 bits must be from -128 to 255, not -9223372036854775808"),
        (lambda: pack(np.array([0]), 9), "bits must be an integer from 1 to 8, not 9"),
        (lambda: unpack(BYTES, 0, (3,), signed=True), "bits must be an integer from 1 to 8, not 0"),
    ],
)
def test_errors(call: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text
