"""Bit-serial MAC: weights one bit a cycle, activations in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

from rtl.logic import DatapathBuilder, Port
from rtl.spec import Precision, integers_of, pack_fields

from .serial import SerialSpec

__all__ = ["BitSerialSpec"]


@dataclass(frozen=True, kw_only=True)
class BitSerialSpec(SerialSpec):
    """``units`` products in weight_bits cycles, for all widths of weights and activations up to ``maximum_bits``.

    Each cycle takes one bit of every weight; the sum over the units is shifted to the weight of that bit, negated for
    the sign bit, and accumulated (Judd et al., "Stripes", MICRO 2016; Lee et al., "UNPU", JSSC 2019). Activations
    enter extended to ``maximum_bits`` and stay on their port for all cycles of a step.

    >>> spec, precision = BitSerialSpec(units=16), Precision(3, 8)
    >>> spec.products_per_step(precision), spec.cycles_per_step(precision), spec.macs_per_cycle(precision)
    (16, 3, Fraction(16, 3))
    """

    design: ClassVar[str] = "bitserial"
    summary: ClassVar[str] = "weights bit-serial, activations parallel: weight_bits cycles a product"

    most_units: ClassVar[int] = 1024

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", self.units, True, "one bit of every weight, unit 0 lowest"),
            Port("activations", self.units * self.maximum_bits, True,
                 f"{self.units} codes extended to {self.maximum_bits} bits, unit 0 lowest"),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
            Port("weight_bit", (self.maximum_bits - 1).bit_length(), True,
                 "position of the weight bits, 0 for the least significant"),
            Port("weight_sign", 1, True, "1: the weight bits are sign bits"),
        )  # fmt: skip

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units

    def cycles_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return precision.weight_bits

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        extended = integers_of(activations, precision.activation_bits, precision.activation_signed)
        fixed = {
            "activations": pack_fields(extended, self.maximum_bits),
            "activation_signed": int(precision.activation_signed),
        }
        return [
            {
                "weights": pack_fields([weight >> bit for weight in weights], 1),
                "weight_bit": bit,
                "weight_sign": int(bit == precision.weight_bits - 1),
                **fixed,
            }
            for bit in range(precision.weight_bits)
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        controls = ["activation_signed", "weight_sign"]
        builder.set_controls(controls, list(product((0, 1), repeat=2)))
        plane = builder.sub_heap("plane")
        operands = zip(builder.word("weights"), builder.fields("activations", self.maximum_bits), strict=True)
        for unit, (weight, activation) in enumerate(operands):
            plane.add_product(
                (weight,),
                activation,
                weight_signed=builder.bit("weight_sign"),
                activation_signed=builder.bit("activation_signed"),
                negative=True,
                name=f"unit{unit}",
            )
        word = plane.total((self.units << self.maximum_bits).bit_length() + 1)
        for position, control in enumerate(builder.word("weight_bit")):
            word = builder.circuit.shift_left(word, control, 1 << position, signed=True)
            builder.circuit.name(word, f"plane_shift{1 << position}")
        builder.heap.add_word(word, signed=True)
