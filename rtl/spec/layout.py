"""Where the codes of a step lie in a port word, as runs of equal fields: short enough for a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .numbers import IntArray

__all__ = ["Field", "fields_of"]


@dataclass(frozen=True)
class Field:
    """``count`` fields of a port word.

    Number k of them lies at bit ``low`` + k * ``low_step`` and up, ``width`` bits wide, and holds the code of operand
    ``index`` + k * ``index_step``: its bits from ``code_low`` on, ``code_width`` of them, and above them copies of the
    last.
    """

    low: int
    width: int
    index: int
    code_low: int
    code_width: int
    count: int = 1
    low_step: int = 0
    index_step: int = 0


def fields_of(word: IntArray, bits: int) -> tuple[Field, ...]:
    """The fields of one port word of a full step [port width], codes ``bits`` wide; what is in none of them is 0.

    word: as ``rtl.array.step.StepLayout.weights`` has them.
    """
    assert not (word == 1).any(), "a full step has no constants but 0"
    return _fields(tuple(word.tolist()), bits)


@lru_cache(maxsize=256)
def _fields(source: tuple[int, ...], bits: int) -> tuple[Field, ...]:
    fields, place = [], 0
    while place < len(source):
        if not source[place]:
            place += 1
            continue
        low, first = place, source[place] - 2
        place += 1
        while place < len(source) and source[place] == source[place - 1] + 1 and (source[place] - 2) % bits:
            place += 1
        width = place - low
        while (source[place - 1] - 1) % bits == 0 and place < len(source) and source[place] == source[place - 1]:
            place += 1
        fields.append(Field(low, place - low, first // bits, first % bits, width))
    return tuple(_runs(fields))


def _runs(fields: Sequence[Field]) -> list[Field]:
    """Neighbours that differ by the same steps as one."""
    found: list[Field] = []
    start = 0
    while start < len(fields):
        first, end = fields[start], start + 1
        low_step = index_step = 0
        while end < len(fields):
            after = fields[end]
            if (after.width, after.code_low, after.code_width) != (first.width, first.code_low, first.code_width):
                break
            steps = after.low - fields[end - 1].low, after.index - fields[end - 1].index
            if end == start + 1:
                low_step, index_step = steps
            elif steps != (low_step, index_step):
                break
            end += 1
        found.append(replace(first, count=end - start, low_step=low_step, index_step=index_step))
        start = end
    return found
