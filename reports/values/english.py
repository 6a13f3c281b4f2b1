"""Numbers as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

from hwmodel.workload import Width
from siliquant.inputs import listing

__all__ = ["amount", "bits", "capital", "number", "percent", "span", "times"]

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(count: int) -> str:
    """A small number as a word.

    >>> number(3), number(30)
    ('three', '30')
    """
    return _WORDS[count] if count < len(_WORDS) else f"{count:,}"


def capital(text: str) -> str:
    """With a capital at the start."""
    return text[:1].upper() + text[1:]


def bits(widths: Iterable[Width]) -> str:
    """Widths with their unit; of weights and of activations where they differ.

    >>> bits([2, 3, 4])
    '2, 3 and 4 bits'
    """
    return f"{listing(map(str, widths))} bits"


def amount(value: float) -> str:
    """A number with three digits or more, at most one of them a decimal.

    >>> amount(402.4), amount(8.12)
    ('402', '8.1')
    """
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.1f}"


def times(ratios: Iterable[float]) -> str:
    """Ratios to two decimals.

    >>> times([1.7312, 2])
    '1.73 and 2.00'
    """
    return listing(f"{ratio:.2f}" for ratio in ratios)


def percent(share: float, digits: int = 0) -> str:
    """A share of 1 in percent.

    >>> percent(0.123), percent(0.0234, 1)
    ('12 %', '2.3 %')
    """
    return f"{100 * share:.{digits}f} %"


def span(shares: Iterable[float], digits: int = 0) -> str:
    """The least and the largest of some shares in percent, or one where they look alike.

    >>> span([0.17, 0.3, 0.2]), span([0.171, 0.169])
    ('17 to 30 %', '17 %')
    """
    found = list(shares)
    low, high = (f"{100 * share:.{digits}f}" for share in (min(found), max(found)))
    return f"{high} %" if low == high else f"{low} to {high} %"
