"""Kernels in C for quantisation on the CPU, compiled at first use: a faster way to what qat computes with torch."""

from __future__ import annotations

from . import kernels
from .build import status
from .memory import keep_freed_memory

__all__ = ["keep_freed_memory", "kernels", "status"]
