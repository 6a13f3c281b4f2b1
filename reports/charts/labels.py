"""Labels at the ends of lines, moved apart where they would lie upon each other."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["apart"]


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places with at least ``gap`` between any two, in the same order, within ``low`` and ``high`` where there is room
    for all, and as little moved as that takes.

    >>> apart([1.0, 1.2, 5.0], 1.0, 0.0, 10.0)
    [0.6, 1.6, 5.0]
    """
    order = sorted(range(len(places)), key=lambda index: (places[index], index))
    # Runs of labels that touch: each as wide as its labels need, about the mean of their own places.
    runs: list[list[int]] = []
    starts: list[float] = []
    for index in order:
        runs.append([index])
        starts.append(_start([index], places, gap, low, high))
        while len(runs) > 1 and starts[-2] + len(runs[-2]) * gap > starts[-1]:
            runs[-2:] = [runs[-2] + runs[-1]]
            starts[-2:] = [_start(runs[-1], places, gap, low, high)]
    found = [0.0] * len(places)
    for run, start in zip(runs, starts, strict=True):
        for number, index in enumerate(run):
            found[index] = round(start + number * gap, 9)
    return found


def _start(run: Sequence[int], places: Sequence[float], gap: float, low: float, high: float) -> float:
    centre = sum(places[index] for index in run) / len(run)
    length = (len(run) - 1) * gap
    return max(low, min(centre - length / 2, high - length))
