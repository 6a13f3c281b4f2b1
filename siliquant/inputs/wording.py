"""What stands in sentences: lists, and what to do where a package is missing."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["listing", "no_package"]


def listing(items: Iterable[str], word: str = "and") -> str:
    """Items with commas, and a word before the last. Raises ValueError where there are none.

    >>> listing(["2", "3", "4"]), listing(["2", "3"], "or"), listing(["2"])
    ('2, 3 and 4', '2 or 3', '2')
    """
    *others, last = items
    return f"{', '.join(others)} {word} {last}" if others else last


def no_package(name: str) -> str:
    """What a command says that needs a package of Python, or a module of one."""
    return f"this needs the package {name.partition('.')[0]}, which is not installed: make setup installs everything"
