"""Operand streams: which integer codes the ports of a design see, step after step.

A stream has a name and a seed, and the same two give the same codes whatever the NumPy version: the
random bits come from PCG64 directly and are turned into codes here. Recorded codes come from the files of
hwmodel/data/streams, and the files decide.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import erf, pi, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rtl.spec import CodeValues, IntArray, Precision, all_codes
from siliquant.inputs import InputError, InputTypeError

from .recorded import Recording, pairs_of, recorded_networks, sums_of

__all__ = ["LSQ_GAUSSIAN", "STREAM_NAMES", "UNIFORM", "Stream", "pack"]

UNIFORM = "uniform"
LSQ_GAUSSIAN = "lsq-gaussian"


@dataclass(frozen=True, slots=True)
class Stream:
    """A named source of operand codes.

    uniform        every code equally likely, independent in lane and step
    lsq-gaussian   normal values quantised with the step LSQ starts from, 2 E|v| / sqrt(Qp) (Esser et
                   al., ICLR 2020, section 2.1), Qp the largest value of a code, to the nearest value of a code;
                   unsigned codes are of the rectified values max(v, 0), as are all of one bit
    vit-mnist      recorded in the matrix products of trained networks, as one element of an array sees them (see
    minilm         hwmodel.operands.recorded); the seed is the row and the column to start with
    """

    name: str = UNIFORM
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in STREAM_NAMES:
            raise InputError(f"stream must be one of {', '.join(STREAM_NAMES)}, not {self.name!r}")
        if _integer("seed", self.seed) < 0:
            raise InputError(f"seed must not be negative, but it was {self.seed}")

    @property
    def label(self) -> str:
        """What a table says about it."""
        return f"{self.name}, seed {self.seed}"

    @property
    def recorded(self) -> bool:
        """Whether the codes come from a network: weights and activations then belong together, and sums have its
        lengths.
        """
        return self.name not in _DRAW

    def sources(self, precision: Precision) -> tuple[Recording, ...]:
        """The recordings that a recorded stream is of at a precision; ValueError where it was not recorded."""
        return pairs_of(self.name, precision)[1] if self.recorded else ()

    def lengths(self, precision: Precision) -> tuple[int, ...]:
        """Products of the sums of each layer of a recorded stream; none of another."""
        return tuple(pair.products for pair in pairs_of(self.name, precision)[0]) if self.recorded else ()

    def sums(
        self, precision: Precision, cycles: int, cycles_of_sum: Callable[[int], int]
    ) -> list[tuple[IntArray, IntArray]]:
        """Weights and activations of the sums of a recorded stream, one after the other, for ``cycles`` or more.

        cycles_of_sum: the cycles of a sum, by its length. ValueError for a precision or stream that is not recorded.
        """
        if not self.recorded:
            raise InputError(f"stream must be one of {', '.join(STREAM_NAMES[2:])} to have sums, not {self.name!r}")
        return sums_of(pairs_of(self.name, precision)[0], cycles, cycles_of_sum, self.seed)

    def codes(self, steps: int, lanes: int, bits: int, *, signed: bool, operand: str) -> NDArray[np.int64]:
        """Codes of shape (steps, lanes), from -2^(bits-1) to 2^(bits-1) - 1, or 0 to 2^bits - 1 unsigned.

        ``operand`` names what they are for, such as "weights": different names give independent codes. A recorded
        stream has "weights" and "activations", which belong together where all else is equal; a sum ends with its
        step, whose other lanes are 0, and bit 1 of a signed one-bit code is +1 (the code -1 here), 0 is -1.
        TypeError or ValueError for sizes below 1, bits outside 1 to 8, signed 1-bit Gaussian codes, and codes that
        were not recorded.
        """
        values = all_codes(bits, signed)
        if not self.recorded:
            return self.drawn(steps, lanes, values, operand=operand)
        _check_sizes(steps, lanes)
        return self._recorded_codes(steps, lanes, bits, signed, operand)

    def drawn(self, steps: int, lanes: int, values: CodeValues, *, operand: str) -> NDArray[np.int64]:
        """Codes of shape (steps, lanes) that are all among ``values``, from a stream that is not recorded.

        Different names of operands give independent codes. TypeError or ValueError for sizes below 1, and Gaussian
        codes without a positive value.
        """
        _check_sizes(steps, lanes)
        seeds = np.random.SeedSequence(self.seed, spawn_key=tuple(operand.encode()))
        raw = np.random.PCG64(seeds).random_raw(steps * lanes).reshape(steps, lanes)
        return np.asarray(np.array(values.values, np.int64)[_DRAW[self.name](raw, values)])

    def _recorded_codes(self, steps: int, lanes: int, bits: int, signed: bool, operand: str) -> NDArray[np.int64]:
        if operand not in ("weights", "activations"):
            raise InputError(f"operand must be weights or activations in the stream {self.name}, not {operand!r}")
        if operand == "weights" and not signed:
            raise InputError(f"weights must be signed in the stream {self.name}, not unsigned")
        sums = self.sums(Precision(bits, bits, signed), steps, lambda length: -(-length // lanes))
        rows = [np.zeros((0, lanes), np.int64)]
        for both in sums:
            codes = both[operand == "activations"]
            whole = np.zeros((-(-len(codes) // lanes), lanes), np.int64)
            whole.ravel()[: len(codes)] = np.where(codes > 0, -1, 0) if bits == 1 and signed else codes
            rows.append(whole)
        return np.concatenate(rows)[:steps]


def pack(codes: NDArray[np.int64], bits: int) -> list[int]:
    """One unsigned word a step, lane 0 in the lowest bits, from codes of shape (steps, lanes).

    Negative codes go in as two's complement.
    """
    mask = (1 << bits) - 1
    words = []
    for row in codes.tolist():
        word = 0
        for lane, code in enumerate(row):
            word |= (code & mask) << (lane * bits)
        words.append(word)
    return words


def _integer(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputTypeError(f"{name} must be an integer, not {value!r}") from None


def _check_sizes(steps: int, lanes: int) -> None:
    for name, value in (("steps", steps), ("lanes", lanes)):
        if _integer(name, value) < 1:
            raise InputError(f"{name} must be at least 1, not {value}")


def _uniform(raw: NDArray[np.uint64], values: CodeValues) -> NDArray[np.intp]:
    half = np.uint64(32)
    return ((raw >> half) * np.uint64(len(values.values)) >> half).astype(np.intp)


def _lsq_gaussian(raw: NDArray[np.uint64], values: CodeValues) -> NDArray[np.intp]:
    """Which value, counted from the lowest, by inverting the cumulative distribution of the values."""
    if values.range[1] <= 0:
        raise InputError(f"a lsq-gaussian code must have a value above 0, not only {values}")
    drawn = all_codes(1, False) if values.bits == 1 else values
    lowest, highest = drawn.range
    mean_magnitude = sqrt(2 / pi) if lowest < 0 else sqrt(1 / (2 * pi))  # E|v|, E max(v, 0) at unit deviation
    step = 2 * mean_magnitude / sqrt(highest)
    edges = [(one + other) / 2 * step for one, other in pairwise(drawn.values)]
    below = np.array([(1 + erf(edge / sqrt(2))) / 2 for edge in edges])
    uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.searchsorted(below, uniform, side="right")


_DRAW: Mapping[str, Callable[[NDArray[np.uint64], CodeValues], NDArray[np.intp]]] = MappingProxyType(
    {UNIFORM: _uniform, LSQ_GAUSSIAN: _lsq_gaussian}
)
STREAM_NAMES = (*_DRAW, *recorded_networks())
