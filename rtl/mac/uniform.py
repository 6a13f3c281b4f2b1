"""Uniform MAC: every product at one fixed bit-width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from rtl.logic import DatapathBuilder, Port
from rtl.spec import MAX_BITS, MultiplierMacSpec, Precision, check_integer, pack_fields, parameter

__all__ = ["UniformSpec"]


@dataclass(frozen=True, kw_only=True)
class UniformSpec(MultiplierMacSpec):
    """``lanes`` products of fixed ``weight_bits`` x ``activation_bits``, summed into one accumulator.

    The throughput is ``lanes`` products per clock cycle.

    >>> spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=2)
    >>> spec.name, spec.accumulator_width, spec.latency
    ('uniform_w4_a4_l2', 20, 2)
    >>> precision = Precision(4, 4, activation_signed=False)
    >>> spec.compute([3, -2, 7], [5, 15, 1], precision).item()
    -8
    >>> spec.pack([3, -2, 7], [5, 15, 1], precision)  # two lanes: two cycles
    {'weights': [227, 7], 'activations': [245, 1], 'activation_signed': [0, 0], 'clear': [1, 0]}
    """

    design: ClassVar[str] = "uniform"
    summary: ClassVar[str] = "lanes of fixed weight_bits x activation_bits products"

    size_parameter: ClassVar[str] = "lanes"
    mixes_precisions: ClassVar[bool] = False

    weight_bits: int = parameter(4, "w", "bits of a weight, 1 to 8")
    activation_bits: int = parameter(4, "a", "bits of an activation, 1 to 8")
    lanes: int = parameter(16, "l", "products a cycle")

    def __post_init__(self) -> None:
        check_integer("weight_bits", self.weight_bits, 1, MAX_BITS)
        check_integer("activation_bits", self.activation_bits, 1, MAX_BITS)
        check_integer("lanes", self.lanes, 1, 1024)
        super().__post_init__()

    @property
    def multiplier_bits(self) -> tuple[int, int]:
        return self.weight_bits, self.activation_bits

    @property
    def label(self) -> str:
        return f"{self.design} {self.weight_bits}x{self.activation_bits}"

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(Precision(self.weight_bits, self.activation_bits, signed) for signed in (True, False))

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", self.lanes * self.weight_bits, True, f"{self.lanes} two's complement codes, lane 0 lowest"),
            Port("activations", self.lanes * self.activation_bits, True, f"{self.lanes} codes, lane 0 lowest"),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
        )

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.lanes

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        return [
            {
                "weights": pack_fields(weights, self.weight_bits),
                "activations": pack_fields(activations, self.activation_bits),
                "activation_signed": int(precision.activation_signed),
            }
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        builder.set_controls(["activation_signed"], [[0], [1]])
        lanes = zip(
            builder.fields("weights", self.weight_bits),
            builder.fields("activations", self.activation_bits),
            strict=True,
        )
        for lane, (weight, activation) in enumerate(lanes):
            self.add_product(builder, weight, activation, f"lane{lane}")
