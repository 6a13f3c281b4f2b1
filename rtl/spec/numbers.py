"""Integers: checks of parameters, ranges of codes, and fields of port words."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from siliquant.inputs import InputError, InputTypeError, listing, short

__all__ = [
    "MAX_BITS",
    "IntArray",
    "check_flag",
    "check_integer",
    "check_widths",
    "integers_of",
    "pack_fields",
    "read_widths",
    "signed_range",
    "sum_width",
    "to_signed",
    "widths_text",
]

MAX_BITS = 8
"""Widest operand of any design, in bits."""

IntArray = npt.NDArray[np.int64]


def check_flag(name: str, value: object) -> bool:
    """Returns ``value``, True or False. Raises TypeError where it is neither."""
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} must be a bool, not {short(value)}")
    return value


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


def check_widths(name: str, value: object, known: Sequence[int], least: int) -> tuple[int, ...]:
    """Returns ``value``, a tuple or list, as falling widths of ``known``, at least ``least`` of them.

    Raises TypeError where it is no list of integers, ValueError where its integers are others.

    >>> check_widths("widths", [8, 2], (8, 4, 2), 2)
    (8, 2)
    """
    must = f"at least {least} of {listing(map(str, known))}, falling"
    whole = isinstance(value, tuple | list) and all(type(each) is int for each in value)
    if not isinstance(value, tuple | list) or not whole:
        raise InputTypeError(f"{name} must be {must}, not {short(value)}")
    if len(value) < least or list(value) != sorted({each for each in value if each in known}, reverse=True):
        raise InputError(f"{name} must be {must}, not {short(widths_text(value))}")
    return tuple(value)


def widths_text(widths: Sequence[int]) -> str:
    """Widths as options and labels have them.

    >>> widths_text((8, 4, 2))
    '8/4/2'
    """
    return "/".join(map(str, widths))


def read_widths(name: str, text: str) -> tuple[int, ...]:
    """Widths from such a text, 1 to MAX_BITS each. Raises InputError."""
    parts = text.split("/", MAX_BITS)
    if not all(part.isascii() and part.isdecimal() and len(part) == 1 for part in parts) or len(parts) > MAX_BITS:
        raise InputError(f"{name} must be widths such as 8/4/2, not {short(text)}")
    return tuple(map(int, parts))


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
    mask, form = (1 << width) - 1, f"0{width}b"
    if len(values) == 1:
        return int(values[0]) & mask
    digits = [format(int(value) & mask, form) for value in reversed(values)]
    return int("".join(digits) or "0", 2)  # linear in the width, unlike shifting into one integer
