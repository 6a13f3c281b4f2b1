"""Padded MAC: full multipliers that run lower precisions in a part of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, Self

from rtl.logic import Bit, DatapathBuilder, Port, Word
from rtl.spec import (
    MAX_BITS,
    MultiplierMacSpec,
    Precision,
    check_flag,
    integers_of,
    pack_fields,
    parameter,
    widths_text,
)

from .scalable import ScalableSpec

__all__ = ["PaddedSpec"]


@dataclass(frozen=True, kw_only=True)
class PaddedSpec(ScalableSpec, MultiplierMacSpec):
    """One product a unit and cycle at every precision.

    ``widths`` may be any from 8 to 1. Without ``gating`` operands arrive extended to the widest (by sign, or with zeros
    where unsigned) and the hardware is that of a uniform MAC of that width. With ``gating`` they arrive at the top of
    their field; the low bits below the chosen precision are forced to zero behind the operand registers, so that the
    logic they feed does not switch, and the accumulator port shows the sum shifted back down, by an amount that depends
    on the mode: it must not change inside a sum.

    >>> words = PaddedSpec(units=1, gating=True).pack([-1], [5], Precision(4, 4))
    >>> bin(words["weights"][0]), bin(words["activations"][0])
    ('0b11110000', '0b1010000')
    """

    design: ClassVar[str] = "padded"
    summary: ClassVar[str] = "full multipliers that run lower precisions padded to the widest of widths"
    width_choices: ClassVar[tuple[int, ...]] = tuple(range(MAX_BITS, 0, -1))

    gating: bool = parameter(False, "g", "force the unused low bits of operands to zero")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("gating", self.gating)

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return ({}, {"gating": True}, {"gating": True, "widths": (4, 2, 1)})

    @classmethod
    def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
        sets = cls.width_sets(widths)
        return ({"widths": sets[-1]}, *({"widths": each, "gating": True} for each in sets))

    @property
    def forms(self) -> tuple[Self, ...]:
        """Recoding is no form of gated units: narrow operands, whose upper bits are 0, do not keep its digits still."""
        return tuple(form for form in super().forms if not (form.booth and form.gating))

    @property
    def multiplier_bits(self) -> tuple[int, int]:
        return self.widest, self.widest

    @property
    def label(self) -> str:
        return f"{self.design} {'gated' if self.gating else 'plain'} {widths_text(self.widths)}"

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        place = "in the top bits, the rest ignored" if self.gating else f"extended to {self.widest} bits"
        return (
            Port(
                "weights", self.units * self.widest, True, f"{self.units} fields of {self.widest} bits, codes {place}"
            ),
            Port(
                "activations",
                self.units * self.widest,
                True,
                f"{self.units} fields of {self.widest} bits, codes {place}",
            ),
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
            w, a = ([word << self.widest - bits for word in words] for words in (weights, activations))
        else:
            w = integers_of(weights, bits, True)
            a = integers_of(activations, bits, precision.activation_signed)
        fields = {"weights": pack_fields(w, self.widest), "activations": pack_fields(a, self.widest)}
        return [fields | self.mode_words(precision)]

    def ignored_bits(self, precision: Precision) -> Mapping[str, int]:
        if not self.gating:
            return {}
        low = (1 << self.widest - precision.weight_bits) - 1
        mask = pack_fields([low] * self.units, self.widest)
        return {"weights": mask, "activations": mask}

    def datapath(self, builder: DatapathBuilder) -> None:
        if self.gating:
            self.declare_modes(builder)
        else:
            builder.set_controls(["activation_signed"], [[0], [1]])
        operands = zip(builder.fields("weights", self.widest), builder.fields("activations", self.widest), strict=True)
        for unit, (weight, activation) in enumerate(operands):
            weight, activation = self._gate(builder, weight), self._gate(builder, activation)
            builder.circuit.name(weight, f"unit{unit}_weight")
            builder.circuit.name(activation, f"unit{unit}_activation")
            self.add_product(builder, weight, activation, f"unit{unit}")

    def sum_shift(self, precision: Precision) -> int:
        return 2 * (self.widest - precision.weight_bits) if self.gating else 0

    def present(self, builder: DatapathBuilder, result: Word) -> Word:
        if not self.gating:
            return result
        for wider, bits in pairwise(self.widths):
            result = builder.circuit.shift_right(result, self.at_most(builder, bits), 2 * (wider - bits))
            builder.circuit.name(result, f"sum_of_{bits}_bits")
        return result

    def _gate(self, builder: DatapathBuilder, operand: Word) -> Word:
        """``operand`` with every bit that the precision leaves out forced to zero."""
        if not self.gating:
            return operand
        keep = (self._reaches(builder, position) for position in range(self.widest))
        return tuple(builder.circuit.and_(bit, used) for bit, used in zip(operand, keep, strict=True))

    def _reaches(self, builder: DatapathBuilder, position: int) -> Bit:
        return self.control(
            builder, lambda precision: precision.weight_bits >= self.widest - position, f"uses_{position}"
        )
