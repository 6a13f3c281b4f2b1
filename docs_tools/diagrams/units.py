"""Multiplier arrays and bricks: which part of a unit works on which product at each precision, as the design says."""

from __future__ import annotations

from collections.abc import Callable

from rtl.logic import DatapathBuilder
from rtl.mac import BitFusionSpec, Dc1dSpec, PaddedSpec, SubwordSpec
from rtl.spec import MAX_BITS, Precision

from .svg import ACCENT, OTHER, arrow, box, cell, document, label, note

__all__ = ["bitblade", "bitfusion", "dc1d", "padded", "subword"]

SIDE = 17  # of one partial product


def padded() -> str:
    """Which partial products are kept from switching at each width."""
    spec = PaddedSpec(units=1, gating=True)
    shapes = []
    for number, bits in enumerate(spec.widths):
        precision = Precision(bits, bits)
        words = spec.pack([-1], [-1], precision)  # all bits of both codes are 1
        used = [[(words[port][0] >> bit) & 1 for bit in range(MAX_BITS)] for port in ("weights", "activations")]
        left = 40 + number * 210
        shapes.append(label(left + 4 * SIDE, 18, f"{bits} x {bits} bits", bold=True))

        def colour(i: int, j: int, used: list[list[int]] = used) -> str | None:
            return ACCENT if used[0][i] and used[1][j] else None

        shapes += _square(left, 36, colour)
        shapes.append(note(left + 4 * SIDE, 36 + 8 * SIDE + 16, "1 product"))
    return document(640, 206, "Partial products of a gated 8 x 8-bit multiplier that switch at 8, 4 and 2 bits", shapes)


def subword() -> str:
    """Which blocks of the array meet at each width."""
    spec = SubwordSpec(units=1)
    builder = DatapathBuilder(spec)
    spec.declare_modes(builder)
    size, shapes = spec.narrowest, []
    for number, bits in enumerate(spec.widths):
        state = spec.precisions.index(Precision(bits, bits))

        def colour(i: int, j: int, state: int = state, bits: int = bits) -> str | None:
            meets = builder.controls.truth(spec._meet(builder, i // size, j // size))[state]
            return (ACCENT, OTHER)[i // bits % 2] if meets else None

        left = 40 + number * 210
        shapes.append(label(left + 4 * SIDE, 18, f"{bits} x {bits} bits", bold=True))
        shapes += _square(left, 36, colour)
        products = spec.products_per_step(Precision(bits, bits))
        shapes.append(note(left + 4 * SIDE, 36 + 8 * SIDE + 16, f"{products} product{'s' if products > 1 else ''}"))
    return document(
        640, 206, "Products on the antidiagonal of a subword-parallel 8 x 8-bit multiplier at 8, 4 and 2 bits", shapes
    )


def _square(left: float, top: float, colour: Callable[[int, int], str | None]) -> list[str]:
    """8 x 8 partial products, the bit of the weight downwards, that of the activation to the left, the lowest first."""
    return [
        cell(left + (MAX_BITS - 1 - j) * SIDE, top + i * SIDE, SIDE, colour(i, j))
        for i in range(MAX_BITS)
        for j in range(MAX_BITS)
    ]


def dc1d() -> str:
    """Slices at one place of all units, each times its activation, are added, and shifted where a weight spans them."""
    spec, units, shapes = Dc1dSpec(units=3), 3, []
    size, n = spec.narrowest, spec.blocks
    for unit in range(units):
        left = 30 + unit * 150
        shapes.append(label(left + 60, 18, f"unit {unit}", bold=True))
        for block in range(n):
            x = left + (n - 1 - block) * 30
            shapes.append(cell(x, 32, 30, ACCENT if block == 1 else None))
            shapes.append(note(x + 15, 76, f"a{block}"))
        x = left + (n - 2) * 30 + 15
        shapes.append(arrow((x, 84), (x, 128), (250, 128), (250, 144)))
    shapes += [
        note(490, 47, f"slices of {size} bits of a weight,|each times an activation", anchor="start"),
        box(180, 144, 140, 30, "add over the units"),
        arrow((320, 159), (380, 159)),
        box(380, 144, 190, 30, f"shift by {size} if a weight spans both"),
        arrow((570, 159), (600, 159)),
        label(606, 159, "add", anchor="start"),
    ]
    return document(
        700, 194, "1-D divide and conquer: equal slices of the weights of all units are added before they are shifted",
        shapes,
    )  # fmt: skip


def bitfusion() -> str:
    """Bricks of a unit that make one product, at four precisions, and the shift-adds of a unit."""
    spec = BitFusionSpec(units=1)
    side, shapes = 30, []
    for number, precision in enumerate((Precision(8, 8), Precision(4, 4), Precision(8, 2), Precision(2, 2))):
        rows, columns = precision.weight_bits // spec.narrowest, precision.activation_bits // spec.narrowest
        left = 30 + number * 160
        shapes.append(
            label(left + 2 * side, 18, f"{precision.weight_bits} x {precision.activation_bits} bits", bold=True)
        )
        for i in range(spec.blocks):
            for j in range(spec.blocks):
                colour = (ACCENT, OTHER)[(i // rows + j // columns) % 2]
                shapes.append(cell(left + (spec.blocks - 1 - j) * side, 36 + i * side, side, colour))
        products = spec.products_per_step(precision)
        shapes.append(note(left + 2 * side, 36 + 4 * side + 16, f"{products} product{'s' if products > 1 else ''}"))
    top = 214
    bits = spec.narrowest
    shapes.append(
        label(
            30,
            top - 12,
            "a square of four bricks; four such squares, shifted by twice as much, are a unit",
            anchor="start",
            bold=True,
        )
    )
    for row, shift in enumerate(
        ("", f"by {bits} if the activation spans both", f"by {bits} if the weight spans both", "by both")
    ):
        y = top + 4 + row * 34
        shapes += [box(40, y, 90, 26, f"brick {row // 2}, {row % 2}")]
        if shift:
            shapes += [arrow((130, y + 13), (170, y + 13)), box(170, y, 270, 26, f"shift {shift}")]
        shapes.append(arrow((440 if shift else 130, y + 13), (490, y + 13)))
    shapes += [
        box(490, top + 4, 60, 128, "add"),
        arrow((550, top + 68), (590, top + 68)),
        label(596, top + 68, "next square", anchor="start"),
    ]
    return document(
        690,
        top + 146,
        "Bricks of a Bit Fusion unit that work on one product, by precision, and the shift-adds in each unit",
        shapes,
    )


def bitblade() -> str:
    """Bricks at one place of all units are added first, and shifted once."""
    units, shapes = 3, []
    for number in range(units):
        left = 30 + number * 110
        shapes.append(label(left + 40, 18, f"unit {number}", bold=True))
        for i in range(4):
            for j in range(4):
                same = (i, j) == (1, 2)
                shapes.append(cell(left + (3 - j) * 20, 32 + i * 20, 20, ACCENT if same else None))
        x = left + 30
        shapes.append(arrow((x, 62), (x, 134), (170, 134), (170, 150)) if x != 170 else arrow((x, 62), (x, 150)))
    shapes += [
        box(100, 150, 140, 30, "add over the units"),
        arrow((240, 165), (300, 165)),
        box(300, 150, 150, 30, "shift, once a place"),
        arrow((450, 165), (490, 165)),
        box(490, 150, 130, 30, "add all 16 places"),
        note(400, 75, "bricks at the same place have|the same shift in every unit", anchor="start"),
    ]
    return document(
        650, 200, "BitBlade: bricks at the same place of all units are added before they are shifted", shapes
    )
