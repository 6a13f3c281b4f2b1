"""What stands in sentences: lists, numbers of things, and what to do where a package or memory is missing."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError

__all__ = ["counted", "listing", "missing_package", "no_memory", "no_package"]

_NO_MEMORY = "this needs more memory than there is"
_NOT_LOADED = re.compile(r"failed to map segment|cannot allocate memory", re.IGNORECASE)
"""What the loader of shared libraries says where no memory is left."""
_NO_THREAD = "can't start new thread"  # what Python says where there is no memory for its stack


def listing(items: Iterable[str], word: str = "and") -> str:
    """Items with commas, and a word before the last. Raises ValueError where there are none.

    >>> listing(["2", "3", "4"]), listing(["2", "3"], "or"), listing(["2"])
    ('2, 3 and 4', '2 or 3', '2')
    """
    *others, last = items
    return f"{', '.join(others)} {word} {last}" if others else last


def counted(count: int, what: str, plural: str | None = None) -> str:
    """A number of things; ``plural``: where it is more than an s behind ``what``, which may have a verb.

    >>> counted(1, "run"), counted(1234, "code"), counted(2, "case fails", "cases fail")
    ('1 run', '1,234 codes', '2 cases fail')
    """
    return f"{count:,} {what if count == 1 else plural or what + 's'}"


def missing_package(error: ModuleNotFoundError) -> str | None:
    """The package that was not found; None where it is there, and only lacks the module that was asked for."""
    if isinstance(error, PackageNotFoundError):  # by its name in the index, which need not be a module's
        return error.name
    package = (error.name or "").partition(".")[0]
    if not package:
        return None
    try:
        return package if importlib.util.find_spec(package) is None else None
    except (ImportError, ValueError):  # it is loaded, and does not say from where
        return None


def no_memory(error: BaseException) -> str | None:
    """What to say of an exception that means that no memory is left, which has few words or none; None of others."""
    text = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and text == _NO_THREAD):
        return f"{_NO_MEMORY}: {text}" if text else _NO_MEMORY
    if isinstance(error, ImportError) and _NOT_LOADED.search(text):
        return f"{_NO_MEMORY} to load its libraries"
    return None


def no_package(name: str) -> str:
    """What a command says that needs a package of Python, or a module of one."""
    return f"this needs the package {name.partition('.')[0]}, which is not installed: make setup installs everything"
