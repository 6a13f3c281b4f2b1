"""Small requantisation units of every kind, on which gates and tests of hardware are tried as a matter of course."""

from __future__ import annotations

from .multiplier import MultiplierSpec
from .partialsum import PartialSumSpec
from .spec import LoadableSpec
from .thresholds import ThresholdSpec

__all__ = ["small_units"]


def small_units() -> tuple[LoadableSpec, ...]:
    """Two of each kind, with and without pipeline registers and with one and several parameter sets."""
    return (
        ThresholdSpec(accumulator_width=12, bits=2, groups=1),
        ThresholdSpec(accumulator_width=12, bits=3, groups=3, pipeline_stages=1),
        MultiplierSpec(accumulator_width=12, bits=4, multiplier_width=6, offset_width=14, shift=6),
        MultiplierSpec(accumulator_width=10, bits=3, groups=3, multiplier_width=5, offset_width=12, shift=4,
                       shift_bits=2, pipeline_stages=1),
        PartialSumSpec(accumulator_width=10, groups=2, multiplier_width=5),
        PartialSumSpec(accumulator_width=10, groups=3, multiplier_width=5, pipeline_stages=2),
    )  # fmt: skip
