"""Kernels in Triton for learned quantisers on CUDA: one pass forward, one backward. Triton is loaded where they run.

``device`` says which tensors they take, ``kernels`` are they.
"""

from __future__ import annotations

from .device import available, loaded, serves, try_out

__all__ = ["available", "loaded", "serves", "try_out"]
