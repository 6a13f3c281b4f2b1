"""Proofs about the controllers of arrays: every legal run, at full width, for ever, by induction.

In: an array. Out: a proof, or the step that does not hold. ``terms`` are words of a solver, ``transition`` reads a
module of Verilog into them, ``feed`` and ``store`` are the two controllers and their models, ``array`` takes them from
the text of an array.
"""

from __future__ import annotations

from .array import ControllerProof, prove_controllers

__all__ = ["ControllerProof", "prove_controllers"]
