"""Integers: checks of parameters, ranges of codes, and fields of port words."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from siliquant.inputs import InputError, InputTypeError, short

__all__ = [
    "MAX_BITS",
    "IntArray",
    "check_integer",
    "check_one_of",
    "integers_of",
    "pack_fields",
    "signed_range",
    "sum_width",
    "to_signed",
]

MAX_BITS = 8
"""Widest operand of any design, in bits."""

IntArray = npt.NDArray[np.int64]


def check_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Returns ``value`` as an int from ``low`` to ``high`` (inclusive).

    Raises TypeError where it is no integer (a bool is none either), ValueError where it is out of range.
    """
    must = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputTypeError(f"{name} must be {must}, not {short(value)}") from None
    if isinstance(value, bool):
        raise InputTypeError(f"{name} must be {must}, not {short(value)}")
    if number < low or (high is not None and number > high):
        raise InputError(f"{name} must be {must}, not {short(number)}")
    return number


def check_one_of(name: str, value: object, known: Sequence[int]) -> int:
    """Returns ``value`` as an int that is among ``known``. Raises TypeError and ValueError, with one sentence."""
    must = f"{', '.join(map(str, known[:-1]))} or {known[-1]}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputTypeError(f"{name} must be {must}, not {short(value)}")
    if value not in known:
        raise InputError(f"{name} must be {must}, not {short(value)}")
    return int(operator.index(value))


def signed_range(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest two's complement (``signed``) or unsigned code of ``bits`` bits."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def sum_width(low: int, high: int) -> int:
    """Bits of the narrowest two's complement word that holds every integer from ``low`` to ``high``.

    >>> sum_width(-8, 7), sum_width(-8, 8), sum_width(0, 255)
    (4, 5, 9)
    """
    return max((high if high >= 0 else ~high).bit_length(), (low if low >= 0 else ~low).bit_length()) + 1


def to_signed(word: int, width: int) -> int:
    """The two's complement value of a ``width``-bit port word."""
    return word - (1 << width) if word >> (width - 1) else word


def integers_of(words: Sequence[int], width: int, signed: bool) -> list[int]:
    """What ``width``-bit words stand for: two's complement (``signed``) or plain binary. Wider fields extend these."""
    return [to_signed(word, width) for word in words] if signed else list(words)


def pack_fields(values: Sequence[int], width: int) -> int:
    """Concatenates ``values`` as two's complement fields of ``width`` bits, element 0 in the low bits.

    >>> hex(pack_fields([1, -1, 0], 4))
    '0xf1'
    """
    if width == 1:
        return int("".join(["1" if value & 1 else "0" for value in reversed(values)]) or "0", 2)
    mask = (1 << width) - 1
    digits = [format(int(value) & mask, f"0{width}b") for value in reversed(values)]
    return int("".join(digits) or "0", 2)  # linear in the width, unlike shifting into one integer
