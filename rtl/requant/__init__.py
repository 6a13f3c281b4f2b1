"""Requantisation: from an accumulator to the integer code of the next layer."""

from __future__ import annotations

from .multiplier import MultiplierSpec
from .partialsum import PartialSumSpec
from .spec import LoadableSpec, ParameterField, RequantSpec
from .thresholds import ThresholdSpec

__all__ = ["LoadableSpec", "MultiplierSpec", "ParameterField", "PartialSumSpec", "RequantSpec", "ThresholdSpec"]
