"""One-dimensional divide and conquer: weights in slices, activations whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any, ClassVar

from rtl.logic import BitHeap, DatapathBuilder, Port
from rtl.spec import MAX_BITS, Precision, check_integer, integers_of, pack_fields, parameter

from .scalable import ScalableSpec

__all__ = ["Dc1dSpec"]


@dataclass(frozen=True, kw_only=True)
class Dc1dSpec(ScalableSpec):
    """widest / weight_bits products a unit and cycle: only weights divide ("1-D divide and conquer, sum together" of
    Camus et al., "Review and benchmarking of precision-scalable multiply-accumulate unit architectures for embedded
    neural-network processing", JETCAS 2019; Shin et al., "DNPU", ISSCC 2017).

    A unit multiplies slices of one weight register, as wide as the narrowest weight, by whole activations, which enter
    extended to ``activation_bits``. Slices of one product are shifted against each other and share its activation;
    equal slices of all units have the same shift and share the shifter.

    >>> spec = Dc1dSpec(units=1)
    >>> [spec.products_per_step(Precision(w, a)) for w, a in ((8, 8), (4, 8), (2, 3))]
    [1, 2, 4]
    """

    design: ClassVar[str] = "dc1d"
    summary: ClassVar[str] = "1-D divide-and-conquer: weights in slices, each times a whole activation, shift-adds"
    mode_names: ClassVar[tuple[str, ...]] = ("weight_mode",)

    activation_bits: int = parameter(MAX_BITS, "a", "widest activations, 1 to 8")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("activation_bits", self.activation_bits, 1, MAX_BITS)

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return tuple(
            {"widths": widths, "activation_bits": bits} for widths, bits in (((8, 4, 2), 8), ((8, 4), 8), ((4, 2), 4))
        )

    @classmethod
    def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
        return tuple({"widths": each, "activation_bits": each[0]} for each in cls.width_sets(widths))

    @classmethod
    def kinds_for_pairs(cls, pairs: Sequence[tuple[int, int]]) -> tuple[dict[str, Any], ...]:
        widest = max(bits for _, bits in pairs)  # of activations, which do not divide
        weights = sorted({bits for bits, _ in pairs})
        return tuple({"widths": each, "activation_bits": widest} for each in cls.width_sets(weights))

    @property
    def label(self) -> str:
        return f"{super().label} x {self.activation_bits}"

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        widths = range(self.activation_bits, 0, -1)
        return tuple(Precision(w, a, signed) for w, a, signed in product(self.widths, widths, (True, False)))

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        n, bits = self.blocks, self.activation_bits
        return (
            Port("weights", self.units * self.widest, True, f"{self.widest} bits a unit, its first code lowest"),
            Port("activations", self.units * n * bits, True, f"per unit {n} fields of {bits} bits: that of product k, "
                 f"extended, in field k*g; g: blocks of {self.narrowest} bits of a weight"),
            *self.mode_ports,
        )  # fmt: skip

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units * (self.widest // precision.weight_bits)

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        blocks = precision.weight_bits // self.narrowest
        fields = [0] * (self.units * self.blocks)
        extended = integers_of(activations, precision.activation_bits, precision.activation_signed)
        for number, activation in enumerate(extended):
            fields[number * blocks] = activation
        return [
            {
                "weights": pack_fields(weights, precision.weight_bits),
                "activations": pack_fields(fields, self.activation_bits),
                **self.mode_words(precision),
            }
        ]

    def datapath(self, builder: DatapathBuilder) -> None:
        self.declare_modes(builder)
        self._fuse(builder, builder.heap, 0, self.blocks)

    def _fuse(self, builder: DatapathBuilder, heap: BitHeap, first: int, count: int) -> None:
        """Adds ``count`` slices from ``first`` on, of all units: the upper half shifted where a weight spans both."""
        if count == 1:
            self._add_slice(builder, heap, first)
            return
        half = count // 2
        bits = half * self.narrowest
        self._fuse(builder, heap, first, half)
        name = f"slices_{first + half}_to_{first + count - 1}"
        upper = builder.sub_heap(name)
        self._fuse(builder, upper, first + half, half)
        spans = self.control(builder, lambda p: p.weight_bits > bits, f"weight_over_{bits}")
        heap.add_row(upper.row(), shifts=((spans, bits),), name=name)

    def _add_slice(self, builder: DatapathBuilder, heap: BitHeap, block: int) -> None:
        """Adds the products of one slice of every unit, negated, at column 0."""
        n = self.blocks
        weights, activations = (
            builder.fields("weights", self.narrowest),
            builder.fields("activations", self.activation_bits),
        )
        for unit in range(self.units):
            fields = activations[unit * n : (unit + 1) * n]
            heap.add_product(
                weights[unit * n + block],
                self.spread(builder, fields, block, partial(self.at_most, builder), f"unit{unit}_activation{block}"),
                weight_signed=self.weight_top(builder, block),
                activation_signed=builder.bit("activation_signed"),
                negative=True,
                name=f"unit{unit}_slice{block}",
            )
