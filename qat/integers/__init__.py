"""A quantised network as integers: codes, scales and thresholds in one documented file, and proof that it is equal.

In: a trained run, or a quantised network. Out: an :class:`IntegerModel`, which sim puts on simulated hardware. Read
``integer``, ``packing`` and ``stored`` (the file), ``requantise``, ``agreement``, ``subject``.
"""

from __future__ import annotations

from .agreement import Agreement, compare_paths
from .integer import IntegerModel, Operand
from .requantise import Requantisation, requantisations
from .subject import Subject, open_subject, random_inputs, random_network, random_subject

__all__ = [
    "Agreement",
    "IntegerModel",
    "Operand",
    "Requantisation",
    "Subject",
    "compare_paths",
    "open_subject",
    "random_inputs",
    "random_network",
    "random_subject",
    "requantisations",
]
