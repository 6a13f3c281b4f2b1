"""Runs this project's own commands as a reader would, and gives what they print."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from siliquant.files import lasting, scratch
from siliquant.inputs import InputError
from siliquant.processes import OutOfTimeError, run_program

__all__ = ["ROOT", "printed_and_written"]

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 600


def printed_and_written(*arguments: str, names: Sequence[str] = ()) -> tuple[str, list[str]]:
    """What ``python`` with these arguments prints, and what it writes into the files ``names``.

    OUT in the arguments stands for an empty folder, in which those files are. The cache was empty when this process
    asked first, so that nothing comes from this machine but what is in the package, or was counted by such a command.

    Raises ValueError where it fails, measures what should be there, or takes ten minutes.
    """
    with scratch("docs") as folder:
        environment = os.environ | {
            "SILIQUANT_CACHE_DIR": str(_cache()),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "120",
        }
        command = [sys.executable, *(each.replace("OUT", str(Path(folder, "out"))) for each in arguments)]
        try:
            done = run_program(command, cwd=ROOT, env=environment, timeout=_SECONDS)
        except OutOfTimeError:
            raise InputError(f"{' '.join(arguments)} must end within {_SECONDS} s") from None
        texts = [] if done.returncode else [Path(folder, "out", name).read_text() for name in names]
    if done.returncode != 0:
        raise InputError(f"{' '.join(arguments)} must succeed, and said: {done.stderr.strip()}")
    if "synthesising" in done.stderr:
        raise InputError(f"{' '.join(arguments)} must find its rows in the package: docs/synthesis.md says how")
    return done.stdout, texts


@cache
def _cache() -> Path:
    return lasting("docs")
