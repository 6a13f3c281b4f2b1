"""Which multipliers give thresholds exactly: an open interval of slopes for each channel.

A threshold T_i (i = 1 .. L, L = 2**bits - 1) is the least accumulator in [low, high] whose code lies i steps above the
lowest one; low means "always", high + 1 "never". floor((m * x + b) / 2**s) gives the same codes on [low, high] exactly
where it is at least i at x_i = T_i (at low for "always") and below i at y_i = T_i - 1 (at high for "never"):

    i * 2**s - m * x_i  <=  b  <=  j * 2**s - 1 - m * y_j      for all i, j

Some b exists where every pair agrees, m * (y_j - x_i) < (j - i) * 2**s. All of these are bounds on m / 2**s alone, so m
and s serve exactly where m / 2**s lies in one open interval of slopes, whatever b is. All is computed in integers and
rationals.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from siliquant.inputs import InputError, InputTypeError

__all__ = [
    "Channel",
    "IntArray",
    "channels_of",
    "check_monotone",
    "check_range",
    "checked",
    "count_differing",
    "feasible_slopes",
    "integers",
    "thresholds_of",
]

IntArray = npt.NDArray[np.int64]


def feasible_slopes(
    thresholds: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike
) -> list[tuple[Fraction, Fraction | None]]:
    """For each channel the slopes m / 2**s that give its thresholds exactly: all those strictly between the two.

    thresholds: [channels, L] or [L], as :func:`find_thresholds` gives them. The lower bound is -1 where a slope of 0
    serves, the upper None where any steeper slope does. Where lower >= upper there is no such slope.
    """
    bounds = (column.tolist() for column in _slopes(*checked(thresholds, low, high)))
    return [(Fraction(n0, d0), Fraction(n1, d1) if d1 else None) for n0, d0, n1, d1 in zip(*bounds, strict=True)]


def count_differing(one: npt.ArrayLike, other: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> IntArray:
    """How many accumulators in [low, high] get different codes by two sets of thresholds, int64 [channels].

    one, other: [channels, L] or [L]. Counted by the overlap of the intervals of each code, not value by value.
    """
    edges = []
    for thresholds in (one, other):
        inside, first, last = checked(thresholds, low, high)
        edges.append(np.concatenate([first[:, None], inside, last[:, None] + 1], axis=1))
    overlap = np.minimum(edges[0][:, 1:], edges[1][:, 1:]) - np.maximum(edges[0][:, :-1], edges[1][:, :-1])
    return np.asarray(last - first + 1 - np.maximum(overlap, 0).sum(axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Channel:
    """One channel: thresholds within [low, high + 1], feasible slopes, the smallest shift that gives one of them."""

    thresholds: tuple[int, ...]
    low: int
    high: int
    lower: Fraction
    upper: Fraction | None

    @property
    def shift(self) -> int | None:
        """The smallest s with an integer m, m / 2**s strictly between the slopes; None where there is no slope."""
        if self.upper is not None and self.lower >= self.upper:
            return None
        shift = 0
        while self.upper is not None and not self.multiplier(shift) < self.upper * (1 << shift):
            shift += 1
        return shift

    def multiplier(self, shift: int) -> int:
        """The smallest integer above the lower slope."""
        return max(0, (self.lower.numerator << shift) // self.lower.denominator + 1)

    def is_exact(self, multiplier: int, shift: int) -> bool:
        """Whether the thresholds come out with some offset."""
        slope = Fraction(multiplier, 1 << shift)
        return self.lower < slope and (self.upper is None or slope < self.upper)

    def offset(self, multiplier: int, shift: int) -> int:
        """The offset nearest to 0 that makes an exact multiplier exact."""
        steps = list(enumerate(self.thresholds, start=1))
        least = max(((i << shift) - multiplier * max(t, self.low) for i, t in steps if t <= self.high), default=None)
        most = min(
            ((i << shift) - 1 - multiplier * min(t - 1, self.high) for i, t in steps if t > self.low), default=None
        )
        if least is not None and least > 0:
            return least
        return most if most is not None and most < 0 else 0

    @property
    def slope(self) -> Fraction:
        """The middle of the feasible slopes, the flattest where one end is open; else the chord of the thresholds."""
        inside = [(i, t) for i, t in enumerate(self.thresholds) if self.low < t <= self.high]
        if self.upper is None or self.lower < 0:
            return max(self.lower, Fraction(0))
        if self.lower >= self.upper and inside[-1][1] > inside[0][1]:
            return Fraction(inside[-1][0] - inside[0][0], inside[-1][1] - inside[0][1])
        return (max(self.lower, Fraction(0)) + self.upper) / 2


def channels_of(thresholds: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> list[Channel]:
    edges, first, last = checked(thresholds, low, high)
    slopes = feasible_slopes(edges, first, last)
    rows = zip(edges.tolist(), first.tolist(), last.tolist(), slopes, strict=True)
    return [Channel(tuple(row), at, to, *bounds) for row, at, to, bounds in rows]


def thresholds_of(multiplier: int, offset: int | IntArray, shift: int, levels: int, low: int, high: int) -> IntArray:
    """The thresholds of clamp((x * m + b) >> s) within [low, high + 1], int64 [..., levels].

    offset: one, or [..., 1].
    """
    steps = np.arange(1, levels + 1, dtype=np.int64) << shift
    if multiplier == 0:
        return np.where(steps <= offset, low, high + 1)
    return np.clip(-((offset - steps) // multiplier), low, high + 1)


def _slopes(edges: IntArray, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Numerators and denominators of the bounds of the slope: lower, then upper (0 / 0 where there is none)."""
    # x: the code is at least i there; y: it is below i there; far away where there is no such point.
    far = np.int64(1) << 60
    x = np.where(edges <= high[:, None], np.maximum(edges, low[:, None]), far)
    y = np.where(edges > low[:, None], np.minimum(edges - 1, high[:, None]), -far)
    lower_n, lower_d = np.full(len(edges), -1, dtype=np.int64), np.ones(len(edges), dtype=np.int64)
    upper_n, upper_d = np.zeros(len(edges), dtype=np.int64), np.zeros(len(edges), dtype=np.int64)
    levels = edges.shape[1]
    for n in range(levels):
        run = (x[:, n:] - y[:, : levels - n]).min(axis=1)  # as short as a rise by n + 1 codes gets: slope > n / run
        better = (run < far // 2) & (n * lower_d > lower_n * np.minimum(run, far // 2 >> 9))
        lower_n, lower_d = np.where(better, n, lower_n), np.where(better, run, lower_d)
        if n:
            run = (y[:, n:] - x[:, : levels - n]).max(axis=1)  # as long as n codes last: slope < n / run
            better = (run > 0) & ((upper_d == 0) | (n * upper_d < upper_n * run))
            upper_n, upper_d = np.where(better, n, upper_n), np.where(better, run, upper_d)
    return lower_n, lower_d, upper_n, upper_d


def integers(name: str, values: npt.ArrayLike) -> IntArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"{name} must be integers, not of {array.dtype}")
    return array.astype(np.int64)


def check_range(low: IntArray, high: IntArray) -> None:
    bad = low > high
    if bad.any():
        raise InputError(f"low must be at most high, not {int(low[bad][0])} with high {int(high[bad][0])}")
    if max(abs(int(low.min())), abs(int(high.max()))) >= 1 << 48:
        raise InputError("low and high must be below 2**48 in magnitude")


def check_monotone(right: npt.NDArray[np.bool_]) -> None:
    if not right.all():
        channel = int(np.argwhere(~right)[0][-1])
        raise InputError(f"codes must not decrease with the accumulator, but do in channel {channel}")


def checked(thresholds: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """Thresholds [channels, L] cut to [low, high + 1], and both ends [channels]."""
    edges = np.atleast_2d(integers("thresholds", thresholds))
    first = np.broadcast_to(integers("low", low), len(edges))
    last = np.broadcast_to(integers("high", high), len(edges))
    check_range(first, last)
    if (np.diff(edges, axis=1) < 0).any():
        raise InputError("thresholds must be in ascending order")
    return np.clip(edges, first[:, None], last[:, None] + 1), first, last
