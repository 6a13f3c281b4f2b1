"""Proofs about the controllers of arrays: every legal run, at full width, for ever, by induction.

In: an array. Out: a proof, or the step that does not hold. ``terms`` are words of a solver, ``transition`` reads a
module of Verilog into them, ``feed`` and ``store`` are the two controllers and their models, ``pair`` is both together,
``settings`` is the check of settings and its arithmetic, ``array`` takes them from the text of an array, ``standard``
are those that are proved as a matter of course.
"""

from __future__ import annotations

from .array import ARRAY_STEPS, CONTROLLERS, ArrayProof, controller_fault, prove_array, prove_controller
from .standard import standard_arrays

__all__ = [
    "ARRAY_STEPS",
    "CONTROLLERS",
    "ArrayProof",
    "controller_fault",
    "prove_array",
    "prove_controller",
    "standard_arrays",
]
