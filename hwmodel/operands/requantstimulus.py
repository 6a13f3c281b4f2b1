"""A layer as an example for requantisation: its accumulators, thresholds and multipliers, and the stream on the ports.

The layer has the shape of the query projection of DeiT-T: 192 inputs, three heads of 64 outputs. Weights and
activations are codes of one width, every code equally likely, signed; the bias is a random part of the output step. The
scale puts the end of the code range at three standard deviations of the accumulators, that of the second and third
head 4/5 and 5/4 of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import sqrt

import numpy as np
import numpy.typing as npt

from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec, channels_of, find_thresholds
from rtl.spec import signed_range, to_signed
from siliquant.inputs import InputTypeError

from .stimulus import RESET_CYCLES, Mismatch
from .streams import Stream

__all__ = ["HEADS", "PRODUCTS", "RequantPlan", "RequantStimulus", "check_outputs", "example_layer", "requant_stimulus"]

PRODUCTS, HEADS, HEAD_OUTPUTS = 192, 3, 64
_HEAD_SCALES = (1.0, 0.8, 1.25)

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RequantPlan:
    """A reproducible stream of accumulators, one a cycle; its text names it in every result that depends on it."""

    bits: int
    stream: Stream = field(default_factory=Stream)
    cycles: int = 1024

    def __str__(self) -> str:
        return (
            f"sums of {PRODUCTS} products, {self.stream.label}, w{self.bits}a{self.bits}s, one a cycle, "
            f"{HEAD_OUTPUTS} of a group in turn, {self.cycles} cycles"
        )


@dataclass(frozen=True)
class RequantStimulus:
    """Words of every input port but the clock, one a cycle; the expected outputs as (cycle, value) pairs."""

    words: Mapping[str, list[int]]
    expected: tuple[tuple[int, int], ...]
    first_full_cycle: int


@cache
def example_layer(bits: int) -> tuple[IntArray, IntArray, IntArray]:
    """Thresholds [192, 2**bits - 1] of each output of the layer, and its least and largest accumulator [192]."""
    outputs = HEADS * HEAD_OUTPUTS
    weights = Stream().codes(outputs, PRODUCTS, bits, signed=True, operand="layer weights")
    bias = Stream().codes(outputs, 1, 8, signed=True, operand="layer bias")[:, 0] / 128
    lowest, highest = signed_range(bits, True)
    ends = np.stack([weights * lowest, weights * highest])
    low, high = ends.min(0).sum(1), ends.max(0).sum(1)
    square = float((np.arange(lowest, highest + 1, dtype=np.float64) ** 2).mean())
    scale = -lowest / (3 * sqrt(PRODUCTS) * square) * np.repeat(_HEAD_SCALES, HEAD_OUTPUTS)

    def codes(accumulators: IntArray) -> IntArray:
        return np.clip(np.rint(accumulators * scale + bias), lowest, highest).astype(np.int64)

    return find_thresholds(codes, low, high, bits, True), low, high


def requant_stimulus(spec: LoadableSpec, plan: RequantPlan) -> RequantStimulus:
    """The parameter sets loaded, the first output of each head, then accumulators at full rate.

    Raises TypeError for a unit of another kind than thresholds, multiplier and partial sum.
    """
    sets = _parameters(spec, plan.bits)
    weights, activations = (
        plan.stream.codes(plan.cycles, PRODUCTS, plan.bits, signed=True, operand=operand)
        for operand in ("weights", "activations")
    )
    accumulators = (weights * activations).sum(1)
    turn = 1 if isinstance(spec, PartialSumSpec) else HEAD_OUTPUTS
    group = np.arange(plan.cycles) // turn % spec.groups
    loading = RESET_CYCLES + spec.groups
    ahead = [0] * loading
    loads = [spec.pack_parameters(one) for one in sets]
    words = {
        "rst": [1] * RESET_CYCLES + [0] * (spec.groups + plan.cycles),
        "in_valid": ahead + [1] * plan.cycles,
        "accumulator": ahead + (accumulators & ((1 << spec.accumulator_width) - 1)).tolist(),
        "group": ahead + group.tolist(),
        "load_valid": [0] * RESET_CYCLES + [1] * spec.groups + [0] * plan.cycles,
        "load_group": [0] * RESET_CYCLES + list(range(spec.groups)) + [spec.groups - 1] * plan.cycles,
        "load_parameters": [0] * RESET_CYCLES + loads + [loads[-1]] * plan.cycles,
    }
    if isinstance(spec, PartialSumSpec):
        words["first"] = ahead + (group == 0).astype(int).tolist()
        words["last"] = ahead + (group == spec.groups - 1).astype(int).tolist()
        whole = plan.cycles // spec.groups
        values = spec.compute(accumulators[: whole * spec.groups].reshape(whole, -1), sets).tolist()
        at = [loading + (number + 1) * spec.groups - 1 + spec.latency for number in range(whole)]
    else:
        values = _requantiser(spec).compute(accumulators, sets[group]).tolist()
        at = [loading + cycle + spec.latency for cycle in range(plan.cycles)]
    expected = tuple(pair for pair in zip(at, values, strict=True) if pair[0] < loading + plan.cycles)
    return RequantStimulus(words, expected, loading + spec.latency + 2)


def check_outputs(
    spec: LoadableSpec, plan: RequantPlan, stimulus: RequantStimulus, result: Sequence[int], out_valid: Sequence[int]
) -> None:
    """Compares simulated port words with the golden model, bit for bit. Raises Mismatch with both values."""
    for cycle, value in stimulus.expected:
        if isinstance(spec, PartialSumSpec):
            actual = to_signed(result[cycle], spec.total_width)
        else:
            actual = _requantiser(spec).unpack(result[cycle])
        if out_valid[cycle] != 1 or actual != value:
            raise Mismatch(
                f"{spec.name} must give {value} in cycle {cycle} of {plan}, "
                f"not {actual} with out_valid {out_valid[cycle]}"
            )


def _requantiser(spec: LoadableSpec) -> ThresholdSpec | MultiplierSpec:
    if not isinstance(spec, ThresholdSpec | MultiplierSpec):
        raise InputTypeError(f"spec must be a ThresholdSpec, a MultiplierSpec or a PartialSumSpec, not {spec!r}")
    return spec


def _parameters(spec: LoadableSpec, bits: int) -> IntArray:
    """Parameter sets [groups, fields] of the first output of each head in turn; of partial sums the scales' ratios."""
    outputs = np.arange(spec.groups) % HEADS * HEAD_OUTPUTS
    if isinstance(spec, PartialSumSpec):
        most = (1 << spec.multiplier_width) - 1
        ratios = np.array(_HEAD_SCALES)[np.arange(spec.groups) % HEADS] / max(_HEAD_SCALES)
        return np.rint(most * ratios).astype(np.int64)[:, None]
    unit = _requantiser(spec)
    thresholds, low, high = (column[outputs] for column in example_layer(bits))
    if isinstance(unit, ThresholdSpec):
        return np.asarray(thresholds)
    rows = []
    for channel in channels_of(thresholds, low, high):
        multiplier = channel.multiplier(unit.shift)
        rows.append((multiplier, channel.offset(multiplier, unit.shift)))
    return np.array(rows, dtype=np.int64)
