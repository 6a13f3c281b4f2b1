"""Small arrays, and products for them with what must come out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from qat.network.gemm import Product
from rtl.array import Architecture, ArraySpec
from rtl.mac import LoomSpec, UniformSpec, XnorSpec
from rtl.spec.numbers import IntArray
from sim.harness.engine import ArrayEngine
from sim.harness.library import build_library

BROADCAST = ArraySpec(
    mac=UniformSpec(lanes=3, reduction_length=100),
    rows=3,
    columns=4,
    activation_depth=40,
    weight_depth=48,
    result_depth=24,
    drains=2,
)
BINARY = ArraySpec(
    mac=XnorSpec(lanes=5, reduction_length=200),
    rows=4,
    columns=3,
    architecture=Architecture.SYSTOLIC,
    activation_depth=40,
    weight_depth=48,
    result_depth=24,
    result_width=30,
    drains=4,
)
SERIAL = ArraySpec(
    mac=LoomSpec(units=3, pipeline_stages=1),
    rows=2,
    columns=3,
    architecture=Architecture.SYSTOLIC,
    activation_depth=160,
    weight_depth=160,
    result_depth=16,
    result_width=36,
)
ARRAYS = (BROADCAST, BINARY, SERIAL)


def codes_of(bits: int, signed: bool) -> IntArray:
    """Every code of that width."""
    if bits == 1:
        return np.array([-1, 1] if signed else [0, 1])
    low = -(1 << (bits - 1)) if signed else 0
    return np.arange(low, low + (1 << bits))


def product(
    left: Sequence[int], right: Sequence[int], bits: tuple[int, int] = (4, 4), *, signed: bool = True, seed: int = 0
) -> Product:
    """Random codes of the shapes [..., M, K] and [..., N, K]; bits of activations and weights."""
    rng = np.random.default_rng(seed)
    return Product(
        name="layer",
        part=None,
        left=torch.from_numpy(rng.choice(codes_of(bits[0], signed), left)),
        right=torch.from_numpy(rng.choice(codes_of(bits[1], True), right)),
        left_bits=bits[0],
        left_signed=signed,
        right_bits=bits[1],
        right_signed=True,
    )


def exact(given: Product) -> IntArray:
    """The accumulators, by NumPy's integers."""
    return np.asarray(given.left.numpy() @ given.right.numpy().swapaxes(-1, -2))


def check(engine: ArrayEngine, given: Product) -> None:
    found = engine(given)
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), exact(given))


def library_of(spec: ArraySpec) -> Path:
    return build_library(spec)  # built once, then it is in the cache
