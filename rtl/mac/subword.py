"""Subword-parallel MAC: one multiplier array that holds several narrower products, summed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import ClassVar

from rtl.logic import Bit, DatapathBuilder, Port, Word
from rtl.spec import Precision, pack_fields

from .scalable import ScalableSpec

__all__ = ["SubwordSpec"]


@dataclass(frozen=True, kw_only=True)
class SubwordSpec(ScalableSpec):
    """1 product a unit and cycle at the widest width, twice as many at half of it (sum-together).

    The narrow products lie on the antidiagonal of the array, so that all have the same weight and the array itself
    adds them (Mei et al., "Sub-word parallel precision-scalable MAC engines", AICAS 2019). Everything off the
    antidiagonal is gated to zero; the accumulator port shows the sum shifted back down, by as many bits as the mode
    says: it must not change inside a sum.

    >>> spec = SubwordSpec(units=1)
    >>> [spec.products_per_step(Precision(bits, bits)) for bits in spec.widths]
    [1, 2, 4]
    >>> words = spec.pack([1, 2], [3, 4], Precision(4, 4))
    >>> hex(words["weights"][0]), hex(words["activations"][0])  # the activations in reverse
    ('0x21', '0x34')
    """

    design: ClassVar[str] = "subword"
    summary: ClassVar[str] = "sum-together subword-parallel multipliers: as 8/4/2, 1, 2 or 4 products at 8, 4 or 2 bits"

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", self.units * self.widest, True, f"{self.widest} bits a unit, its first code lowest"),
            Port("activations", self.units * self.widest, True, f"{self.widest} bits a unit, its first code highest"),
            *self.mode_ports,
        )

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units * (self.widest // precision.weight_bits)

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        bits = precision.weight_bits
        per_unit = self.widest // bits
        full = [*activations, *[0] * (self.products_per_step(precision) - len(activations))]
        reverse = [a for unit in range(self.units) for a in reversed(full[unit * per_unit : (unit + 1) * per_unit])]
        return [
            {
                "weights": pack_fields(weights, bits),
                "activations": pack_fields(reverse, bits),
                **self.mode_words(precision),
            }
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        self.declare_modes(builder)
        size = self.narrowest
        weights, activations = builder.fields("weights", size), builder.fields("activations", size)
        for i, j in product(range(self.blocks), repeat=2):
            enable = self._meet(builder, i, j)
            for unit in range(self.units):
                builder.heap.add_product(
                    weights[unit * self.blocks + i],
                    activations[unit * self.blocks + j],
                    column=(i + j) * size,
                    weight_signed=self.weight_top(builder, i),
                    activation_signed=self.activation_top(builder, j),
                    enable=enable,
                    negative=True,
                    name=f"unit{unit}_block{i}{j}",
                )

    def sum_shift(self, precision: Precision) -> int:
        return self.widest - precision.weight_bits

    def present(self, builder: DatapathBuilder, result: Word) -> Word:
        for wider, bits in pairwise(self.widths):
            result = builder.circuit.shift_right(result, self.at_most(builder, bits), wider - bits)
            builder.circuit.name(result, f"sum_of_{bits}_bits")
        return result

    def _meet(self, builder: DatapathBuilder, i: int, j: int) -> Bit:
        """A control that is 1 where block i of a weight and block j of an activation belong to the same product."""
        size = self.narrowest

        def wanted(precision: Precision) -> bool:
            bits = precision.weight_bits
            return i * size // bits + j * size // bits == self.widest // bits - 1

        return self.control(builder, wanted, f"blocks{i}{j}_meet")
