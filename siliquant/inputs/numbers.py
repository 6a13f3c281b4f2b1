"""Numbers in options, each read from text with the range that it must lie in; and numbers that callers give."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from .errors import InputError, InputTypeError, short

__all__ = [
    "CLOCKS_MHZ",
    "decimal",
    "fraction",
    "integer",
    "number",
    "number_list",
    "positive_number",
    "read_clock_mhz",
    "whole",
]

CLOCKS_MHZ = (1e-3, 1e6)
"""Range of a clock, MHz: 1 kHz to 1 THz."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
_FRACTION = re.compile(r"([0-9]{1,9})(/[0-9]{1,9}|\.[0-9]{1,9})?", re.ASCII)
_BLANKS = " \t\r\n"  # str.strip takes separators of ASCII for blanks, too, and float does not
_T = TypeVar("_T")


def integer(name: str, text: str, low: int | None = None, high: int | None = None) -> int:
    """The whole number in an option: ASCII digits without blanks, plus or leading zeros, at most 20 of them.

    Raises InputError for what is none, or not from ``low`` to ``high`` (None: whoever takes it checks its range).
    """
    value = int(text) if _INTEGER.fullmatch(text) else None
    if value is None or (low is not None and value < low) or (high is not None and value > high):
        limits = "" if low is None else f" from {low} to {high}" if high is not None else f" of at least {low}"
        raise InputError(f"{name} must be an integer{limits}, not {short(text)}")
    return value


def whole(text: str) -> int:
    """The same for :mod:`argparse`, which words the error. Raises ValueError."""
    return integer("it", text)


def decimal(text: str) -> float:
    """A float for :mod:`argparse`, in ASCII and without underscores. Raises ValueError."""
    if not text.isascii() or "_" in text:
        raise InputError("it must be a number in decimal")
    return float(text)


def number(name: str, text: str, low: float, high: float) -> float:
    """The number in an option, decimal. Raises InputError for what is none, or not from ``low`` to ``high``."""
    bare = text.strip(_BLANKS)
    value = float(bare) if _DECIMAL.fullmatch(bare) else math.nan
    if not low <= value <= high:
        raise InputError(f"{name} must be a number from {low:g} to {high:g}, not {short(text)}")
    return value


def read_clock_mhz(text: str) -> float:
    """``--clock-mhz``, MHz, in CLOCKS_MHZ. Raises InputError."""
    return number("clock_mhz", text, *CLOCKS_MHZ)


def fraction(name: str, text: str, low: int, high: int, *, slash: bool = True) -> Fraction:
    """The fraction in an option, exactly: ``3``, ``2.5`` or ``5/2``, of at most nine digits a part.

    slash: whether it may be written with one. Raises InputError for what is none, or not from ``low`` to ``high``.
    """
    match = _FRACTION.fullmatch(text.strip())
    known = match and not re.fullmatch("/0+", match[2] or "") and (slash or "/" not in text)
    value = Fraction(text.strip()) if known else Fraction(low - 1)
    if not low <= value <= high:
        like = "3, 2.5 or 5/2" if slash else "3 or 2.5"
        raise InputError(f"{name} must be a number from {low} to {high}, such as {like}, not {short(text)}")
    return value


def number_list(name: str, text: str, read: Callable[[str, str], _T], most: int) -> list[_T]:
    """Up to ``most`` different numbers between commas, each as ``read(name, part)`` has it. Raises InputError."""
    parts = text.split(",", most)
    if len(parts) > most:
        raise InputError(f"{name} must be at most {most} numbers between commas, not {short(text)}")
    found = [read(name, part.strip()) for part in parts]
    if len(set(found)) < len(found):
        raise InputError(f"{name} must have each number once, not {short(text)}")
    return found


def positive_number(name: str, value: object) -> float:
    """The value as a float.  ValueError when it is not a positive finite number, TypeError when no number at all."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputTypeError(f"{name} must be a positive number, not {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name} must be a positive number, not {value}")
    return float(value)
