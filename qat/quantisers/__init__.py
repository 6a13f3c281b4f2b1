"""Quantisers of 1 to 8 bits: floats to codes, with gradients for values and scales.

Read ``granularity`` (which elements share a scale), ``fakequant``, ``surrogate`` (another derivative of rounding),
``quantiser``, ``binary``, ``scalesearch``, ``bounds`` (of what is read from a file);
``native`` holds the same in C.
"""

from __future__ import annotations

from .binary import ElasticBinarizer
from .bounds import check_bounds
from .fakequant import RELATIVE_FLOOR, native
from .granularity import Granularity, Layout, PerChannel, PerHead, PerTensor
from .quantiser import Quantizer, StatisticalQuantizer
from .surrogate import FourierSurrogate

__all__ = [
    "RELATIVE_FLOOR",
    "ElasticBinarizer",
    "FourierSurrogate",
    "Granularity",
    "Layout",
    "PerChannel",
    "PerHead",
    "PerTensor",
    "Quantizer",
    "StatisticalQuantizer",
    "check_bounds",
    "native",
]
