"""TODO"""

from __future__ import annotations

from .agreement import compare_paths
from .integer import IntegerModel, Operand
from .requantise import Requantisation, requantisations
from .subject import Subject, open_subject, random_subject

__all__ = [
    "IntegerModel",
    "Operand",
    "Requantisation",
    "Subject",
    "compare_paths",
    "open_subject",
    "random_subject",
    "requantisations",
]
