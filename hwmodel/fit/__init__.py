"""Fits the cost model to a calibration table, and says how far it is off.

In: calibration tables. Out: fitted models, errors on designs that were held out, explanations. Read ``fitting``,
``baselines``, ``validation`` and ``validationtables``, ``explanation`` and ``explanationtables``.
"""

from __future__ import annotations

from .explanation import Explanation, StepTerm, explain
from .explanationtables import print_explanation
from .validation import Prediction, errors_by, predictions
from .validationtables import Validated, fit_table, markdown, points_of, print_tables, validated

__all__ = [
    "Explanation",
    "Prediction",
    "StepTerm",
    "Validated",
    "errors_by",
    "explain",
    "fit_table",
    "markdown",
    "points_of",
    "predictions",
    "print_explanation",
    "print_tables",
    "validated",
]
