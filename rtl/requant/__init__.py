"""Requantisation: from an accumulator to the integer code of the next layer.

In: the function of a layer, or its thresholds. Out: specs with golden models and parameters that are exact. Read
``spec``, ``thresholds``, ``multiplier``, ``partialsum``, then ``fit``, ``slopes`` and ``vectors``; ``standard`` has
small ones to try things on; ``datapath`` and ``component`` are the hardware.
"""

from __future__ import annotations

from .fit import find_thresholds
from .multiplier import MultiplierSpec
from .partialsum import PartialSumSpec
from .slopes import channels_of
from .spec import LoadableSpec, RequantSpec
from .standard import small_units
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
    "small_units",
]
