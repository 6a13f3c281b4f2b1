"""Arrays of MAC elements with operand and result memories and a controller."""

from __future__ import annotations

from rtl.array.core import Architecture, CoreSpec
from rtl.array.rebuild import array_from_parameters, core_from_parameters
from rtl.array.run import Refusal, Run
from rtl.array.spec import ArraySpec

__all__ = ["Architecture", "ArraySpec", "CoreSpec", "Refusal", "Run", "array_from_parameters", "core_from_parameters"]
