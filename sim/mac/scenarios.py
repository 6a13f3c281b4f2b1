"""Operands that try a MAC unit: extremes, every pair, longest sums, random sums with stalls, resets, switches.

Each scenario makes a :class:`sim.mac.sequence.Sequence` from a spec. All are the same for every design.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from rtl.spec import MacSpec, Precision

from .sequence import Sequence

__all__ = [
    "SCENARIOS",
    "balanced_sums",
    "every_pair",
    "extremes",
    "far_sums",
    "longest_sums",
    "mixed_sums",
    "operand_codes",
    "pair_steps",
    "random_sums",
    "resets",
    "some_precisions",
    "switches",
]

_FAR_CYCLES = 48
"""Cycles of a sum that goes far, but for one of many cycles a step."""
SAMPLE_CYCLES = 1500
"""A serial design tries about so many cycles of random pairs at a precision below the widest, where all take longer."""


def some_precisions(spec: MacSpec, most: int = 18) -> tuple[Precision, ...]:
    """All precisions of a design that has few; else the narrowest, the widest, and some between."""
    known = spec.precisions
    if len(known) <= most:
        return known
    first = [p for p in known if {p.weight_bits, p.activation_bits} <= {known[0].weight_bits, known[-1].weight_bits}]
    return tuple(dict.fromkeys([*first, *known[:: len(known) // (most - len(first)) + 1]]))


@cache
def operand_codes(spec: MacSpec, precision: Precision) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every legal weight and every legal activation at ``precision``."""

    weights, activations = spec.weight_values(precision), spec.activation_values(precision)
    return np.array(weights.values, np.int64), np.array(activations.values, np.int64)


