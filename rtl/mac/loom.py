"""Loom: weights and activations both one bit a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

from rtl.logic import DatapathBuilder, Port
from rtl.spec import Precision, pack_fields, parameter

from .serial import SerialSpec

__all__ = ["LoomSpec"]


@dataclass(frozen=True, kw_only=True)
class LoomSpec(SerialSpec):
    """``units`` products in weight_bits * activation_bits cycles, for every pair of widths up to ``maximum_bits``.

    Each cycle multiplies one bit of every weight by one bit of its activation; the population count is shifted to
    the weight of both, negated where one of them is a sign bit, and accumulated (Sharify et al., "Loom", DAC 2018).

    >>> words = LoomSpec(units=1).pack([-2], [1], Precision(2, 2))
    >>> [words[name] for name in ("weights", "activations", "bit_sum", "weight_sign")]
    [[0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 1, 2], [0, 0, 1, 1]]
    """

    design: ClassVar[str] = "loom"
    summary: ClassVar[str] = "weights and activations bit-serial: weight_bits * activation_bits cycles a product"

    most_units: ClassVar[int] = 4096

    units: int = parameter(64, "u", "products in parallel")

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", self.units, True, "one bit of every weight, unit 0 lowest"),
            Port("activations", self.units, True, "one bit of every activation, unit 0 lowest"),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
            Port("bit_sum", (2 * self.maximum_bits - 2).bit_length(), True,
                 "position of the weight bits plus position of the activation bits"),
            Port("weight_sign", 1, True, "1: the weight bits are sign bits"),
            Port("activation_top", 1, True, "1: the activation bits are the most significant"),
        )  # fmt: skip

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units

    def cycles_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return precision.weight_bits * precision.activation_bits

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        planes = [
            [pack_fields([word >> bit for word in words], 1) for bit in range(bits)]
            for words, bits in ((weights, precision.weight_bits), (activations, precision.activation_bits))
        ]
        return [
            {
                "weights": planes[0][i],
                "activations": planes[1][j],
                "activation_signed": int(precision.activation_signed),
                "bit_sum": i + j,
                "weight_sign": int(i == precision.weight_bits - 1),
                "activation_top": int(j == precision.activation_bits - 1),
            }
            for i, j in product(range(precision.weight_bits), range(precision.activation_bits))
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        names = ["activation_signed", "weight_sign", "activation_top"]
        builder.set_controls(names, list(product((0, 1), repeat=3)))
        signed, weight_sign, activation_top = (builder.controls.truth(builder.bit(name)) for name in names)
        negated = builder.controls.function(weight_sign ^ (activation_top & signed))
        builder.circuit.name((negated,), "plane_negated")
        plane = builder.sub_heap("plane")
        operands = zip(builder.word("weights"), builder.word("activations"), strict=True)
        products = [builder.circuit.and_(weight, activation) for weight, activation in operands]
        builder.circuit.name(products, "products")
        for bit in products:
            plane.add_bit(0, bit, negative=True, flip=negated)
        word = plane.total(self.units.bit_length() + 1)
        for position, control in enumerate(builder.word("bit_sum")):
            word = builder.circuit.shift_left(word, control, 1 << position, signed=True)
            builder.circuit.name(word, f"plane_shift{1 << position}")
        builder.heap.add_word(word, signed=True)
