"""Bit heaps as dot diagrams: the bits that a design really adds, column by column."""

from __future__ import annotations

from hwmodel.model import full_adders_by_column
from rtl.logic import DatapathBuilder
from rtl.mac import UniformSpec

from .svg import ACCENT, OTHER, box, document, dot, label, line, note

__all__ = ["bit_heap"]


def bit_heap() -> str:
    """The heap of a uniform design of few lanes: its dots, its constant and the full adders of each column."""
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=2, reduction_length=16)
    builder = DatapathBuilder(spec)
    spec.datapath(builder)
    heap, width = builder.heap, spec.accumulator_width
    plain = {column: len(bits) for column, bits in heap._columns.items()}
    chosen: dict[int, int] = {}
    for terms in heap._groups.values():
        for column, _, _ in terms:
            chosen[column] = chosen.get(column, 0) + 1
    adders = full_adders_by_column(spec.build())
    step, left, top = 34, 190, 46
    highest = max(plain.get(c, 0) + chosen.get(c, 0) for c in range(width)) + 1  # and the accumulator
    floor = top + highest * 18
    shapes = [
        label(
            left + width * step / 2,
            18,
            f"{spec.lanes} products of 4 x 4 bits and an accumulator of {width} bits",
            bold=True,
        )
    ]
    for column in range(width):
        x = left + (width - 1 - column) * step + step / 2
        y = floor
        for count, colour in ((plain.get(column, 0), ACCENT), (chosen.get(column, 0), OTHER)):
            for _ in range(count):
                shapes.append(dot(x, y, 5.5, colour))
                y -= 18
        shapes += [dot(x, y, 5.5, None), note(x, floor + 22, f"2^{column}")]
        shapes.append(label(x, floor + 48, str(adders[column] if column < len(adders) else 0)))
        for row in (0, 1):
            shapes.append(dot(x, floor + 78 + 16 * row, 4, "currentColor"))
    ends = left - 8, left + width * step
    shapes += [
        line((ends[0], floor + 34), (ends[1], floor + 34)),
        line((ends[0], floor + 62), (ends[1], floor + 62)),
        label(left - 16, floor - 60, "bits to add", anchor="end"),
        label(left - 16, floor + 48, "full adders", anchor="end"),
        label(left - 16, floor + 86, "at most two rows are left", anchor="end"),
        box(left, floor + 112, width * step, 28, "carry-propagate adder"),
    ]
    y = floor + 166
    key: tuple[tuple[int, str | None, str], ...] = (
        (20, ACCENT, "partial product"),
        (150, OTHER, "partial product whose sign is chosen each cycle"),
        (490, None, "accumulator"),
    )
    for x, ring, text in key:
        shapes += [dot(x, y, 5.5, ring), label(x + 12, y, text, anchor="start")]
    return document(
        ends[1] + 20,
        floor + 186,
        "Dot diagram of a bit heap: bits by column, full adders of each column, and the two rows that are left",
        shapes,
    )
