"""Shares that were counted: the interval by which an accuracy is stated and a stated one is checked; percent."""

from __future__ import annotations

import math

__all__ = ["share_found", "wilson_interval"]


def wilson_interval(correct: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (95 % by default); ``correct`` of ``n``, from 0 to ``n``.

    >>> [round(x, 4) for x in wilson_interval(944, 1000)]
    [0.928, 0.9566]
    """
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def share_found(found: int, of: int) -> str:
    """A share in percent, rounded down: 100.0 % is all.

    >>> share_found(6213, 6216), share_found(3, 3), share_found(0, 0)
    ('99.9 %', '100.0 %', '100.0 %')
    """
    return f"{1000 * found // of / 10 if of else 100.0:.1f} %"
