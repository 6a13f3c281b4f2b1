"""Damaged files and hostile command lines against every reader and every command: ``python -m tests.fuzz --minutes N``.

A reader may return or raise an error of siliquant.inputs.errors; a command may end with 0, 1 or 2 and one line. A
traceback, a hang, more than 2 GiB, a file outside its output folder is a fault: the input is made smaller while the
fault stays, and written to --out with the seed that makes it again. Exit code 1 where there was a fault.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from siliquant.commandline.cli import Parser, run
from siliquant.commandline.options import add_out_folder
from siliquant.inputs.numbers import integer, number

__all__ = ["main"]

PROG = "tests.fuzz"


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__)
    made.add_argument("--minutes", default="2", metavar="N", help="time for all of it, 0.05 to 10000")
    made.add_argument("--seed", metavar="N", help="of the damage (default: the time)")
    made.add_argument("--only", metavar="TEXT", default="", help="readers and commands with this in their name")
    add_out_folder(made, "inputs that failed", "build/fuzz")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    minutes = number("minutes", options.minutes, 0.05, 10_000)
    seed = int(time.time()) if options.seed is None else integer("seed", options.seed, 0, 1 << 62)
    from tests.fuzz.campaign import campaign

    print(f"seed {seed}", flush=True)
    _, faults = campaign(seed, 60 * minutes, options.only, Path(options.out))
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    run(PROG, main)
