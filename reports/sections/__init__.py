"""The sections of a report, one a file: each from its data to sentences, figures and tables, or why it is missing.

``document`` is what they are made of.
"""

from __future__ import annotations

from .accuracy import accuracy_section, own_workloads, published_workloads
from .analysis import analysis_section
from .breakdowns import area_section, energy_section
from .clock import clock_section
from .document import Document, Missing, Section, TableBlock
from .equivalence import equivalence_section
from .hardware import hardware_section, ratios_figure
from .model import model_section
from .network import network_section
from .requantisers import requantiser_section
from .training import oscillation_section, sensitivity_section

__all__ = [
    "Document",
    "Missing",
    "Section",
    "TableBlock",
    "accuracy_section",
    "analysis_section",
    "area_section",
    "clock_section",
    "energy_section",
    "equivalence_section",
    "hardware_section",
    "model_section",
    "network_section",
    "oscillation_section",
    "own_workloads",
    "published_workloads",
    "ratios_figure",
    "requantiser_section",
    "sensitivity_section",
]
