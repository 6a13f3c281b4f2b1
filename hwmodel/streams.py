"""Operand streams: which integer codes the ports of a design see, step after step.

A stream has a name and a seed, and the same two give the same codes whatever the NumPy version: the
random bits come from PCG64 directly and are turned into codes here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import erf, pi, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

UNIFORM = "uniform"
LSQ_GAUSSIAN = "lsq-gaussian"


@dataclass(frozen=True, slots=True)
class Stream:
    """A named source of operand codes.

    uniform        every code equally likely, independent in lane and step
    lsq-gaussian   normal values quantised with the step LSQ starts from, 2 E|v| / sqrt(Qp) (Esser et
                   al., ICLR 2020, section 2.1); unsigned codes are of the rectified values max(v, 0)
    """

    name: str = UNIFORM
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in STREAM_NAMES:
            raise ValueError(f"stream must be one of {', '.join(STREAM_NAMES)}, not {self.name!r}")
        if _integer("seed", self.seed) < 0:
            raise ValueError(f"seed must not be negative, but it was {self.seed}")

    @property
    def label(self) -> str:
        """What a table says about it."""
        return f"{self.name}, seed {self.seed}"

    def codes(self, steps: int, lanes: int, bits: int, *, signed: bool, operand: str) -> NDArray[np.int64]:
        """Codes of shape (steps, lanes), from -2^(bits-1) to 2^(bits-1) - 1, or 0 to 2^bits - 1 unsigned.

        ``operand`` names what they are for, such as "weights": different names give independent codes.
        TypeError or ValueError for sizes below 1, bits outside 1 to 16, and signed 1-bit Gaussian codes.
        """
        for name, value in (("steps", steps), ("lanes", lanes), ("bits", bits)):
            if _integer(name, value) < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if bits > 16:
            raise ValueError(f"bits must be at most 16, not {bits}")
        seeds = np.random.SeedSequence(self.seed, spawn_key=tuple(operand.encode()))
        raw = np.random.PCG64(seeds).random_raw(steps * lanes).reshape(steps, lanes)
        lowest = -(1 << (bits - 1)) if signed else 0
        return _DRAW[self.name](raw, bits, signed).astype(np.int64) + lowest


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
        raise TypeError(f"{name} must be an integer, not {value!r}") from None


def _uniform(raw: NDArray[np.uint64], bits: int, signed: bool) -> NDArray[np.uint64]:
    return raw >> np.uint64(64 - bits)


def _lsq_gaussian(raw: NDArray[np.uint64], bits: int, signed: bool) -> NDArray[np.intp]:
    """Codes counted from the lowest one, by inverting the cumulative distribution of the codes."""
    if signed and bits == 1:
        raise ValueError("bits must be at least 2 for signed lsq-gaussian codes, not 1")
    highest = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1
    lowest = -highest - 1 if signed else 0
    mean_magnitude = sqrt(2 / pi) if signed else sqrt(1 / (2 * pi))  # E|v|, E max(v, 0) at unit deviation
    step = 2 * mean_magnitude / sqrt(highest)
    reach = min(highest, int(40 / step))  # codes past 40 deviations have probability 0
    edges = (np.arange(max(lowest, -reach - 1), reach) + 0.5) * step
    below = np.array([(1 + erf(edge / sqrt(2))) / 2 for edge in edges])
    uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.searchsorted(below, uniform, side="right") + (max(lowest, -reach - 1) - lowest)


_DRAW: Mapping[str, Callable[[NDArray[np.uint64], int, bool], NDArray[np.generic]]] = MappingProxyType(
    {UNIFORM: _uniform, LSQ_GAUSSIAN: _lsq_gaussian}
)
STREAM_NAMES = tuple(_DRAW)
