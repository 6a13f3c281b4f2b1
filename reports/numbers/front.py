"""What nothing beats in two quantities at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["undominated"]

Item = TypeVar("Item")


def undominated(items: Sequence[Item], first: Callable[[Item], float], second: Callable[[Item], float]) -> list[Item]:
    """Items of which no other has at most the first and at most the second quantity, by rising first; one of alike.

    >>> undominated([(3, 1), (1, 3), (2, 4)], lambda pair: pair[0], lambda pair: pair[1])
    [(1, 3), (3, 1)]
    """
    found: list[Item] = []
    for item in sorted(items, key=lambda item: (first(item), second(item))):
        if not found or second(item) < second(found[-1]):
            found.append(item)
    return found
