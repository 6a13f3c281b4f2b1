"""Siliquant's packages win in its own processes, whatever the current folder and PYTHONPATH hold.

Their names (``rtl``, ``sim``, ``qat``, ``reports``) are words that a project may well have a folder or a file of, so
before a command imports any, the places of the import path that hold another module of such a name go behind the
folder that this package is in; a path without such a place stays as it is. As a program, ``python -P shadows.py
MODULE ...`` is ``python -m MODULE ...`` of siliquant's own module. Nothing is imported before that but what Python
comes with.
"""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["PACKAGES", "module_command", "pin"]

PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports")
"""Every top-level name of the wheel."""
_FILE = Path(__file__).resolve()
_HOME = _FILE.parents[2]


def pin() -> None:
    """Orders the import path of this process, and names the folder for what PyTorch leaves; for the start of a command,
    not for a library.

    Ends the process with code 2 and a line on standard error where another module of a name was imported before.
    """
    at = next((index for index, entry in enumerate(sys.path) if Path(entry).resolve() == _HOME), len(sys.path))
    foreign = [entry for entry in sys.path[:at] if any(_other(name, entry) for name in PACKAGES)]
    if foreign:
        before = [entry for entry in sys.path[:at] if entry not in foreign]
        sys.path[:] = [*before, *(sys.path[at : at + 1] or [str(_HOME)]), *foreign, *sys.path[at + 1 :]]
    elif at == len(sys.path):
        sys.path.append(str(_HOME))
    for name in PACKAGES:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and _HOME / name not in Path(file).resolve().parents:
            line = (
                f"siliquant: error: {name} must be siliquant's package in {_HOME}, not {file}: that came first; "
                "rename it, or start where it is not found\n"
            )
            with contextlib.suppress(OSError):  # past the buffer, which Python would write as it ends, or end with 120
                os.write(2, line.encode(errors="backslashreplace"))
            sys.exit(2)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs one of siliquant's modules in a process of its own, in any folder."""
    return [sys.executable, "-P", str(_FILE), module, *arguments]


def _other(name: str, entry: str) -> bool:
    """Whether a place of the import path has a module of that name that is not siliquant's."""
    found = PathFinder.find_spec(name, [entry])
    return found is not None and found.origin is not None and _HOME not in Path(found.origin).resolve().parents[1:2]


if __name__ == "__main__":
    import runpy

    pin()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
