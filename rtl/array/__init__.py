"""Arrays of MAC elements with operand and result memories and a controller."""

from __future__ import annotations

from .controls import control_ports, control_word
from .core import Architecture, CoreSpec
from .element import ElementSpec, GridSpec
from .images import WordArray, activation_image, control_image, result_matrix, weight_image
from .passes import Codes, Pass, plan_passes, width_of_results
from .rebuild import array_from_parameters, core_from_parameters
from .run import REFUSAL_CYCLES, SIZE_WIDTH, Refusal, Run
from .spec import ArraySpec
from .step import step_layout

__all__ = [
    "REFUSAL_CYCLES",
    "SIZE_WIDTH",
    "Architecture",
    "ArraySpec",
    "Codes",
    "CoreSpec",
    "ElementSpec",
    "GridSpec",
    "Pass",
    "Refusal",
    "Run",
    "WordArray",
    "activation_image",
    "array_from_parameters",
    "control_image",
    "control_ports",
    "control_word",
    "core_from_parameters",
    "plan_passes",
    "result_matrix",
    "step_layout",
    "weight_image",
    "width_of_results",
]
