"""Arrays of MAC elements with operand and result memories and a controller.

In: a MAC, rows and columns, depths of memories. Out: an :class:`ArraySpec`: ports, cycles, memory images,
``create()``. Read ``geometry`` and ``spec``, ``run``, ``element`` and ``core``, ``step`` and ``images`` (operands in
memories), ``passes`` (wide operands in slices); ``component``, ``controller``, ``checks`` and ``element_component``
are the hardware.
"""

from __future__ import annotations

from .core import MOST_SIDE, Architecture, CoreSpec
from .element import ElementSpec, GridSpec
from .geometry import DRAINS, MOST_LOADED_BITS, drained, most_drains
from .images import WordArray, activation_image, control_image, load_words, result_matrix, weight_image
from .passes import Codes, Pass, plan_passes, width_of_results
from .run import CHANGES, REFUSAL_CYCLES, SIZE_WIDTH, Refusal, Run
from .spec import ArraySpec
from .step import control_ports, control_word, step_layout

__all__ = [
    "CHANGES",
    "DRAINS",
    "MOST_LOADED_BITS",
    "MOST_SIDE",
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
    "control_image",
    "control_ports",
    "control_word",
    "drained",
    "load_words",
    "most_drains",
    "plan_passes",
    "result_matrix",
    "step_layout",
    "weight_image",
    "width_of_results",
]
