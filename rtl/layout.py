"""How a design lays the codes of a step out on its ports, found from the design itself.

Every bit of its port words is a copy of one bit of one code, or a constant (:func:`step_layout`); as runs of equal
fields (:func:`fields_of`) that is short enough for a manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .array.element import control_word
from .spec import IntArray, MacSpec, Precision

__all__ = ["Field", "StepLayout", "fields_of", "step_layout"]


@dataclass(frozen=True, eq=False)
class StepLayout:
    """Port words of one step.

    weights, activations: int64 [planes, port width]: which bit of the step's codes each port bit is. Bit b of the code
    of lane l is 2 + l * bits + b; 0 and 1 are constants.
    control: the control word of every cycle; cycle c takes weight word c // planes of the activations and activation
    word c % planes of the activations.
    """

    weights: IntArray
    activations: IntArray
    control: tuple[int, ...]


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


@lru_cache(maxsize=256)
def step_layout(mac: MacSpec, precision: Precision, used: int) -> StepLayout:
    """The layout of a step with ``used`` products (fewer than a full step: the rest is padded with zero)."""
    ranges = (mac.weight_range(precision), mac.activation_range(precision))
    widths = (precision.weight_bits, precision.activation_bits)
    # Each code bit has a number; probe t sets the bits whose number has bit t, so that the words of a port bit over all
    # probes spell the number of the code bit that it copies. All-zero and all-one words are constants.
    numbers = [np.arange(1, used * bits + 1).reshape(used, bits) for bits in widths]
    probes = max(number.size + 1 for number in numbers).bit_length()
    spelled: dict[str, list[list[int]]] = {}
    for t in range(probes):
        codes = [
            _from_bits((number >> t) & 1, *limits).tolist() for number, limits in zip(numbers, ranges, strict=True)
        ]
        packed = mac._pack_step(codes[0], codes[1], precision)
        for name in ("weights", "activations"):
            spelled.setdefault(name, []).append([word[name] for word in packed])
    control = tuple(control_word(mac, word) for word in packed)
    found = {}
    for port in mac.operand_ports:
        if port.name not in spelled:
            continue
        source = np.zeros((len(control), port.width), np.int64)
        for t, words in enumerate(spelled[port.name]):
            source += _bits(words, port.width).astype(np.int64) << t
        constant = source == (1 << probes) - 1
        found[port.name] = np.where(constant, 1, np.where(source == 0, 0, source + 1)).astype(np.int64)
    weights, activations = found["weights"], found["activations"]
    cycles = len(control)
    planes = next(
        p
        for p in range(1, cycles + 1)
        if cycles % p == 0
        and (activations == np.tile(activations[:p], (cycles // p, 1))).all()
        and (weights == np.repeat(weights[::p], p, axis=0)).all()
    )
    return StepLayout(weights[::planes], activations[:planes], control)


def fields_of(word: IntArray, bits: int) -> tuple[Field, ...]:
    """The fields of one port word of a full step [port width], codes ``bits`` wide; what is in none of them is 0."""
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


def _bits(words: Sequence[int], width: int) -> npt.NDArray[np.uint8]:
    """The bits [words, width], the lowest first."""
    size = -(-width // 8)
    data = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8).reshape(len(words), size)
    return np.unpackbits(data, axis=1, bitorder="little")[:, :width]


def _from_bits(bits: IntArray, low: int, high: int) -> IntArray:
    """Codes [...] of bits [..., width], the lowest first."""
    width = bits.shape[-1]
    codes = (bits << np.arange(width)).sum(-1)
    if (low, high) == (-1, 1) and width == 1:  # binary codes: bit 1 is +1
        return np.asarray(2 * codes - 1)
    return np.where((codes >> (width - 1)) & (low < 0), codes - (1 << width), codes)
