"""Files that a report is made from, read strictly: comparison, equivalence, accuracies, oscillation."""

from __future__ import annotations

from .accuracies import FULL_PRECISION, Accuracies, Method, Run, methods, read_accuracies, to_json
from .comparison import checked, read_rows
from .equivalence import Equivalence, read_equivalence
from .oscillation import Oscillation, read_oscillation
from .packaged import PACKAGED_ACCURACY, PACKAGED_EQUIVALENCE, packaged_oscillations

__all__ = [
    "FULL_PRECISION",
    "PACKAGED_ACCURACY",
    "PACKAGED_EQUIVALENCE",
    "Accuracies",
    "Equivalence",
    "Method",
    "Oscillation",
    "Run",
    "checked",
    "methods",
    "packaged_oscillations",
    "read_accuracies",
    "read_equivalence",
    "read_oscillation",
    "read_rows",
    "to_json",
]
