"""Lists as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listing"]


def listing(items: Iterable[str], word: str = "and") -> str:
    """Items with commas, and a word before the last. Raises ValueError where there are none.

    >>> listing(["2", "3", "4"]), listing(["2", "3"], "or"), listing(["2"])
    ('2, 3 and 4', '2 or 3', '2')
    """
    *others, last = items
    return f"{', '.join(others)} {word} {last}" if others else last