def every_pair(spec: MacSpec, precisions: Items[Precision], seed: int = 0) -> Sequence:
    """Every pair of codes at each precision, in every place of a step.

    A serial design sees single bits, whatever their precision: its pairs are dealt out over the places of a step, and
    below the widest precision a random sample is enough where there are many.
    """
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for precision in precisions:
        weights, activations = operand_codes(spec, precision)
        w, a = (codes.ravel() for codes in np.meshgrid(weights, activations, indexing="ij"))
        step = spec.products_per_step(precision)
        if spec.cycles_per_step(precision) == 1:
            places = np.stack(
                [rng.permutation(len(w)) if place else np.arange(len(w)) for place in range(step)], axis=1
            )
        else:
            steps = pair_steps(spec, precision)
            places = rng.permutation(-(-len(w) // step) * step)[: steps * step].reshape(steps, step) % len(w)
        sequence.add_steps(w[places], a[places], precision)
    sequence.finish()
    return sequence


def pair_steps(spec: MacSpec, precision: Precision) -> int:
    """Steps of :func:`every_pair` at one precision."""
    pairs = len(spec.weight_values(precision).values) * len(spec.activation_values(precision).values)
    cycles, step = spec.cycles_per_step(precision), spec.products_per_step(precision)
    if cycles == 1:
        return pairs
    steps = -(-pairs // step)
    widest = max((p.weight_bits, p.activation_bits) for p in spec.precisions)
    return (
        steps
        if (precision.weight_bits, precision.activation_bits) == widest
        else min(steps, -(-SAMPLE_CYCLES // cycles))
    )


def extremes(spec: MacSpec, precisions: Items[Precision], seed: int = 0) -> Sequence:
    """Sums of a few steps whose operands are all at one corner of their ranges, or at random corners."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for precision in precisions:
        weights, activations = (codes[[0, len(codes) // 2, -1]] for codes in operand_codes(spec, precision))
        count = min(spec.reduction_length, 2 * spec.products_per_step(precision) + 1)
        for w, a in product(np.unique(weights), np.unique(activations)):
            sequence.add(np.full(count, w), np.full(count, a), precision)
        for _ in range(3):
            sequence.add(rng.choice(weights, count), rng.choice(activations, count), precision)
    sequence.finish()
    return sequence


def longest_sums(spec: MacSpec, precisions: Items[Precision], seed: int = 0) -> Sequence:
    """Sums of ``reduction_length`` products that are all the smallest, or all the largest."""
    sequence = Sequence(spec, seed)
    count = spec.reduction_length
    for precision in precisions:
        corners = list(product(spec.weight_values(precision).range, spec.activation_values(precision).range))
        for extreme in (min, max):
            w, a = extreme(corners, key=lambda corner: corner[0] * corner[1])
            sequence.add(np.full(count, w), np.full(count, a), precision)
    sequence.finish()
    return sequence


def random_sums(spec: MacSpec, precisions: Items[Precision], seed: int = 0, *, stalls: float = 0.3) -> Sequence:
    """Two sums of any length, with and without stalls, at each precision; the first has no products at all."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    sequence.add([], [], precisions[0])
    for precision in precisions:
        for chance in (0.0, stalls):
            _add_random(sequence, precision, rng, stalls=chance)
    sequence.finish()
    return sequence


def switches(spec: MacSpec, precisions: Items[Precision], seed: int = 0, *, sums: int = 60) -> Sequence:
    """Short sums back to back, the precision drawn anew for each; most sums are of one step."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for _ in range(sums):
        _add_random(sequence, precisions[int(rng.integers(len(precisions)))], rng, steps=rng.choice([1, 1, 1, 2]))
    sequence.finish()
    return sequence


def balanced_sums(spec: MacSpec, precisions: Items[Precision], seed: int = 0, *, sums: int = 1500) -> Sequence:
    """Sums of some steps whose last is not full, where a control balances an odd number of places that are left: it
    meets accumulators of all kinds. One short sum where a design has no such control.
    """
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    balanced = [precision for precision in precisions if spec.unused_products(precision).balance is not None]
    for precision in balanced or precisions[:1]:
        for _ in range(sums // len(balanced) if balanced else 1):
            _add_random(sequence, precision, rng, steps=6)
    sequence.finish()
    return sequence


def mixed_sums(spec: MacSpec, precisions: Items[Precision], seed: int = 0, *, sums: int = 50) -> Sequence:
    """Sums whose precision is drawn anew from step to step; only the signs, where a design must keep its widths."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for number in range(sums):
        first = precisions[int(rng.integers(len(precisions)))]
        known = [p for p in precisions if not spec.one_width_a_sum or p.weight_bits == first.weight_bits]
        parts = []
        left = spec.reduction_length
        for _ in range(int(rng.integers(2, 7))):
            precision = known[int(rng.integers(len(known)))]
            count = int(rng.integers(1, 2 * spec.products_per_step(precision) + 1))
            if count <= left:
                weights, activations = operand_codes(spec, precision)
                parts.append((rng.choice(weights, count), rng.choice(activations, count), precision))
                left -= count
        sequence.add_parts(parts, stalls=0.2 * (number % 2))
    sequence.finish()
    return sequence


def resets(spec: MacSpec, precisions: Items[Precision], seed: int = 0, *, times: int = 12) -> Sequence:
    """Resets amid sums, with operands in every stage of the pipeline; also sums that the next one cuts short."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for time in range(times):
        precision = precisions[int(rng.integers(len(precisions)))]
        _add_random(sequence, precision, rng)
        _add_random(sequence, precision, rng, cut=int(rng.integers(1, 6)))
        if time % 3:
            sequence.idle(int(rng.integers(0, spec.latency + 1)))
            sequence.reset(int(rng.integers(1, 3)))
    sequence.finish()
    return sequence


def far_sums(spec: MacSpec, precisions: Items[Precision], seed: int = 0) -> Sequence:
    """Sums of extreme products that go a part of the way to the largest and to the smallest, then of any."""
    sequence = Sequence(spec, seed)
    rng = np.random.default_rng(seed)
    for precision in precisions:
        step, cycles = spec.products_per_step(precision), spec.cycles_per_step(precision)
        longest = min(spec.reduction_length, step * max(6, _FAR_CYCLES // cycles))
        weights, activations = operand_codes(spec, precision)
        corners = list(product(spec.weight_values(precision).range, spec.activation_values(precision).range))
        for extreme, part in product((min, max), (0.25, 0.45, 0.65, 0.9)):
            w, a = extreme(corners, key=lambda corner: corner[0] * corner[1])
            far = int(part * longest)
            rest = min(longest - far, 3 * step)
            sequence.add(
                np.concatenate([np.full(far, w), rng.choice(weights, rest)]),
                np.concatenate([np.full(far, a), rng.choice(activations, rest)]),
                precision,
            )
    sequence.finish()
    return sequence


def _add_random(
    sequence: Sequence,
    precision: Precision,
    rng: np.random.Generator,
    *,
    steps: int = 3,
    stalls: float = 0.0,
    cut: int | None = None,
) -> None:
    spec = sequence.spec
    weights, activations = operand_codes(spec, precision)
    longest = min(spec.reduction_length, steps * spec.products_per_step(precision))
    count = int(rng.integers(1, longest + 1))
    sequence.add(rng.choice(weights, count), rng.choice(activations, count), precision, stalls=stalls, cut=cut)


SCENARIOS: Mapping[str, Callable[[MacSpec], Sequence]] = {
    "random_sums": lambda spec: random_sums(spec, some_precisions(spec)),
    "switches": lambda spec: switches(spec, spec.precisions),
    "balanced_sums": lambda spec: balanced_sums(spec, spec.precisions),
    "mixed_sums": lambda spec: mixed_sums(spec, spec.precisions),
    "resets": lambda spec: resets(spec, spec.precisions),
    "streamed_sums": lambda spec: random_sums(spec, spec.precisions, seed=1, stalls=0.1),
    "extremes": lambda spec: extremes(spec, some_precisions(spec)),
    "longest_sums": lambda spec: longest_sums(spec, some_precisions(spec)),
    "far_sums": lambda spec: far_sums(spec, some_precisions(spec, 6)),
    "every_pair": lambda spec: every_pair(spec, spec.precisions),
}
"""What the bench plays, by the names of its tests."""
