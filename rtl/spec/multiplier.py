"""MACs made of whole multipliers of one width: an AND array each, or Booth's recoding of the weight."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Self

from rtl.logic import DatapathBuilder, Word
from siliquant.inputs import InputError

from .mac import MacSpec, parameter
from .numbers import check_flag

__all__ = ["MultiplierMacSpec"]

_LEAST_ACTIVATION_BITS = 6
"""From here on recoding is the smaller circuit in one library or another; below, in none of those tried."""


@dataclass(frozen=True, kw_only=True)
class MultiplierMacSpec(MacSpec):
    """A MAC whose products each have a multiplier of their own, signed weights, and the port ``activation_signed``.

    Parameters
    ----------
    booth
        Whether multipliers recode weights by radix-4 digits (see :mod:`rtl.logic.booth`).
    """

    booth: bool = parameter(False, "b", "radix-4 Booth recoding of weights: fewer, larger partial products", form=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("booth", self.booth)
        if self.booth and self.multiplier_bits[0] < 2:
            raise InputError("booth must be False for weights of 1 bit, not True")

    @property
    @abstractmethod
    def multiplier_bits(self) -> tuple[int, int]:
        """Bits of a weight and of an activation at the multipliers."""

    @property
    def forms(self) -> tuple[Self, ...]:
        weight_bits, activation_bits = self.multiplier_bits
        recoding = weight_bits >= 2 and activation_bits >= _LEAST_ACTIVATION_BITS
        return tuple(replace(each, booth=booth) for each in super().forms for booth in (False, True)[: 1 + recoding])

    def add_product(self, builder: DatapathBuilder, weight: Word, activation: Word, name: str) -> None:
        """Adds one product, negated, to the heap. name: what its partial products are called by."""
        add = builder.heap.add_recoded_product if self.booth else builder.heap.add_product
        add(weight, activation, activation_signed=builder.bit("activation_signed"), negative=True, name=name)
