"""Every pair of codes through the graph of gates of MACs, against ``*`` and ``+`` of integers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from rtl.logic.datapath import Datapath, emulate
from rtl.mac import DESIGNS, UniformSpec
from rtl.spec.mac import MacSpec, Precision

__all__ = ["all_pairs", "built", "check_pairs", "mac_specs", "run", "run_steps"]

_LONG = 1 << 17  # sums of as many products as there are pairs


@cache
def built(spec: MacSpec) -> Datapath:
    return spec.build()


def mac_specs() -> Iterator[MacSpec]:
    """One lane or unit: uniform of every pair of widths, others of every kind that is compared."""
    for design in DESIGNS:
        if design is UniformSpec:
            for weight, activation in product(range(1, 9), repeat=2):
                for booth in (False, True)[: min(2, weight)]:
                    yield UniformSpec(
                        weight_bits=weight, activation_bits=activation, lanes=1, reduction_length=_LONG, booth=booth
                    )
            continue
        for kind in design.variants():
            yield design(**{**kind, design.size_parameter: 1, "reduction_length": _LONG})


def all_pairs(spec: MacSpec, precision: Precision) -> tuple[np.ndarray, np.ndarray]:
    """Every weight with every activation, as two columns."""
    weights, activations = spec.weight_values(precision).values, spec.activation_values(precision).values
    return np.repeat(weights, len(activations))[:, None], np.tile(activations, len(weights))[:, None]


def run(spec: MacSpec, weights: np.ndarray, activations: np.ndarray, precision: Precision) -> list[int]:
    """Sums of the rows of both (N, K) arrays as the gates give them, cycle after cycle."""
    packs = [spec.pack(w, a, precision) for w, a in zip(weights, activations, strict=True)]
    words = {
        name: np.array([[pack[name][cycle] for pack in packs] for cycle in range(len(packs[0]["clear"]))], dtype=object)
        for name in packs[0]
    }
    return [spec.unpack(word) for word in emulate(built(spec), words)]


def run_steps(spec: MacSpec, weights: np.ndarray, activations: np.ndarray, precision: Precision) -> list[int]:
    """Sums of the rows of both (N, step) arrays, one cycle each, all side by side."""
    words = spec.pack(weights.ravel(), activations.ravel(), precision)
    words["clear"] = [1] * len(weights)
    arrays = {name: np.array([word], dtype=object if max(word) >> 63 else np.int64) for name, word in words.items()}
    return [spec.unpack(word) for word in emulate(built(spec), arrays)]


def check_pairs(spec: MacSpec, precision: Precision) -> int:
    """Every pair in every place of a step, any codes in the others; how many sums were compared. Raises AssertionError
    for the first that is wrong.
    """
    weights, activations = all_pairs(spec, precision)
    held = spec.weight_values(precision).values, spec.activation_values(precision).values
    step = spec.products_per_step(precision)
    compute = run_steps if spec.cycles_per_step(precision) == 1 else run
    for place in range(step):
        others = np.random.default_rng(place)
        w, a = (others.choice(codes, (len(weights), step)) for codes in held)
        w[:, [place]], a[:, [place]] = weights, activations
        wanted = (w * a).sum(axis=1).tolist()
        found = compute(spec, w, a, precision)
        wrong = [row for row, pair in enumerate(zip(found, wanted, strict=True)) if pair[0] != pair[1]]
        if wrong:
            row = wrong[0]
            raise AssertionError(
                f"{spec.name} at {precision}: {w[row].tolist()} x {a[row].tolist()} must be {wanted[row]}, "
                f"not {found[row]}; {len(wrong)} of {len(wanted)} sums are wrong"
            )
    return step * len(weights)
