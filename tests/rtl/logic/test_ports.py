"""Ports side by side in one word."""

from __future__ import annotations

from rtl.logic import joined, placed

PORTS = (("rst", 1), ("weights", 5), ("mode", 2))


def test_the_first_is_lowest() -> None:
    assert placed(PORTS) == (("rst", 0, 1), ("weights", 1, 5), ("mode", 6, 2))
    assert placed(()) == ()


def test_a_word_has_each_where_it_lies() -> None:
    assert joined(PORTS, {"mode": 0b10, "weights": 0b10011, "rst": 1}) == 0b10_10011_1
    assert joined(PORTS, {"weights": 1}) == 0b10
    assert joined((), {}) == 0
