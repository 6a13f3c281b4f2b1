"""Verilator, slang, Icarus and Yosys on the Verilog of every design, all warnings on: ``python -m tests.readers``.

Exit code 1 where any of them says anything.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rtl.array import ArraySpec
from rtl.verilog import Generated
from siliquant.commandline import Parser, add_out_file, console, print_table, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, listing, short
from tests.readers.readers import READERS, SPECS, written

__all__ = ["main"]

PROG = "tests.readers"


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__)
    made.add_argument("--only", metavar="NAME", help="this design or unit alone")
    add_out_file(made, "files read and lines said, JSON (default: none)")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    kinds = sorted({_kind(spec) for spec in SPECS})
    if options.only not in (None, *kinds):
        raise InputError(f"--only must be one of {listing(kinds)}, not {short(options.only)}")
    rows: dict[str, dict[str, int]] = {}
    for spec in SPECS:
        if options.only not in (None, _kind(spec)):
            continue
        row = rows.setdefault(_kind(spec), {"files": 0, "lines": 0, **dict.fromkeys(READERS, 0)})
        row["files"] += 1
        with tempfile.TemporaryDirectory() as folder:
            name = written(spec, Path(folder))
            row["lines"] += (Path(folder) / name).read_text().count("\n")
            for reader, read in READERS.items():
                said = read(Path(folder), name)
                row[reader] += len(said.splitlines())
                if said:
                    print(f"{PROG}: {reader} on {name}: {said.splitlines()[0]}", file=sys.stderr)
    lines = [[kind, *(f"{value:,}" for value in row.values())] for kind, row in rows.items()]
    print_table(console(), "lines that are said", ("design", "files", "lines", *READERS), lines)
    if options.out is not None:
        write_atomically(options.out, json.dumps(rows, indent=1) + "\n")
    if any(row[reader] for row in rows.values() for reader in READERS):
        sys.exit(1)


def _kind(spec: Generated) -> str:
    """The design, or the architecture of an array."""
    return spec.architecture.value if isinstance(spec, ArraySpec) else str(spec.design)


if __name__ == "__main__":
    run(PROG, main)
