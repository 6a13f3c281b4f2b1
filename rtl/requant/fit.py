"""From a layer's function of the accumulator to thresholds, and from thresholds to a fixed-point multiplier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from rtl.spec import MAX_BITS, check_integer, network_codes, sum_width
from siliquant.inputs import InputError

from .slopes import (
    Channel,
    IntArray,
    channels_of,
    check_monotone,
    check_range,
    count_differing,
    integers,
    thresholds_of,
)

__all__ = ["MultiplierFit", "find_thresholds", "fit_multiplier"]

_LIMIT = 1 << 62  # of every product, so that int64 holds the sums


def find_thresholds(
    codes: Callable[[IntArray], npt.ArrayLike], low: npt.ArrayLike, high: npt.ArrayLike, bits: int, signed: bool
) -> IntArray:
    """The thresholds of a function of the accumulator, all channels at once, by bisection.

    codes: from accumulators int64 [points, channels] to integer codes of that shape, non-decreasing in each channel.
    low, high: smallest and largest accumulator that a channel can have, integers [channels].
    Returns int64 [channels, 2**bits - 1], each from low to high + 1, in ascending order.
    Raises ValueError for codes out of range, and where it sees that the function is not monotone.

    >>> quantise = lambda accumulator: np.clip(np.round(accumulator / 10), -2, 1)
    >>> find_thresholds(lambda a: quantise(a).astype(int), [-100], [100], bits=2, signed=True).tolist()
    [[-14, -5, 6]]
    """
    check_integer("bits", bits, 1, MAX_BITS)
    first, last = np.broadcast_arrays(np.atleast_1d(integers("low", low)), np.atleast_1d(integers("high", high)))
    check_range(first, last)
    levels = (1 << bits) - 1
    values = network_codes(bits, signed)
    lowest, highest = values.range
    step = (highest - lowest) // levels

    def ranks(points: IntArray) -> IntArray:
        found = integers("codes", codes(points))
        if found.shape != points.shape:
            raise InputError(f"codes must have the shape of the accumulators {points.shape}, not {found.shape}")
        lacking = values.lacking(found)
        if lacking.size:
            raise InputError(f"codes must be {values}, not {lacking[0]}")
        return np.asarray((found - lowest) // step)

    steps = np.arange(1, levels + 1)[:, None]
    # below: the rank there is less than the step; reached: it is not. Both with one point past the range.
    below = np.repeat(first[None] - 1, levels, axis=0)
    reached = np.repeat(last[None] + 1, levels, axis=0)
    ends = ranks(np.stack([first, last]))
    least, most = np.repeat(ends[:1], levels, axis=0), np.repeat(ends[1:], levels, axis=0)
    check_monotone(least <= most)
    while True:
        middle = np.clip((below + reached) >> 1, first, last)
        left = reached - below > 1
        if not left.any():
            break
        rank = ranks(middle)
        check_monotone(~left | ((least <= rank) & (rank <= most)))
        enough = rank >= steps
        reached, most = np.where(left & enough, middle, reached), np.where(left & enough, rank, most)
        below, least = np.where(left & ~enough, middle, below), np.where(left & ~enough, rank, least)
    check_monotone(np.diff(reached, axis=0) >= 0)
    return np.ascontiguousarray(reached.T)


@dataclass(frozen=True, eq=False)
class MultiplierFit:
    """code = lowest + clamp((accumulator * m + b) >> s, 0, 2**bits - 1), a row of parameters for each channel.

    multipliers, offsets, shifts: int64 [channels]. differing: int64 [channels], how many of the ``reachable``
    accumulators (int64 [channels]) get another code than by the thresholds.
    """

    multipliers: IntArray
    offsets: IntArray
    shifts: IntArray
    differing: IntArray
    reachable: IntArray

    @property
    def multiplier_width(self) -> int:
        """Bits of the widest multiplier, at least 1."""
        return max(1, int(self.multipliers.max()).bit_length())

    @property
    def offset_width(self) -> int:
        """Bits of the widest offset, two's complement."""
        return sum_width(int(self.offsets.min()), int(self.offsets.max()))

    @property
    def share_differing(self) -> Fraction:
        """Of all reachable accumulators of all channels."""
        return Fraction(int(self.differing.sum()), int(self.reachable.sum()))

    def parameters(self, *, with_shift: bool = False) -> IntArray:
        """Parameter sets of a MultiplierSpec, int64 [channels, 2], or [channels, 3] ``with_shift``."""
        columns = [self.multipliers, self.offsets, *([self.shifts] if with_shift else [])]
        return np.stack(columns, axis=1)


