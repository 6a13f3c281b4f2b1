"""Arrays of MAC elements with operand and result memories and a controller."""

from __future__ import annotations

from .core import Architecture, CoreSpec
from .rebuild import array_from_parameters, core_from_parameters
from .spec import ArraySpec, Run

__all__ = ["Architecture", "ArraySpec", "CoreSpec", "Run", "array_from_parameters", "core_from_parameters"]
