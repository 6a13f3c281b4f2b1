"""Units made of small multipliers ("bricks") that fuse in two dimensions: what Bit Fusion and BitBlade share.

Brick (i, j) of a unit multiplies block i of a weight by block j of an activation. At full width all bricks make one
product; where operands are narrower, the bricks of one product form a rectangle and their sums are not shifted
against those of other rectangles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import product
from typing import ClassVar

from rtl.logic import Bit, BitHeap, DatapathBuilder, Port, Word
from rtl.spec import Precision, pack_fields

from .scalable import ScalableSpec, split

__all__ = ["BrickSpec"]

Leaf = Callable[[BitHeap, int, int], None]


@cache  # a code has at most 8 bits
def _spread(code: int, size: int, blocks: int, stride: int) -> int:
    """Block k of a code in field k * stride, fields of ``size`` bits."""
    return sum(block << k * stride * size for k, block in enumerate(split(code, size, blocks)))


@dataclass(frozen=True, kw_only=True)
class BrickSpec(ScalableSpec):
    """Products a unit and cycle: (widest / weight_bits) * (widest / activation_bits), for every pair of widths.

    A unit registers one weight block and one activation block a brick, enough for the narrowest precision; wider
    operands occupy fewer fields, no operand enters twice, and multiplexers behind the registers spread them.
    """

    mode_names: ClassVar[tuple[str, ...]] = ("weight_mode", "activation_mode")

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(Precision(w, a, signed) for w, a, signed in product(self.widths, self.widths, (True, False)))

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        width = self.units * self.blocks**2 * self.narrowest
        n, size = self.blocks, self.narrowest
        return (
            Port("weights", width, True, f"per unit {n}x{n} blocks of {size} bits: block k of the weight of product "
                 f"(I, J) at {n}*(I*gw + k) + J*ga; gw, ga: blocks of a weight, an activation"),
            Port("activations", width, True, f"per unit {n}x{n} blocks of {size} bits: block k of the activation of "
                 f"product (I, J) at {n}*(J*ga + k) + I*gw"),
            *self.mode_ports,
        )  # fmt: skip

    def products_per_step(self, precision: Precision) -> int:
        self.check_precision(precision)
        return self.units * (self.widest // precision.weight_bits) * (self.widest // precision.activation_bits)

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        n, size = self.blocks, self.narrowest
        weight_blocks, activation_blocks = precision.weight_bits // size, precision.activation_bits // size
        rows, columns = n // weight_blocks, n // activation_blocks
        words = {"weights": [0] * self.units, "activations": [0] * self.units}
        for number, (weight, activation) in enumerate(zip(weights, activations, strict=True)):
            unit, place = divmod(number, rows * columns)
            row, column = (place // columns) * weight_blocks, (place % columns) * activation_blocks
            words["weights"][unit] |= _spread(weight, size, weight_blocks, n) << (n * row + column) * size
            words["activations"][unit] |= _spread(activation, size, activation_blocks, n) << (n * column + row) * size
        width = n * n * size
        return [{name: pack_fields(values, width) for name, values in words.items()} | self.mode_words(precision)]

    def add_brick(self, builder: DatapathBuilder, unit: int, heap: BitHeap, i: int, j: int) -> None:
        """Adds the product of brick (i, j) of one unit, negated, at column 0."""
        weight_top, activation_top = self.weight_top(builder, i), self.activation_top(builder, j)
        heap.add_product(
            self._operand(builder, "weights", unit, i, j),
            self._operand(builder, "activations", unit, j, i),
            weight_signed=weight_top,
            activation_signed=activation_top,
            negative=True,
            name=f"unit{unit}_brick{i}{j}",
        )

    def fuse(
        self,
        builder: DatapathBuilder,
        heap: BitHeap,
        leaf: Leaf,
        i: int = 0,
        j: int = 0,
        size: int = 0,
        *,
        name: str = "bricks",
    ) -> None:
        """Adds the bricks of the square of ``size`` at (i, j) to ``heap``: four quarters, three of them shifted.

        ``leaf(heap, i, j)`` adds what belongs to one brick position. A quarter is shifted against the first where
        one operand spans both. name: what the quarters are called by, with their size in bricks and their place.
        """
        size = size or self.blocks
        if size == 1:
            leaf(heap, i, j)
            return
        half = size // 2
        bits = half * self.narrowest
        weight_spans = self.control(builder, lambda p: p.weight_bits > bits, f"weight_over_{bits}")
        activation_spans = self.control(builder, lambda p: p.activation_bits > bits, f"activation_over_{bits}")
        self.fuse(builder, heap, leaf, i, j, half, name=name)
        for down, right in ((1, 0), (0, 1), (1, 1)):
            at = i + down * half, j + right * half
            place = f"{name}_{half}x{half}_at{at[0]}{at[1]}"
            quarter = builder.sub_heap(place)
            self.fuse(builder, quarter, leaf, *at, half, name=name)
            shifts = ((weight_spans, bits),) * down + ((activation_spans, bits),) * right
            heap.add_row(quarter.row(), shifts=shifts, name=place)

    def _operand(self, builder: DatapathBuilder, port: str, unit: int, along: int, across: int) -> Word:
        """The block that brick (along, across) sees: ``along`` of the operand whose product spans ``across``."""
        n = self.blocks
        base = (unit * n + along) * n
        fields = builder.fields(port, self.narrowest)[base : base + n]
        other_at_most = self._activations_at_most if port == "weights" else self.at_most
        place = f"{along}{across}" if port == "weights" else f"{across}{along}"
        name = f"unit{unit}_{port[:-1]}{place}"
        return self.spread(builder, fields, across, partial(other_at_most, builder), name)

    def _activations_at_most(self, builder: DatapathBuilder, bits: int) -> Bit:
        return self.control(builder, lambda precision: precision.activation_bits <= bits, f"activation_at_most_{bits}")
