"""Faults of the world against every command that takes long: ``python -m tests.faults --faults kill --seed 1``."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from siliquant.commandline.cli import Parser, run
from siliquant.commandline.options import add_out_folder
from siliquant.inputs.numbers import integer, number

__all__ = ["main"]

PROG = "tests.faults"


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__)
    made.add_argument("--count", default="50", metavar="N", help="cases of each, 1 to 10000")
    made.add_argument("--seconds", default="600", metavar="N", help="for each, after which no case begins")
    made.add_argument("--seed", metavar="N", default="1", help="of the moments and choices")
    made.add_argument("--only", metavar="LIST", default="", help="commands (default: all)")
    made.add_argument("--faults", metavar="LIST", default="", help="faults (default: all)")
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    made.add_argument("--older", action="store_true", help="what other code did counts too, where nothing was found")
    made.add_argument(
        "--known",
        action="store_true",
        help="try nothing: print what is kept, as JSON; all must be there, of this code, with nothing found",
    )  # fmt: skip
    add_out_folder(made, "outcomes, as they are made", "build/faults")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from tests.faults.campaign import FAULTS, campaign, known_outcomes

    faults = options.faults.split(",") if options.faults else list(FAULTS)
    only = options.only.split(",") if options.only else []
    if options.known:
        print(json.dumps({"outcomes": known_outcomes(options.out, only, faults, older=options.older)}, indent=1))
        return
    signal.signal(signal.SIGTERM, _interrupted)
    seed, count = integer("seed", options.seed, 0, 1 << 62), integer("count", options.count, 1, 10_000)
    seconds = number("seconds", options.seconds, 0.1, 1e6)
    found = campaign(seed, count, seconds, only, faults, options.out, fresh=options.fresh, older=options.older)
    if any(each["found"] for each in found.values()):
        sys.exit(1)


def _interrupted(*_: Any) -> NoReturn:
    """Ends as by Ctrl-C, so that disks and processes are taken away."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    run(PROG, main)
