"""Requantisation by comparison: exact for every monotone function of the accumulator, ties included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rtl.logic import Bit, Circuit, Word
from siliquant.inputs import InputError

from .spec import IntArray, RequantSpec
from .unit import ParameterField

__all__ = ["ThresholdSpec"]


@dataclass(frozen=True, kw_only=True)
class ThresholdSpec(RequantSpec):
    """``2**bits - 1`` thresholds in ascending order: code = lowest code + how many of them are <= the accumulator.

    A threshold lies from the smallest accumulator ("always") to one above the largest ("never"), so it has one bit
    more than the accumulator. Each has a comparator of its own; a binary search with ``bits`` comparators would need
    as many multiplexers to pick their thresholds as it saves comparators.

    The comparators' bits are a thermometer code. It is encoded by halving, one AND and one OR a bit and level,
    2**bits - 1 - bits of them: as many as full adders would be needed to count the bits, each much smaller than one,
    and in bits - 1 levels.

    >>> ThresholdSpec(accumulator_width=8, bits=2).compute([-100, -10, 9, 10], [-50, 0, 10]).tolist()
    [-2, -1, 0, 1]
    """

    design: ClassVar[str] = "thresholds"
    summary: ClassVar[str] = "comparators against 2**bits - 1 thresholds a group"

    rule: ClassVar[str] = (
        "code = lowest + step * (number of thresholds <= accumulator); thresholds of a set must ascend, equal ones may "
        "repeat; one that no accumulator reaches: the largest of its range"
    )

    @property
    def threshold_width(self) -> int:
        """Bits of a threshold."""
        return self.accumulator_width + 1

    @cached_property
    def parameter_fields(self) -> tuple[ParameterField, ...]:
        low, high = self.accumulator_range
        return tuple(
            ParameterField(f"threshold{index}", self.threshold_width, low, high + 1)
            for index in range((1 << self.bits) - 1)
        )

    def check_parameters(self, parameters: npt.ArrayLike) -> IntArray:
        """Returns thresholds as int64 [..., 2**bits - 1]. ValueError, too, where they do not ascend."""
        thresholds = super().check_parameters(parameters)
        if (np.diff(thresholds, axis=-1) < 0).any():
            raise InputError(f"thresholds of {self.name} must be in ascending order")
        return thresholds

    def steps(self, parameters: Sequence[int]) -> tuple[int, ...]:
        low, high = self.accumulator_range
        return tuple(sorted({threshold for threshold in parameters if low < threshold <= high}))

    def _ranks(self, accumulators: IntArray, parameters: IntArray) -> IntArray:
        return np.asarray((parameters <= accumulators[..., None]).sum(axis=-1), dtype=np.int64)

    def logic(self, circuit: Circuit, accumulator: Word, parameters: Sequence[Word]) -> Word:
        # T <= a where T + (-a - 1) is negative, and -a - 1 is a inverted: no carry in. No sum exceeds the width of T.
        inverted = tuple(circuit.not_(bit) for bit in (*accumulator, accumulator[-1]))
        reached = []
        for index, threshold in enumerate(parameters):
            comparison = circuit.add(inverted, threshold)
            circuit.name(comparison, f"comparison{index}")
            reached.append(comparison[-1])
        return _encode(circuit, reached)


def _encode(circuit: Circuit, reached: Sequence[Bit]) -> Word:
    """How many of 2**n - 1 bits are 1, those that are 1 coming first: the bit in the middle, then half of them."""
    middle = reached[len(reached) // 2]
    if len(reached) == 1:
        return (middle,)
    below, above = reached[: len(reached) // 2], reached[len(reached) // 2 + 1 :]
    # "if middle then above else below": above implies middle, and middle implies below.
    rest = [circuit.and_(low, circuit.or_(high, circuit.not_(middle))) for low, high in zip(below, above, strict=True)]
    circuit.name(rest, f"thermometer{len(rest)}")
    return (*_encode(circuit, rest), middle)
