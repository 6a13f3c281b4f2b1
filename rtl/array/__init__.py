"""Arrays of MAC elements with operand and result memories and a controller."""

from __future__ import annotations

from .core import Architecture, CoreSpec
from .rebuild import array_from_parameters, core_from_parameters
from .run import Refusal, Run
from .spec import ArraySpec

__all__ = ["Architecture", "ArraySpec", "CoreSpec", "Refusal", "Run", "array_from_parameters", "core_from_parameters"]
