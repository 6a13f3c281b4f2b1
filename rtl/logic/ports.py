"""Ports of generated modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Port", "joined", "placed"]


@dataclass(frozen=True)
class Port:
    """One port of a generated module: an unsigned vector whose bits ``packing`` explains."""

    name: str
    width: int
    is_input: bool
    packing: str


def placed(ports: Iterable[tuple[str, int]]) -> tuple[tuple[str, int, int], ...]:
    """Ports, of each its name and width, side by side in one word, the first lowest: names, lowest bits, widths."""
    found, low = [], 0
    for name, width in ports:
        found.append((name, low, width))
        low += width
    return tuple(found)


def joined(ports: Iterable[tuple[str, int]], words: Mapping[str, int]) -> int:
    """The word of all ports as :func:`placed` has them; those that have no word are 0."""
    return sum(words.get(name, 0) << low for name, low, _ in placed(ports))
