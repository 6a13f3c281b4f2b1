"""Checks of arguments, with the house's sentences."""

from __future__ import annotations

import math

from siliquant.errors import InputError, InputTypeError


def positive_number(name: str, value: object) -> float:
    """The value as a float.  ValueError when it is not a positive finite number, TypeError when no number at all."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputTypeError(f"{name} must be a positive number, not {value!r}")
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name} must be a positive number, not {value}")
    return float(value)
