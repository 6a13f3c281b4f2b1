"""Every pair of operands, and every accumulator, through the gates of every design: ``python -m tests.exhaustive``.

One lane or unit of each MAC design at every precision, each pair of codes in every place of a step; requantisers of
8-bit accumulators with many parameter sets. Exit code 1 and one line at the first result that is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from siliquant.commandline import Parser, add_jobs, add_out_file, console, print_table, read_jobs, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, listing, short
from siliquant.processes import side_by_side
from tests.exhaustive.check import check, specs

__all__ = ["main"]

PROG = "tests.exhaustive"
HEADERS = ("design", "specs", "results", "s")


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__)
    made.add_argument("--only", metavar="NAME", help="this design or unit alone")
    add_jobs(made)
    add_out_file(made, "how many results were compared, JSON (default: none)")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    chosen = [spec for spec in specs() if options.only in (None, spec.design)]
    if not chosen:
        raise InputError(
            f"--only must be one of {listing(sorted({s.design for s in specs()}))}, not {short(options.only)}"
        )
    rows: dict[str, dict[str, float]] = {spec.design: {"specs": 0, "results": 0, "seconds": 0.0} for spec in chosen}
    try:
        for spec, (results, seconds) in side_by_side(check, chosen, read_jobs(options.jobs)):
            row = rows[spec.design]
            row["specs"] += 1
            row["results"] += results
            row["seconds"] = round(row["seconds"] + seconds, 1)
    except AssertionError as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        sys.exit(1)
    lines = [[name, f"{row['specs']}", f"{row['results']:,}", f"{row['seconds']}"] for name, row in rows.items()]
    print_table(console(), "results compared, none of them wrong", HEADERS, lines)
    if options.out is not None:
        write_atomically(options.out, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    run(PROG, main)
