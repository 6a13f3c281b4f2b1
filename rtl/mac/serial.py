"""What the designs share whose operands come bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

from rtl.spec import MAX_BITS, MacSpec, Precision, check_integer, parameter

__all__ = ["SerialSpec"]


@dataclass(frozen=True, kw_only=True)
class SerialSpec(MacSpec):
    """Every pair of widths up to ``maximum_bits``, which decides the shifter and the accumulator."""

    most_units: ClassVar[int]

    units: int = parameter(16, "u", "products in parallel")
    maximum_bits: int = parameter(MAX_BITS, "m", "widest weights and activations, 2 to 8")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("units", self.units, 1, self.most_units)
        check_integer("maximum_bits", self.maximum_bits, 2, MAX_BITS)

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return ({}, {"maximum_bits": 4})

    @classmethod
    def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
        return ({"maximum_bits": max(2, *widths)},)

    @property
    def label(self) -> str:
        return f"{self.design} {self.maximum_bits}"

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        widths = range(1, self.maximum_bits + 1)
        return tuple(Precision(w, a, signed) for w, a, signed in product(widths, widths, (True, False)))
