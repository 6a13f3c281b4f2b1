"""Fits the cost model to a calibration table, and says how far it is off.

In: calibration tables. Out: fitted models, errors on designs that were held out, explanations. Read ``fitting``,
``baselines``, ``validation`` and ``validationtables``, ``explanation`` and ``explanationtables``.
"""

from __future__ import annotations

from .explanation import Explanation, StepTerm, explain
from .explanationtables import print_explanation
from .fitting import FEWEST_DESIGNS
from .validation import Prediction, errors_by, predictions
from .validationtables import (
    Validated,
    errors_frame,
    fit_table,
    held_out_error,
    held_out_groups,
    largest_frame,
    markdown,
    markdown_summary,
    points_of,
    print_tables,
    summary,
    validated,
)

__all__ = [
    "FEWEST_DESIGNS",
    "Explanation",
    "Prediction",
    "StepTerm",
    "Validated",
    "errors_by",
    "errors_frame",
    "explain",
    "fit_table",
    "held_out_error",
    "held_out_groups",
    "largest_frame",
    "markdown",
    "markdown_summary",
    "points_of",
    "predictions",
    "print_explanation",
    "print_tables",
    "summary",
    "validated",
]
