"""Requantisation by a fixed-point multiplier, an offset, a shift and saturation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from rtl.logic import ONE, ZERO, Bit, BitHeap, Circuit, Controls, Word
from rtl.spec import check_integer, parameter, signed_range, sum_width
from siliquant.inputs import InputError

from .spec import IntArray, RequantSpec
from .unit import ParameterField

__all__ = ["MAX_SUM_WIDTH", "MultiplierSpec"]

MAX_SUM_WIDTH = 62
"""Widest accumulator * multiplier + offset, so that the golden model's int64 holds it."""


@dataclass(frozen=True, kw_only=True)
class MultiplierSpec(RequantSpec):
    """code = lowest code + clamp((accumulator * m + b) >> s, 0, 2**bits - 1), the shift rounding down.

    With the lowest code inside b this is the usual clamp to the code range, and it serves one-bit codes, too. Half a
    step in b rounds to nearest; :func:`rtl.requant.fit.fit_multiplier` chooses m and b so that the thresholds come
    out. m is unsigned, b two's complement. The shift is ``shift`` plus, where ``shift_bits`` is not 0, a field of so
    many bits in each parameter set.

    Parameters
    ----------
    multiplier_width
        Bits of m, 1 to 32.
    offset_width
        Bits of b, 1 to 62.
    shift
        Least shift, 0 to 61.
    shift_bits
        Bits of the part of the shift that each group chooses, 0 to 5; 0: all groups shift by ``shift``.
    """

    design: ClassVar[str] = "multiplier"
    summary: ClassVar[str] = "fixed-point multiplier, offset, shift and saturation"

    rule: ClassVar[str] = (
        "code = lowest + step * min(max((accumulator * multiplier + offset) >> shift, 0), 2**code_bits - 1), >> rounds "
        "down; shift is the parameter of that name of the unit, where it is no field of the set"
    )

    multiplier_width: int = parameter(12, "m", "bits of the multiplier, 1 to 32")
    offset_width: int = parameter(24, "o", "bits of the offset, 1 to 62")
    shift: int = parameter(16, "h", "least shift, 0 to 61")
    shift_bits: int = parameter(0, "v", "bits of the shift that each group adds, 0 to 5")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("multiplier_width", self.multiplier_width, 1, 32)
        check_integer("offset_width", self.offset_width, 1, MAX_SUM_WIDTH)
        check_integer("shift", self.shift, 0, MAX_SUM_WIDTH - 1)
        check_integer("shift_bits", self.shift_bits, 0, 5)
        if self.sum_width > MAX_SUM_WIDTH:
            raise InputError(
                f"accumulator * multiplier + offset must be at most {MAX_SUM_WIDTH} bits wide, not {self.sum_width}"
            )

    @property
    def sum_width(self) -> int:
        """Bits of accumulator * m + b."""
        (low, high), most = self.accumulator_range, (1 << self.multiplier_width) - 1
        offset_low, offset_high = signed_range(self.offset_width, True)
        return sum_width(low * most + offset_low, high * most + offset_high)

    @cached_property
    def parameter_fields(self) -> tuple[ParameterField, ...]:
        most = self.shift + (1 << self.shift_bits) - 1
        shift = ParameterField("shift", self.shift_bits, self.shift, most, base=self.shift)
        return (
            ParameterField("multiplier", self.multiplier_width, *signed_range(self.multiplier_width, False)),
            ParameterField("offset", self.offset_width, *signed_range(self.offset_width, True)),
            *((shift,) if self.shift_bits else ()),
        )

    def steps(self, parameters: Sequence[int]) -> tuple[int, ...]:
        multiplier, offset, *own = parameters
        shift = own[0] if own else self.shift
        if not multiplier:
            return ()
        # accumulator * multiplier + offset >= rank << shift from the quotient, rounded up, on.
        first = {-((offset - (rank << shift)) // multiplier) for rank in range(1, 1 << self.bits)}
        low, high = self.accumulator_range
        return tuple(sorted(step for step in first if low < step <= high))

    def _ranks(self, accumulators: IntArray, parameters: IntArray) -> IntArray:
        shift = parameters[..., 2] if self.shift_bits else self.shift
        scaled = accumulators * parameters[..., 0] + parameters[..., 1]
        return np.asarray(np.clip(scaled >> shift, 0, (1 << self.bits) - 1), dtype=np.int64)

    def logic(self, circuit: Circuit, accumulator: Word, parameters: Sequence[Word]) -> Word:
        heap = BitHeap(circuit, Controls(circuit, (), [()]))
        heap.add_product(parameters[0], accumulator, weight_signed=ZERO, activation_signed=ONE)
        heap.add_word(parameters[1], signed=True)
        word = heap.total(self.sum_width)
        word = word[min(self.shift, len(word) - 1) :]
        for place, control in enumerate(parameters[2] if self.shift_bits else ()):
            word = circuit.shift_right(word, control, min(1 << place, len(word) - 1))
            circuit.name(word, f"shifted_{1 << place}")
        sign = word[-1]
        magnitude = word[:-1] + (ZERO,) * (self.bits - len(word) + 1)
        saturated = _any(circuit, magnitude[self.bits :])
        rank = tuple(circuit.and_(circuit.not_(sign), circuit.or_(bit, saturated)) for bit in magnitude[: self.bits])
        circuit.name((saturated,), "saturated")
        circuit.name(rank, "rank")
        return rank


def _any(circuit: Circuit, bits: Word) -> Bit:
    """The OR of all bits, as a balanced tree."""
    if len(bits) < 2:
        return bits[0] if bits else ZERO
    half = len(bits) // 2
    return circuit.or_(_any(circuit, bits[:half]), _any(circuit, bits[half:]))
