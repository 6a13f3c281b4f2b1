"""Every design against its golden model by bit-level evaluation of its graph, without a simulator.

The registers and the generated Verilog are covered by the simulations in tests/sim.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest

from rtl.datapath import Datapath, emulate
from rtl.mac import (
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec import MacSpec, Precision

SCALABLE = [
    design(units=units, minimum_bits=bits)
    for design, units, bits in product((PaddedSpec, SubwordSpec, BitFusionSpec, BitBladeSpec), (1, 3), (4, 2))
] + [PaddedSpec(units=units, minimum_bits=bits, gating=True) for units, bits in product((1, 3), (4, 2))]
SERIAL = [design(units=units) for design, units in product((BitSerialSpec, LoomSpec), (1, 5))]
BINARY = [XnorSpec(lanes=lanes) for lanes in (1, 4, 7)]
ASYMMETRIC = [UniformSpec(weight_bits=w, activation_bits=a, lanes=n) for w, a, n in ((1, 8, 3), (8, 1, 2), (3, 5, 7))]
LATE = [design(pipeline_stages=p) for design, p in product((UniformSpec, BitFusionSpec), (1, 2))]


@cache
def built(spec: MacSpec) -> Datapath:
    return spec.build()


def run(spec: MacSpec, weights: np.ndarray, activations: np.ndarray, precision: Precision) -> list[int]:
    """Sums of the rows of both (N, K) arrays as the hardware gives them."""
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
    return [
        spec.unpack(word) for word in emulate(built(spec), {name: np.array([word]) for name, word in words.items()})
    ]


def codes(low: int, high: int, binary: bool) -> list[int]:
    return [-1, 1] if binary and low < 0 else list(range(low, high + 1))


def operands(spec: MacSpec, precision: Precision, rows: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of all sign combinations first, random codes after."""
    rng = np.random.default_rng(seed)
    binary = isinstance(spec, XnorSpec)
    w = np.array(codes(*spec.weight_range(precision), binary))
    a = np.array(codes(*spec.activation_range(precision), binary))
    weights, activations = rng.choice(w, (rows, length)), rng.choice(a, (rows, length))
    for row, (one, other) in enumerate(product((w[0], w[-1]), (a[0], a[-1]))):
        weights[row], activations[row] = one, other
    return weights, activations


def precisions_to_test(spec: MacSpec) -> list[Precision]:
    """All of a scalable design; of a serial one the symmetric and the extreme pairs."""
    if len(spec.precisions) <= 18:
        return list(spec.precisions)
    widths = [(precision.weight_bits, precision.activation_bits) for precision in spec.precisions]
    return [p for p, (w, a) in zip(spec.precisions, widths, strict=True) if w == a or {w, a} <= {1, 3, 8}]


def all_pairs(precision: Precision) -> tuple[np.ndarray, np.ndarray]:
    """Every weight with every activation, as two columns."""
    pairs = product(codes(*precision.weight_range, False), codes(*precision.activation_range, False))
    return tuple(np.array(column)[:, None] for column in zip(*pairs, strict=True))


@pytest.mark.parametrize(("m", "n"), list(product(range(1, 9), repeat=2)))
def test_uniform_multiplies_every_pair_at_every_width(m: int, n: int) -> None:
    spec = UniformSpec(weight_bits=m, activation_bits=n, lanes=1, reduction_length=1 << 16)
    for precision in spec.precisions:
        w, a = all_pairs(precision)
        assert run_steps(spec, w, a, precision) == (w * a).ravel().tolist()


ONE_UNIT = [
    design(units=1, reduction_length=1 << 17, **options)
    for design, options in ((PaddedSpec, {"gating": True}), (SubwordSpec, {}), (BitFusionSpec, {}), (BitBladeSpec, {}))
]


@pytest.mark.parametrize(
    ("spec", "precision"), [(spec, p) for spec in ONE_UNIT for p in spec.precisions], ids=lambda value: str(value)[:40]
)
def test_scalable_units_multiply_every_pair_in_every_place(spec: MacSpec, precision: Precision) -> None:
    w, a = all_pairs(precision)
    step = spec.products_per_step(precision)
    for place in range(step):
        others = np.random.default_rng(place)
        weights = others.integers(precision.weight_range[0], precision.weight_range[1] + 1, (len(w), step))
        activations = others.integers(precision.activation_range[0], precision.activation_range[1] + 1, (len(w), step))
        weights[:, [place]], activations[:, [place]] = w, a
        assert run_steps(spec, weights, activations, precision) == (weights * activations).sum(axis=1).tolist()


@pytest.mark.parametrize("spec", SCALABLE + SERIAL + BINARY + ASYMMETRIC + LATE, ids=lambda spec: spec.name)
def test_sums_of_several_steps_the_last_one_short(spec: MacSpec) -> None:
    for seed, precision in enumerate(precisions_to_test(spec)):
        length = 3 * spec.products_per_step(precision) - (spec.products_per_step(precision) > 1)
        weights, activations = operands(spec, precision, 12, length, seed)
        assert run(spec, weights, activations, precision) == spec.compute(weights, activations, precision).tolist()


@pytest.mark.parametrize("lanes", range(1, 9))
def test_binary_sums_of_every_length_need_no_other_correction(lanes: int) -> None:
    spec = XnorSpec(lanes=lanes)
    for precision, length in product(spec.precisions, range(1, 2 * lanes + 1)):
        weights, activations = operands(spec, precision, 8, length, length)
        assert run(spec, weights, activations, precision) == (weights * activations).sum(axis=1).tolist()


def test_gating_ignores_what_lies_below_the_code() -> None:
    spec = PaddedSpec(units=1, gating=True)
    for precision in spec.precisions:
        (word,) = zip(*spec.pack([1], [1], precision).values(), strict=True)
        words = dict(zip(spec.pack([1], [1], precision), word, strict=True))
        for name, bits in (("weights", precision.weight_bits), ("activations", precision.activation_bits)):
            words[name] |= (1 << 8 - bits) - 1
        got = emulate(built(spec), {name: np.array([[word]]) for name, word in words.items()})
        assert [spec.unpack(word) for word in got] == [1]


def test_longest_reduction_at_the_extremes_does_not_overflow() -> None:
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=4, reduction_length=64)
    for precision in spec.precisions:
        for w, a in product(precision.weight_range, precision.activation_range):
            weights, activations = np.full((1, 64), w), np.full((1, 64), a)
            assert run(spec, weights, activations, precision) == [64 * w * a]
