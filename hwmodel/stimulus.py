"""Operand streams for a MAC design: what drives its ports at full rate, and the sums it must answer with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hwmodel.streams import Stream
from rtl.spec import MacSpec, Precision

__all__ = ["Mismatch", "Stimulus", "StreamPlan", "check_sums", "make_stimulus", "precisions_to_check"]

RESET_CYCLES = 2


class Mismatch(AssertionError):  # noqa: N818 (it names what was found)
    """A netlist that does not compute what its golden model does."""


@dataclass(frozen=True)
class StreamPlan:
    """A reproducible operand stream at full rate: back-to-back sums of ``products`` products, for ``cycles`` or more.

    Its text names it in every result that depends on it.
    """

    precision: Precision
    stream: Stream = field(default_factory=Stream)
    products: int = 768
    cycles: int = 1024

    def __str__(self) -> str:
        return f"{self.stream.label}, {self.precision}, sums of {self.products} products, {self.cycles} cycles"


@dataclass(frozen=True)
class Stimulus:
    """Words of every input port but the clock, one a cycle, and the expected sums: (cycle, value) pairs."""

    words: Mapping[str, list[int]]
    expected: tuple[tuple[int, int], ...]

    @property
    def first_full_cycle(self) -> int:
        """A cycle by which every pipeline stage has held operands."""
        return RESET_CYCLES + 6


def make_stimulus(spec: MacSpec, plan: StreamPlan) -> Stimulus:
    """Back-to-back sums at full rate, after a reset; sums still in the pipeline at the end are not expected."""
    products = min(plan.products, spec.reduction_length)
    steps = -(-products // spec.products_per_step(plan.precision))
    sums = -(-plan.cycles // (steps * spec.cycles_per_step(plan.precision)))
    precision = plan.precision
    weights = _codes(plan, "weights", sums, products, spec.weight_range(precision))
    activations = _codes(plan, "activations", sums, products, spec.activation_range(precision))
    words: dict[str, list[int]] = {}
    expected: list[tuple[int, int]] = []
    for w, a, value in zip(weights, activations, spec.compute(weights, activations, precision).tolist(), strict=True):
        for name, column in spec.pack(w, a, precision).items():
            words.setdefault(name, []).extend(column)
        expected.append((RESET_CYCLES + len(words["clear"]) - 1 + spec.latency, value))
    cycles = len(words["clear"])
    words["in_valid"] = [1] * cycles
    words["rst"] = [0] * cycles
    idle = {name: int(name == "rst") for name in words}
    full = {name: [idle[name]] * RESET_CYCLES + column for name, column in words.items()}
    return Stimulus(full, tuple(pair for pair in expected if pair[0] < RESET_CYCLES + cycles))


def check_sums(
    spec: MacSpec, plan: StreamPlan, stimulus: Stimulus, accumulator: Sequence[int], out_valid: Sequence[int]
) -> None:
    """Compares simulated port words with the golden model, bit for bit. Raises Mismatch with both values."""
    for cycle, value in stimulus.expected:
        actual = spec.unpack(accumulator[cycle])
        if out_valid[cycle] != 1 or actual != value:
            raise Mismatch(
                f"{spec.name} must give {value} in cycle {cycle} of {plan}, "
                f"not {actual} with out_valid {out_valid[cycle]}"
            )


def precisions_to_check(spec: MacSpec) -> tuple[Precision, ...]:
    """Every precision of a design with few; of one with many, the symmetric ones and the extreme pairs."""
    if len(spec.precisions) <= 18:
        return spec.precisions
    edges = {1, 3, 8}
    return tuple(
        precision
        for precision in spec.precisions
        if precision.weight_bits == precision.activation_bits
        or {precision.weight_bits, precision.activation_bits} <= edges
    )


def _codes(plan: StreamPlan, operand: str, sums: int, products: int, bounds: tuple[int, int]) -> npt.NDArray[np.int64]:
    if bounds == (-1, 1):  # a binary code is -1 or +1
        return 2 * plan.stream.codes(sums, products, 1, signed=False, operand=operand) - 1
    bits = (bounds[1] - bounds[0]).bit_length()
    return plan.stream.codes(sums, products, bits, signed=bounds[0] < 0, operand=operand)
