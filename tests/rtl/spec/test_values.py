"""Values of codes: sets of integers and the bits of each."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtl.spec.values import BIPOLAR, CodeValues, all_codes, codes_of

POWERS = CodeValues(3, (-4, -2, -1, 0, 1, 2, 4), (7, 6, 5, 0, 1, 2, 3))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("bits", range(1, 9))
def test_all_codes(bits: int, signed: bool) -> None:
    """Against Python's own two's complement."""
    codes = all_codes(bits, signed)
    low = -(1 << bits - 1) if signed else 0
    assert codes.values == tuple(range(low, low + (1 << bits)))
    assert codes.contiguous
    assert codes.plain
    octets = [value.to_bytes(1, "little", signed=signed)[0] % (1 << bits) for value in codes.values]
    assert codes.words == tuple(octets)


@st.composite
def kinds(draw: st.DrawFn) -> CodeValues:
    bits = draw(st.integers(1, 8))
    words = draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=12, unique=True))
    values = draw(st.lists(st.integers(-300, 300), min_size=len(words), max_size=len(words), unique=True))
    return CodeValues(bits, tuple(sorted(values)), tuple(words))


@given(kinds(), st.lists(st.integers(-400, 400), max_size=20))
def test_any_codes(codes: CodeValues, others: list[int]) -> None:
    values = np.array(codes.values)
    assert codes.words_of(values).tolist() == list(codes.words)
    assert codes.values_of(np.array(codes.words)).tolist() == list(codes.values)
    assert codes.lacking(np.array(others, int)).tolist() == [value for value in others if value not in codes.values]
    assert not codes.lacking(values).size
    strings = ["".join(map(str, bits)) for bits in codes.bits_of(values).tolist()]
    assert strings == [format(word, f"0{codes.bits}b")[::-1] for word in codes.words]
    assert codes.range == (min(codes.values), max(codes.values))
    assert codes.contiguous == (list(codes.values) == list(range(codes.values[0], codes.values[-1] + 1)))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i4", "u8", "i8"])
def test_arrays_of_any_integers(kind: str) -> None:
    codes = CodeValues(2, (-300, -1, 1, 300), (0, 1, 2, 3))
    limits = np.iinfo(kind)
    given = [value for value in (-301, -300, -2, -1, 0, 1, 127, 300) if limits.min <= value <= limits.max]
    found = codes.lacking(np.array([*given, limits.max], kind).astype(kind))
    largest = [limits.max] if kind != "u8" else [-1]  # as int64 has it
    assert found.tolist() == [*(value for value in given if value not in codes.values), *largest]
    assert codes.lacking(np.array(0, kind)).tolist() == [0]


def test_what_they_are_called() -> None:
    assert str(all_codes(4, True)) == "from -8 to 7"
    assert str(BIPOLAR) == "-1 or 1"
    assert str(POWERS) == "-4, -2, -1, 0, 1, 2 or 4"
    assert str(codes_of(2, [1])) == "1"
    assert str(codes_of(8, range(-64, 65, 4))) == "-64, -60, -56, ... (33 values) or 64"
    assert [codes.plain for codes in (BIPOLAR, POWERS, codes_of(4, POWERS.values))] == [False, False, True]


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: CodeValues(9, (0,), (0,)), "bits must be an integer from 1 to 8, not 9"),
        (lambda: CodeValues(2, (0, 1), (0, 4)), "the word of a code must be an integer from 0 to 3, not 4"),
        (lambda: CodeValues(2, (0, 70000), (0, 1)),
         "a value of a code must be an integer from -65536 to 65536, not 70000"),
        (lambda: CodeValues(2, (1, 0), (0, 1)),
         "values must be integers, each larger than the one before, not (1, 0)"),
        (lambda: CodeValues(2, (), ()), "values must be integers, each larger than the one before, not ()"),
        (lambda: CodeValues(2, (0, 1), (1, 1)), "words must be 2 different ones, one for each value, not (1, 1)"),
        (lambda: CodeValues(2, (0, 1), (1,)), "words must be 2 different ones, one for each value, not (1,)"),
        (lambda: codes_of(3, (-4, 0, 4)), "a value of 3 bits must be an integer from -4 to 3, not 4"),
        (lambda: codes_of(3, (0, 8)), "a value of 3 bits must be an integer from 0 to 7, not 8"),
        (lambda: all_codes(0, True), "bits must be an integer from 1 to 8, not 0"),
    ],
)  # fmt: skip
def test_what_is_refused(made, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        made()
