"""Requantisation: from an accumulator to the integer code of the next layer."""

from __future__ import annotations

from rtl.requant.multiplier import MultiplierSpec
from rtl.requant.partialsum import PartialSumSpec
from rtl.requant.spec import LoadableSpec, RequantSpec
from rtl.requant.thresholds import ThresholdSpec
from rtl.requant.unit import ParameterField

__all__ = ["LoadableSpec", "MultiplierSpec", "ParameterField", "PartialSumSpec", "RequantSpec", "ThresholdSpec"]
