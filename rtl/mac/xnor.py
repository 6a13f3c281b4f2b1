"""Binary MAC: products of one-bit operands by population count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from rtl.logic import DatapathBuilder, Port
from rtl.spec import (
    BIPOLAR,
    CodeValues,
    MacSpec,
    Precision,
    UnusedProducts,
    all_codes,
    check_integer,
    pack_fields,
    parameter,
)

__all__ = ["XnorSpec"]


@dataclass(frozen=True, kw_only=True)
class XnorSpec(MacSpec):
    """``lanes`` products a cycle of weights {-1, +1} and activations {-1, +1} (signed) or {0, 1} (unsigned).

    Bit 1 stands for +1 and bit 0 for -1 (or 0 in an unsigned activation). A product of {-1, +1} is 2 * xnor - 1, one
    with {0, 1} is 2 * (w and a) - a; both are sums of bits of weight 2 and 1.

    >>> spec = XnorSpec(lanes=4)
    >>> spec.compute([1, -1, -1, 1], [1, 1, -1, -1], Precision(1, 1)).item()
    0
    >>> spec.compute([1, -1, -1, 1], [1, 1, 0, 0], Precision(1, 1, activation_signed=False)).item()
    0
    """

    design: ClassVar[str] = "xnor"
    summary: ClassVar[str] = "{-1,+1} x {-1,+1} and {-1,+1} x {0,1} by population count"

    size_parameter: ClassVar[str] = "lanes"
    mixes_precisions: ClassVar[bool] = False

    lanes: int = parameter(64, "l", "products a cycle")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("lanes", self.lanes, 1, 4096)

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return (Precision(1, 1, True), Precision(1, 1, False))

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (
            Port("weights", self.lanes, True, "1: +1, 0: -1; lane 0 lowest"),
            Port("activations", self.lanes, True, "1: +1, 0: -1 if signed, else 0; lane 0 lowest"),
            Port("activation_signed", 1, True, "1: activations are -1 or +1; 0: activations are 0 or 1"),
            Port("odd_padding", 1, True, "1: adds one, to balance an odd number of unused lanes (w=+1, a=-1)"),
        )

    def weight_values(self, precision: Precision) -> CodeValues:
        return BIPOLAR

    def activation_values(self, precision: Precision) -> CodeValues:
        return BIPOLAR if precision.activation_signed else all_codes(1, False)

    def unused_products(self, precision: Precision) -> UnusedProducts:
        if precision.activation_signed:  # no code is 0: as many products of +1 as of -1
            return UnusedProducts(1, (1, -1), "odd_padding")
        return UnusedProducts(1)

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.lanes

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        unused = self.lanes - len(weights)
        balance = [1] * (unused // 2 if precision.activation_signed else 0)  # +1 in half of them, -1 in the others
        return [
            {
                "weights": pack_fields([*weights, *[1] * unused], 1),
                "activations": pack_fields([*activations, *balance], 1),
                "activation_signed": int(precision.activation_signed),
                "odd_padding": int(precision.activation_signed and unused % 2),
            }
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        circuit, heap, signed = builder.circuit, builder.heap, builder.bit("activation_signed")
        for lane, (w, a) in enumerate(zip(builder.word("weights"), builder.word("activations"), strict=True)):
            # w = 1: a; w = 0: the complement, and 0 where unsigned
            positive = circuit.mux(w, a, circuit.and_(signed, circuit.not_(a)))
            one = circuit.or_(signed, a)
            circuit.name((positive,), f"lane{lane}_is_plus_one")
            circuit.name((one,), f"lane{lane}_is_not_zero")
            heap.add_bit(1, positive, negative=True)
            heap.add_bit(0, one)
        heap.add_bit(0, builder.bit("odd_padding"), negative=True)
