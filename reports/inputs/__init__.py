"""Files that a report is made from, read strictly: comparison, equivalence, accuracies, oscillation, analyses,
and the training runs that are kept."""

from __future__ import annotations

from .accuracies import FULL_PRECISION, Accuracies, Method, Run, methods, read_accuracies, to_json
from .analysis import Analysis, Rise, TensorShape, read_analysis
from .comparison import checked, read_rows
from .equivalence import Equivalence, read_equivalence
from .oscillation import Oscillation, read_oscillation
from .packaged import PACKAGED_ACCURACY, PACKAGED_EQUIVALENCE, packaged_oscillations
from .training import KeptRun, kept_run, metrics_csv, read_study, study_json

__all__ = [
    "FULL_PRECISION",
    "PACKAGED_ACCURACY",
    "PACKAGED_EQUIVALENCE",
    "Accuracies",
    "Analysis",
    "Equivalence",
    "KeptRun",
    "Method",
    "Oscillation",
    "Rise",
    "Run",
    "TensorShape",
    "checked",
    "kept_run",
    "methods",
    "metrics_csv",
    "packaged_oscillations",
    "read_accuracies",
    "read_analysis",
    "read_equivalence",
    "read_oscillation",
    "read_rows",
    "read_study",
    "study_json",
    "to_json",
]
