"""The numbers behind the figures: area by part, clocks, inference, errors of the model; no text and no drawing."""

from __future__ import annotations

from .breakdown import CAUSES, PARTS, Breakdown, by_model, by_rows
from .clocks import Curve, curves
from .designs import Subject, subjects
from .front import undominated
from .inference import (
    KINDS,
    Floorplan,
    Inference,
    Network,
    ends_share,
    energy_by_kind,
    energy_uj,
    inferences,
    network,
    shown_name,
)
from .requantisers import requantisers
from .validation import Library, Quantity, libraries

__all__ = [
    "CAUSES",
    "KINDS",
    "PARTS",
    "Breakdown",
    "Curve",
    "Floorplan",
    "Inference",
    "Library",
    "Network",
    "Quantity",
    "Subject",
    "by_model",
    "by_rows",
    "curves",
    "ends_share",
    "energy_by_kind",
    "energy_uj",
    "inferences",
    "libraries",
    "network",
    "requantisers",
    "shown_name",
    "subjects",
    "undominated",
]
