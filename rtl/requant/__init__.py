"""Requantisation: from an accumulator to the integer code of the next layer."""

from __future__ import annotations

from .fit import find_thresholds
from .multiplier import MultiplierSpec
from .partialsum import PartialSumSpec
from .slopes import channels_of
from .spec import LoadableSpec, RequantSpec
from .thresholds import ThresholdSpec
from .unit import ParameterField
from .vectors import golden_vectors

__all__ = [
    "LoadableSpec",
    "MultiplierSpec",
    "ParameterField",
    "PartialSumSpec",
    "RequantSpec",
    "ThresholdSpec",
    "channels_of",
    "find_thresholds",
    "golden_vectors",
]