def fit_multiplier(
    thresholds: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    multiplier_width: int | None = None,
    same_shift: bool = True,
) -> MultiplierFit:
    """Multipliers and offsets for thresholds [channels, L] or [L] over the reachable accumulators [low, high].

    Without ``multiplier_width``: the narrowest multipliers that are exact. The smallest m of a channel is that of its
    smallest feasible shift, floor(lower slope * 2**s) + 1. ``same_shift``: one shift for all channels, the smallest
    that serves each of them; otherwise each has its own. Raises ValueError where a channel has no exact multiplier:
    thresholds as rounding half to even makes them of ties lie on no line.

    With it: multipliers of at most so many bits, each channel's exact one where that fits. Otherwise the best of
    these candidates by the exact number of accumulators whose code differs: m next to the middle of the slopes, at
    the largest shift that leaves room for it, and every b with which one threshold is just right.
    """
    channels = channels_of(thresholds, low, high)
    if multiplier_width is None:
        chosen = _exact(channels, same_shift)
    else:
        check_integer("multiplier_width", multiplier_width, 1, 32)
        rooms = [_room(channel, multiplier_width) for channel in channels]
        if same_shift:  # the steepest channel decides; one of a single code has no slope to represent
            sloped = [room for room, channel in zip(rooms, channels, strict=True) if channel.slope]
            rooms = [min(sloped, default=0)] * len(rooms)
        chosen = [
            _nearest(channel, room, multiplier_width, channel.shift if not same_shift else room)
            for channel, room in zip(channels, rooms, strict=True)
        ]
    multipliers, offsets, shifts = (_fitting(column) for column in zip(*chosen, strict=True))
    _fitting([len(channels[0].thresholds) << int(shifts.max())])
    first, last = (
        np.array(column, dtype=np.int64) for column in zip(*((c.low, c.high) for c in channels), strict=True)
    )
    edges = np.array([channel.thresholds for channel in channels], dtype=np.int64)
    made = np.stack(
        [thresholds_of(*row, len(c.thresholds), c.low, c.high) for row, c in zip(chosen, channels, strict=True)]
    )
    return MultiplierFit(multipliers, offsets, shifts, count_differing(edges, made, first, last), last - first + 1)


def _exact(channels: list[Channel], same_shift: bool) -> list[tuple[int, int, int]]:
    """(m, b, s) of every channel."""
    shifts: list[int] = []
    for number, channel in enumerate(channels):
        shift = channel.shift
        if shift is None:
            raise InputError(f"the thresholds of channel {number} must lie on a line, but no multiplier gives them all")
        shifts.append(max(shift, shifts[-1] if same_shift and shifts else 0))
    if same_shift:
        shifts = [shifts[-1]] * len(shifts)
    made = []
    for channel, shift in zip(channels, shifts, strict=True):
        multiplier = channel.multiplier(shift)
        made.append((multiplier, channel.offset(multiplier, shift), shift))
    return made


def _room(channel: Channel, width: int) -> int:
    """The largest shift at which the channel's slope is at most ``width`` bits wide, and sums fit into int64."""
    slope, reach = channel.slope, max(-channel.low, channel.high, 1)
    most = min((1 << width) - 1, (1 << 60) // reach)
    limit = 60 - len(channel.thresholds).bit_length()
    shift = 0
    while shift < limit and slope * (1 << (shift + 1)) <= most:
        shift += 1
    return shift


def _nearest(channel: Channel, room: int, width: int, exact_at: int | None) -> tuple[int, int, int]:
    """(m, b, s): exact at the shift ``exact_at`` if that is possible, else the best candidate at ``room``."""
    if exact_at is not None:
        multiplier = channel.multiplier(exact_at)
        if multiplier.bit_length() <= width and channel.is_exact(multiplier, exact_at):
            return multiplier, channel.offset(multiplier, exact_at), exact_at
    middle = min(int(channel.slope * (1 << room)), (1 << width) - 1)
    best: tuple[int, int, int] | None = None
    steps = [(i, t) for i, t in enumerate(channel.thresholds, start=1) if channel.low < t <= channel.high]
    for multiplier in range(max(0, middle - 1), min(middle + 2, (1 << width) - 1) + 1):
        offsets = {(i << room) - multiplier * t for i, t in steps}
        offsets |= {(i << room) - multiplier * (t - 1) - 1 for i, t in steps}
        tried = np.array(sorted(offsets), dtype=np.int64)
        made = thresholds_of(multiplier, tried[:, None], room, len(channel.thresholds), channel.low, channel.high)
        wanted = np.broadcast_to(np.array(channel.thresholds, dtype=np.int64), made.shape)
        differing = count_differing(wanted, made, channel.low, channel.high)
        place = int(differing.argmin())
        if best is None or int(differing[place]) < best[0]:
            best = int(differing[place]), multiplier, int(tried[place])
    assert best is not None
    return best[1], best[2], room


def _fitting(column: Sequence[int]) -> IntArray:
    if max(map(abs, column)) >= _LIMIT:
        raise InputError(f"multipliers, offsets and steps must be below 2**62, not {max(map(abs, column))}")
    return np.array(column, dtype=np.int64)
