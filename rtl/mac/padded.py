"""Padded MAC: full 8 x 8-bit multipliers that run lower precisions in a part of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from rtl.logic import Bit, DatapathBuilder, Port, Word
from rtl.spec import MAX_BITS, Precision, integers_of, pack_fields, parameter
from siliquant.inputs import InputTypeError

from .scalable import ScalableSpec

__all__ = ["PaddedSpec"]


@dataclass(frozen=True, kw_only=True)
class PaddedSpec(ScalableSpec):
    """One product a unit and cycle at every precision.

    Without ``gating`` operands arrive extended to 8 bits (by sign, or with zeros where unsigned) and the hardware is
    that of a uniform 8-bit MAC. With ``gating`` they arrive at the top of their 8-bit field; the low bits below the
    chosen precision are forced to zero behind the operand registers, so that the logic they feed does not switch, and
    the accumulator port shows the sum shifted back down, by an amount that depends on the mode: it must not change
    inside a sum.

    >>> words = PaddedSpec(units=1, gating=True).pack([-1], [5], Precision(4, 4))
    >>> bin(words["weights"][0]), bin(words["activations"][0])
    ('0b11110000', '0b1010000')
    """

    design: ClassVar[str] = "padded"
    summary: ClassVar[str] = "8x8 multipliers that run lower precisions padded to 8 bits"
    asymmetric: ClassVar[bool] = False

    gating: bool = parameter(False, "g", "force the unused low bits of operands to zero")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.gating, bool):
            raise InputTypeError(f"gating must be a bool, not {self.gating!r}")

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return ({}, {"gating": True})

    @property
    def label(self) -> str:
        return f"{self.design} {'gated' if self.gating else 'plain'}"

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        place = "in the top bits, the rest ignored" if self.gating else "extended to 8 bits"
        return (
            Port("weights", self.units * MAX_BITS, True, f"{self.units} fields of 8 bits, codes {place}"),
            Port("activations", self.units * MAX_BITS, True, f"{self.units} fields of 8 bits, codes {place}"),
            *(port for port in self.mode_ports if self.gating or port.name != "mode"),
        )

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        bits = precision.weight_bits
        if self.gating:
            w, a = ([word << MAX_BITS - bits for word in words] for words in (weights, activations))
        else:
            w = integers_of(weights, bits, True)
            a = integers_of(activations, bits, precision.activation_signed)
        fields = {"weights": pack_fields(w, MAX_BITS), "activations": pack_fields(a, MAX_BITS)}
        return [fields | self.mode_words(precision)]

    def datapath(self, builder: DatapathBuilder) -> None:
        if self.gating:
            self.declare_modes(builder)
        else:
            builder.set_controls(["activation_signed"], [[0], [1]])
        operands = zip(builder.fields("weights", MAX_BITS), builder.fields("activations", MAX_BITS), strict=True)
        for weight, activation in operands:
            builder.heap.add_product(
                self._gate(builder, weight),
                self._gate(builder, activation),
                activation_signed=builder.bit("activation_signed"),
                negative=True,
            )

    def sum_shift(self, precision: Precision) -> int:
        return 2 * (MAX_BITS - precision.weight_bits) if self.gating else 0

    def present(self, builder: DatapathBuilder, result: Word) -> Word:
        if not self.gating:
            return result
        for bits in self.widths[1:]:
            result = builder.circuit.shift_right(result, self.at_most(builder, bits), 2 * bits)
        return result

    def _gate(self, builder: DatapathBuilder, operand: Word) -> Word:
        """``operand`` with every bit that the precision leaves out forced to zero."""
        if not self.gating:
            return operand
        keep = (self._reaches(builder, position) for position in range(MAX_BITS))
        return tuple(builder.circuit.and_(bit, used) for bit, used in zip(operand, keep, strict=True))

    def _reaches(self, builder: DatapathBuilder, position: int) -> Bit:
        return self.control(builder, lambda precision: precision.weight_bits >= MAX_BITS - position)
