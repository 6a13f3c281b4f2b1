"""Power-of-two MAC: weights 0, 1, 2, 4 and their negatives, as sign and exponent: a product is a shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from rtl.logic import DatapathBuilder, Port
from rtl.spec import CodeValues, MacSpec, Precision, check_integer, pack_fields, parameter

__all__ = ["PowersSpec"]

_WEIGHTS = CodeValues(3, (-4, -2, -1, 0, 1, 2, 4), (0b111, 0b110, 0b101, 0b000, 0b001, 0b010, 0b011))


@dataclass(frozen=True, kw_only=True)
class PowersSpec(MacSpec):
    """``lanes`` products a cycle of weights 0 or plus or minus 1, 2 or 4, and activations of ``activation_bits``."""

    design: ClassVar[str] = "powers"
    summary: ClassVar[str] = "weights 0, 1, 2 and 4 with a sign"
    size_parameter: ClassVar[str] = "lanes"
    mixes_precisions: ClassVar[bool] = False

    activation_bits: int = parameter(4, "a", "bits of an activation, 1 to 8")
    lanes: int = parameter(16, "l", "products a cycle")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("activation_bits", self.activation_bits, 1, 8)
        check_integer("lanes", self.lanes, 1, 1024)

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(Precision(3, self.activation_bits, signed) for signed in (True, False))

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", 3 * self.lanes, True, "sign above exponent: 0, 1, 2, 3 for 0, 1, 2, 4; lane 0 lowest"),
            Port("activations", self.activation_bits * self.lanes, True, "codes, lane 0 lowest"),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
        )

    def weight_values(self, precision: Precision) -> CodeValues:
        return _WEIGHTS

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.lanes

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        return [
            {
                "weights": pack_fields(weights, 3),
                "activations": pack_fields(activations, self.activation_bits),
                "activation_signed": int(precision.activation_signed),
            }
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        builder.set_controls(["activation_signed"], [[0], [1]])
        circuit, heap, signed = builder.circuit, builder.heap, builder.bit("activation_signed")
        for weight, activation in zip(
            builder.fields("weights", 3), builder.fields("activations", self.activation_bits), strict=True
        ):
            low, high, minus = weight
            chosen = (
                circuit.and_(low, circuit.not_(high)),
                circuit.and_(high, circuit.not_(low)),
                circuit.and_(low, high),
            )
            sign = circuit.and_(activation[-1], signed)
            extended = (*activation, sign, sign, sign)
            word = []
            for place in range(len(extended)):
                parts = [circuit.and_(extended[place - k], chosen[k]) for k in range(3) if place >= k]
                bit = parts[0]
                for part in parts[1:]:
                    bit = circuit.or_(bit, part)
                word.append(circuit.xor(bit, minus))
            heap.add_word(tuple(word), signed=True, negative=True)
            heap.add_bit(0, minus, negative=True)
