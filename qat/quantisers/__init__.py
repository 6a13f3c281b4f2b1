"""Quantisers of 1 to 8 bits: floats to codes, with gradients for values and scales.

Read ``granularity`` (which elements share a scale), ``fakequant``, ``operators`` (for compilers and torch.func) and
``dispatch``, ``surrogate`` (another derivative of rounding), ``quantiser``, ``binary``, ``scalesearch``, ``bounds`` (of
what is read from a file);
``native`` holds the same in C.
"""

from __future__ import annotations

from .binary import ElasticBinarizer
from .bounds import check_bounds
from .dispatch import Seen, each_sample, seen_by
from .fakequant import RELATIVE_FLOOR, native
from .fakequant import codes as integers
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
    "Seen",
    "StatisticalQuantizer",
    "check_bounds",
    "each_sample",
    "integers",
    "native",
    "seen_by",
]
