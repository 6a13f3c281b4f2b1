"""Sentences that follow from numbers: the answer to the question, and what each figure shows."""

from __future__ import annotations

from .findings import (
    clock_finding,
    ends_finding,
    energy_finding,
    equivalence_finding,
    front_finding,
    model_finding,
    oscillation_finding,
    own_finding,
    parts_finding,
    sensitivity_finding,
)
from .story import answer, error_sentence, headline, order_of, question, ratio_title, widths_of

__all__ = [
    "answer",
    "clock_finding",
    "ends_finding",
    "energy_finding",
    "equivalence_finding",
    "error_sentence",
    "front_finding",
    "headline",
    "model_finding",
    "order_of",
    "oscillation_finding",
    "own_finding",
    "parts_finding",
    "question",
    "ratio_title",
    "sensitivity_finding",
    "widths_of",
]
