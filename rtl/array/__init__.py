"""Arrays of MAC elements with operand and result memories and a controller."""

from __future__ import annotations

from .rebuild import array_from_parameters
from .spec import Architecture, ArraySpec, Run

__all__ = ["Architecture", "ArraySpec", "Run", "array_from_parameters"]
