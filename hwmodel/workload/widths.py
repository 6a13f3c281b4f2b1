"""Widths of weights and activations: one number for both, or a pair where they differ, shown as ``4/8``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Generic, TypeVar

from rtl.spec import Precision, check_integer
from siliquant.inputs import InputError, fraction, integer

__all__ = [
    "Mean",
    "Pair",
    "Width",
    "check_width",
    "mean_text",
    "pair_or_one",
    "parts_of",
    "plain_width",
    "precision_of",
    "read_mean",
    "read_width",
    "width_records",
]

N = TypeVar("N", int, Fraction)


@dataclass(frozen=True)
class Pair(Generic[N]):
    """Bits of weights and of activations where they differ: where they are the same, one number says both.

    >>> str(Pair(4, 8)), pair_or_one(4, 8), pair_or_one(4, 4)
    ('4/8', Pair(weight_bits=4, activation_bits=8), 4)
    """

    weight_bits: N
    activation_bits: N

    def __post_init__(self) -> None:
        if self.weight_bits == self.activation_bits:
            raise InputError(f"the widths of a pair must differ, not {self}: one number says both")

    def __str__(self) -> str:
        return f"{float(self.weight_bits):.6g}/{float(self.activation_bits):.6g}"


Width = int | Pair[int]
"""Of the operands of a product."""
Mean = Fraction | Pair[Fraction]
"""Weighted by products."""


def parts_of(width: N | Pair[N]) -> tuple[N, N]:
    """Bits of weights and of activations; also the order of widths, narrow weights first."""
    return (width.weight_bits, width.activation_bits) if isinstance(width, Pair) else (width, width)


def pair_or_one(weight_bits: N, activation_bits: N) -> N | Pair[N]:
    """The widths as they are written everywhere: one number where they are the same."""
    return weight_bits if weight_bits == activation_bits else Pair(weight_bits, activation_bits)


def precision_of(width: Width) -> Precision:
    """What a design runs at such widths, with signed activations."""
    return Precision(*parts_of(width))


def plain_width(width: Width) -> int | str:
    """A width as files have it: a number, or a text such as ``4/8``."""
    return str(width) if isinstance(width, Pair) else width


def mean_text(mean: Mean) -> str:
    """A mean with up to six digits.

    >>> mean_text(Fraction(10, 3)), mean_text(Pair(Fraction(10, 3), Fraction(8)))
    ('3.33333', '3.33333/8')
    """
    return str(mean) if isinstance(mean, Pair) else f"{float(mean):.6g}"


def width_records(rows: Sequence[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows (dataclasses) as files have them. names: of their fields that are widths or means.

    A pair is a text such as ``4/8``. Where any row has one, each of these fields has two more, which are numbers:
    ``weight_bits`` and ``activation_bits`` of ``bits``, ``mean_weight_bits`` and so on of ``mean_bits``.
    """
    values = [{field.name: getattr(row, field.name) for field in fields(row)} for row in rows]
    paired = any(isinstance(record[name], Pair) for record in values for name in names)
    for record in values:
        for name in names:
            width = record[name]
            if paired:
                for operand, bits in zip(("weight", "activation"), parts_of(width), strict=True):
                    both = name.removesuffix("bits") + f"{operand}_bits"
                    record[both] = float(bits) if isinstance(bits, Fraction) else bits
            if isinstance(width, Pair):
                record[name] = str(width)
    return values


def check_width(name: str, value: object, low: int, high: int) -> Width:
    """The value where both of its parts are integers from ``low`` to ``high``. Raises ValueError and TypeError."""
    if not isinstance(value, Pair):
        return check_integer(name, value, low, high)
    for operand, bits in (("weights", value.weight_bits), ("activations", value.activation_bits)):
        check_integer(f"{name} of {operand}", bits, low, high)
    return value


def read_width(name: str, text: str, low: int | None = None, high: int | None = None) -> Width:
    """The width in an option: ``4``, or ``4/8`` for weights and activations; ``4/4`` is ``4``.

    Raises InputError for a part that is no integer from ``low`` to ``high`` (None: whoever takes it checks its range).
    """
    return _read(name, text, lambda what, part: integer(what, part, low, high))


def read_mean(name: str, text: str, low: int, high: int) -> Mean:
    """The mean in an option, exactly: ``3`` or ``2.5``, or ``2.5/8`` for weights and activations.

    Raises InputError for a part that is no number from ``low`` to ``high``.
    """
    return _read(name, text, lambda what, part: fraction(what, part, low, high, slash=False))


def _read(name: str, text: str, read: Callable[[str, str], N]) -> N | Pair[N]:
    weights, slash, activations = text.partition("/")
    if not slash:
        return read(name, text)
    return pair_or_one(read(f"{name} of weights", weights), read(f"{name} of activations", activations))
