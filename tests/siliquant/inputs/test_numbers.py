"""Numbers in options: every text is a number in its range or refused, and at once."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliquant.inputs.errors import InputError
from siliquant.inputs.numbers import fraction, integer, number, number_list, read_clock_mhz


@given(st.integers(-20, 20), st.integers(-10, 0), st.integers(0, 10))
def test_integers_in_their_range(value: int, low: int, high: int) -> None:
    if low <= value <= high:
        assert integer("n", str(value), low, high) == value
    else:
        with pytest.raises(InputError, match=f"^n must be an integer from {low} to {high}, not '{value}'$"):
            integer("n", str(value), low, high)


BAD = [
    "",
    " ",
    " 4",
    "4 ",
    "+4",
    "04",
    "-0",
    "\u0664",
    "x",
    "1.0",
    "1e3",
    "0x10",
    "\uff11",
    "1_0",
    "nan",
    "9" * 10_000,
    "18446744073709551616",
    "--1",
    "1\0",
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(InputError, match=r"^n must be an integer from 0 to 100, not ") as caught:
        integer("n", text, 0, 100)
    assert len(str(caught.value)) < 200


@given(st.floats(0.001, 1e6))
def test_clocks(value: float) -> None:
    assert read_clock_mhz(repr(value)) == value


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e999", "-1", "0", "1e-99999", "0x1p3", "1_0", "", "e", "9" * 9999]
)
def test_what_is_no_clock(text: str) -> None:
    with pytest.raises(InputError, match=r"^clock_mhz must be a number from 0\.001 to 1e\+06, not "):
        read_clock_mhz(text)


@pytest.mark.parametrize("blank", ["\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\x0b", "\x0c"])
def test_separators_are_no_blanks(blank: str) -> None:
    """str.strip takes them off, and float refuses some."""
    for text in (f"0.2{blank}", f"{blank}0.2"):
        with pytest.raises(InputError, match=r"^n must be a number from 0 to 1, not "):
            number("n", text, 0, 1)
    assert number("n", " 0.2\t", 0, 1) == 0.2


def test_numbers_that_are_decimal() -> None:
    assert [number("x", text, -2, 500) for text in ("1", "1.", ".5", "+2e2", "-1E0")] == [1.0, 1.0, 0.5, 200.0, -1.0]


@given(st.fractions(1, 8, max_denominator=10**6))
def test_fractions_are_exact(value: Fraction) -> None:
    assert fraction("mean", str(value), 1, 8) == value


def test_decimal_fractions_are_exact() -> None:
    assert fraction("mean", "2.3", 1, 8) == Fraction(23, 10)


@pytest.mark.parametrize(
    "text", ["1e99999999", "1/0", "1/00", "-1", "9", "0.5", "nan", "1" * 5000, "1/" + "3" * 5000, "", "2/3/4"]
)
def test_what_is_no_fraction(text: str) -> None:
    with pytest.raises(InputError, match=r"^mean must be a number from 1 to 8, such as 3, 2\.5 or 5/2, not "):
        fraction("mean", text, 1, 8)


def test_lists_are_bounded_and_have_each_number_once() -> None:
    def width(name: str, text: str) -> int:
        return integer(name, text, 1, 8)

    assert number_list("widths", "4,2", width, 8) == [4, 2]
    for text, said in (
        ("2,2", "widths must have each number once, not '2,2'"),
        (",".join("12345678" * 999), "widths must be at most 8 numbers between commas, not "),
        ("2,", "widths must be an integer from 1 to 8, not ''"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(said)}"):
            number_list("widths", text, width, 8)
