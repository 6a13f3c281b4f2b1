"""Where the codes of a step lie in the words of an array's memories, for programs that read a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..spec import IntArray, MacSpec, Precision
from .images import step_layout

__all__ = ["step_manifest"]

_Field = tuple[int, int, int, int]  # port bit, width, operand, lowest bit of its code


def step_manifest(mac: MacSpec, precision: Precision) -> dict[str, Any]:
    """The words of a step at ``precision``, as JSON types; ``array_manifest`` says what the names mean."""
    lanes = mac.products_per_step(precision)
    layout = step_layout(mac, precision, lanes)
    return {
        "weight_words": [_word(plane, precision.weight_bits) for plane in layout.weights],
        "activation_words": [_word(plane, precision.activation_bits) for plane in layout.activations],
        "control_words": list(layout.control),
        "short_steps": [_short(mac, precision, used) for used in _unlike(mac, precision, lanes)],
    }


def _word(sources: IntArray, bits: int) -> dict[str, Any]:
    """What each bit of a port word is: of fields, and bits that are 1; all others are 0."""
    return {
        "fields": [
            {
                "bit": bit, "width": width, "operand": operand, "code_bit": code_bit,
                "count": count, "bit_stride": stride, "operand_stride": step,
            }
            for (bit, width, operand, code_bit), count, stride, step in _progressions(list(_fields(sources, bits)))
        ],
        "ones": np.flatnonzero(sources == 1).tolist(),
    }  # fmt: skip


def _fields(sources: IntArray, bits: int) -> Iterator[_Field]:
    """Neighbouring bits of one code that are neighbours on the port, too."""
    bit = 0
    while bit < len(sources):
        if sources[bit] < 2:
            bit += 1
            continue
        operand, code_bit = divmod(int(sources[bit]) - 2, bits)
        width = 1
        while (
            bit + width < len(sources) and code_bit + width < bits and sources[bit + width] == sources[bit] + width
        ):  # fmt: skip
            width += 1
        yield bit, width, operand, code_bit
        bit += width


def _progressions(found: Sequence[_Field]) -> Iterator[tuple[_Field, int, int, int]]:
    """Fields of equal width and code bit whose places and operands are equally far apart, as one: the first, how many
    there are, and how far apart they are.
    """
    alike: dict[tuple[int, int], list[_Field]] = {}
    for field in found:
        alike.setdefault((field[1], field[3]), []).append(field)
    for fields in alike.values():
        first = 0
        while first < len(fields):
            bit, _, operand, _ = fields[first]
            count, stride, step = 1, 0, 0
            if first + 1 < len(fields):
                stride, step = fields[first + 1][0] - bit, fields[first + 1][2] - operand
                while first + count < len(fields) and fields[first + count][::2] == (
                    bit + count * stride, operand + count * step
                ):  # fmt: skip
                    count += 1
            yield fields[first], count, stride if count > 1 else 0, step if count > 1 else 0
            first += count


def _unlike(mac: MacSpec, precision: Precision, lanes: int) -> list[int]:
    """The numbers of products of short steps that are more than a step whose other codes are 0."""
    some = sorted({1, 2, lanes // 2, lanes - 1} & set(range(1, lanes)))
    if not any(_differs(mac, precision, used) for used in some):
        return []
    return [used for used in range(1, lanes) if _differs(mac, precision, used)]


def _differs(mac: MacSpec, precision: Precision, used: int) -> bool:
    found = _short(mac, precision, used)
    full = step_layout(mac, precision, mac.products_per_step(precision))
    return any((*found["weight_ones"], *found["activation_ones"])) or found["control_words"] != list(full.control)


def _short(mac: MacSpec, precision: Precision, used: int) -> dict[str, Any]:
    """A step of ``used`` products, the bits of unused operands that are 1 by plane, and its control words."""
    full, short = (step_layout(mac, precision, count) for count in (mac.products_per_step(precision), used))
    ones = {
        name: [np.flatnonzero((some == 1) & (all_ != 1)).tolist() for some, all_ in zip(shorts, fulls, strict=True)]
        for name, shorts, fulls in (
            ("weight_ones", short.weights, full.weights), ("activation_ones", short.activations, full.activations)
        )
    }  # fmt: skip
    return {"products": used, **ones, "control_words": list(short.control)}
