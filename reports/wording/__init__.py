"""Sentences that follow from numbers: the answer to the question, and what each figure shows."""

from __future__ import annotations

from .findings import (
    analysis_finding,
    clock_finding,
    ends_finding,
    energy_finding,
    equivalence_finding,
    floorplan_finding,
    front_finding,
    model_finding,
    oscillation_finding,
    own_finding,
    pareto_finding,
    parts_finding,
    requantiser_finding,
    sensitivity_finding,
)
from .story import (
    KeyNumber,
    answer,
    error_sentence,
    headline,
    key_numbers,
    mixed_widths,
    order_of,
    question,
    ratio_title,
    widths_of,
)

__all__ = [
    "KeyNumber",
    "analysis_finding",
    "answer",
    "clock_finding",
    "ends_finding",
    "energy_finding",
    "equivalence_finding",
    "error_sentence",
    "floorplan_finding",
    "front_finding",
    "headline",
    "key_numbers",
    "mixed_widths",
    "model_finding",
    "order_of",
    "oscillation_finding",
    "own_finding",
    "pareto_finding",
    "parts_finding",
    "question",
    "ratio_title",
    "requantiser_finding",
    "sensitivity_finding",
    "widths_of",
]
