"""What the codes at the operand ports of a MAC do, in a few numbers, and codes that do the same.

Power depends on the operands through the toggles of their bits and through zeros. Both are counted as one lane of the
hardware sees them: from one of its operands to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtl.spec import MAX_BITS, CodeValues, IntArray, MacSpec, Precision
from siliquant.inputs import InputError, InputTypeError

from .stimulus import StreamPlan, operand_sums

__all__ = ["CodeStatistics", "OperandStatistics", "lane_codes", "plan_statistics", "statistics"]


@dataclass(frozen=True)
class CodeStatistics:
    """Codes of one operand.

    toggles: of each bit, the lowest first, how often it differs from that of the lane's code before. ones: how often
    it is 1. zeros: the share of codes that stand for 0. All from 0 to 1.
    """

    toggles: tuple[float, ...]
    ones: tuple[float, ...]
    zeros: float

    def __post_init__(self) -> None:
        if not 1 <= len(self.ones) <= MAX_BITS:
            raise InputError(f"ones must be 1 to {MAX_BITS} numbers, one for each bit, not {len(self.ones)}")
        if len(self.toggles) != len(self.ones):
            raise InputError(f"toggles must be as many numbers as ones, {len(self.ones)}, not {len(self.toggles)}")
        for name, values in (("toggles", self.toggles), ("ones", self.ones), ("zeros", (self.zeros,))):
            for value in values:
                if not 0 <= value <= 1:
                    raise InputError(f"{name} must be from 0 to 1, not {value}")

    @property
    def bits(self) -> int:
        """Width of the codes."""
        return len(self.ones)


@dataclass(frozen=True)
class OperandStatistics:
    """Codes of both operands of a MAC."""

    weights: CodeStatistics
    activations: CodeStatistics


def statistics(
    weights: npt.ArrayLike, activations: npt.ArrayLike, weight_values: CodeValues, activation_values: CodeValues
) -> OperandStatistics:
    """Statistics of integer codes of shape (steps, lanes), each lane for itself, step after step.

    weight_values, activation_values: what codes there are, and their bits. Raises TypeError for codes that are no
    integers, ValueError for fewer than 2 steps, another shape, or codes that are none of these.
    """
    return OperandStatistics(
        _statistics("weights", weights, weight_values), _statistics("activations", activations, activation_values)
    )


def plan_statistics(spec: MacSpec, plan: StreamPlan) -> OperandStatistics:
    """Statistics of an operand stream on the lanes of a design, unused lanes of the last step of each sum included."""
    weights, activations = lane_codes(spec, plan.precision, operand_sums(spec, plan))
    return statistics(weights, activations, spec.weight_values(plan.precision), spec.activation_values(plan.precision))


def lane_codes(
    spec: MacSpec, precision: Precision, sums: Sequence[tuple[IntArray, IntArray]]
) -> tuple[IntArray, IntArray]:
    """Weights and activations of sums, int64 (steps, lanes): one step after the other, sum after sum.

    Unused lanes of the last step of a sum hold what the design fills them with (``unused_products``).
    """
    lanes, fill = spec.products_per_step(precision), spec.unused_products(precision)
    found: tuple[list[IntArray], list[IntArray]] = ([], [])
    for both in sums:
        unused = -len(both[0]) % lanes
        halves = (unused // 2, unused - unused // 2)
        fillings = (np.full(unused, fill.weight), np.repeat(fill.activations, halves))
        for operand, codes, filling in zip(found, both, fillings, strict=True):
            operand.append(np.concatenate([codes, filling]).reshape(-1, lanes))
    return np.concatenate(found[0]), np.concatenate(found[1])


def _statistics(name: str, given: npt.ArrayLike, values: CodeValues) -> CodeStatistics:
    codes = np.asarray(given)
    if codes.dtype.kind not in "iu":
        raise InputTypeError(f"{name} must be an array of integers, not of {codes.dtype}")
    if codes.ndim != 2 or len(codes) < 2 or not codes.shape[1]:
        raise InputError(f"{name} must have shape (steps, lanes) with 2 steps or more, not {codes.shape}")
    codes = codes.astype(np.int64)
    lacking = values.lacking(codes)
    if lacking.size:
        raise InputError(f"{name} must be {values}, not {lacking[0]}")
    planes = values.bits_of(codes)
    toggles = (planes[1:] != planes[:-1]).mean((0, 1))
    return CodeStatistics(tuple(toggles.tolist()), tuple(planes.mean((0, 1)).tolist()), float((codes == 0).mean()))
