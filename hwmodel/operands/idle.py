"""A stimulus that stops: what a design takes while no operands come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["idle_after"]

_MARKS = ("in_valid", "valid", "last", "enable", "capture", "shift", "load_valid")
"""Ports, of MACs, cores of arrays and requantisation units, that are low where the others say nothing."""
_CYCLES = 32


def idle_after(words: Mapping[str, Sequence[int]], first_full_cycle: int) -> tuple[dict[str, list[int]], int]:
    """The words up to a cycle by which all stages have held operands, then none that count.

    words: of every port but the clock, one a cycle. Behind that cycle the words hold, but for what marks them valid,
    which is low. Returns the words and the cycle from which on nothing is under way any more.
    """
    length = 2 * first_full_cycle + _CYCLES
    found = {}
    for name, column in words.items():
        held = 0 if name in _MARKS else column[first_full_cycle]
        found[name] = [*column[: first_full_cycle + 1], *[held] * length][: first_full_cycle + length]
    return found, 2 * first_full_cycle + 1
