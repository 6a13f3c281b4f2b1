"""Compares uniform with mixed-precision MAC hardware at the same mean bit-width: ``python -m hwmodel.compare``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siliquant.cli import Parser, run

if TYPE_CHECKING:
    from hwmodel.comparison import Row
    from hwmodel.requantcost import UnitRow

PROG = "hwmodel.compare"
EPILOG = """\
The table has both normalisations: per unit, and per MAC at equal throughput. A section of its own has the units that
turn accumulators into the next layer's codes. DIR gets compare.csv, compare.json, compare.md, compare.png,
requantisation.csv, requantisation.json and rows/, the synthesis rows behind the numbers.

examples:
  python -m hwmodel.compare --bits 2,3,4
  python -m hwmodel.compare --bits 4 --designs bitfusion,bitblade --mixture 4=4:3/4,2:1/8,6:1/8
  python -m hwmodel.compare --bits 4 --liberty my.lib.gz --clock-mhz 800"""


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--bits", default="2,3,4", metavar="LIST", help="mean bit-widths, 2 to 8 (default 2,3,4)")
    made.add_argument("--library", default="freepdk45", metavar="NAME",
                      help="freepdk45, sky130hd, ihp-sg13g2 or asap7 (default freepdk45)")  # fmt: skip
    made.add_argument("--liberty", type=Path, metavar="FILE", help="a Liberty file instead (.lib, .lib.gz, .lib.xz)")
    made.add_argument("--full-adder", metavar="CELL", help="its full-adder cell (default: found by function)")
    made.add_argument("--pdk-dir", type=Path, metavar="DIR",
                      help="where the open PDKs' Liberty files are (default $SILIQUANT_PDK_DIR)")  # fmt: skip
    made.add_argument("--clock-mhz", default="500", metavar="F", help="clock every design must meet (default 500)")
    made.add_argument(
        "--lanes", default="16", metavar="N", help="lanes of the uniform MAC at equal throughput, 1 to 64 (default 16)"
    )
    made.add_argument(
        "--units", default="4", metavar="N", help="units of every design at equal units, 1 to 64 (default 4)"
    )
    made.add_argument("--requant-bits", metavar="LIST",
                      help="code widths of requantisation units: 2, 3, 4, 8, or none (default: as --bits)")  # fmt: skip
    made.add_argument("--designs", metavar="LIST", help="precision-scalable designs (default: all)")
    made.add_argument("--mixture", action="append", default=[], metavar="BITS=MIX",
                      help="mixture at one mean, as 4=2:1/3,4:1/2,8:1/6 (default: widths 2, 4 and 8)")  # fmt: skip
    made.add_argument("--out", type=Path, default=Path("build/compare"), metavar="DIR",
                      help="folder for the files (default build/compare)")  # fmt: skip
    made.add_argument("--format", choices=("table", "markdown", "csv", "json"), default="table",
                      help="what is printed (default table)")  # fmt: skip
    made.add_argument("--effort", choices=("quick", "normal", "high"), default="normal",
                      help="synthesis recipes tried (default normal)")  # fmt: skip
    made.add_argument("--jobs", default=str(os.cpu_count() or 1), metavar="N",
                      help="designs synthesised at a time (default: the processors)")  # fmt: skip
    made.add_argument("--fresh", action="store_true", help="synthesise again what is known already")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    bits = _bits(options.bits)
    codes = _code_widths(options.requant_bits, bits)
    from hwmodel.answers import Answers, settings

    lanes = _integer("lanes", options.lanes, 1, 64)
    chosen = settings(
        bits=bits,
        mixtures=options.mixture,
        designs=None if options.designs is None else options.designs.split(","),
        lanes=lanes,
        units=_integer("units", options.units, 1, 64),
        jobs=_integer("jobs", options.jobs, 1, 1024),
    )
    clock_mhz = _positive("clock_mhz", options.clock_mhz)
    _check_writable(options.out)

    from hwmodel.comparison import compare_rows
    from hwmodel.library import find_library
    from hwmodel.mapping import SynthesisError
    from hwmodel.plot import write_plot
    from hwmodel.requantcost import unit_rows, units
    from hwmodel.specimen import Bench
    from hwmodel.sta import TimingError
    from hwmodel.tables import write_tables

    library = find_library(
        options.library, liberty=options.liberty, pdk_dir=options.pdk_dir, full_adder=options.full_adder
    )
    bench = Bench(library, clock_mhz, options.effort, options.fresh)
    asked = units(codes, lanes)
    questions = [*(entry.question for entry in chosen.entries), *(unit.question for unit in asked)]
    answers = Answers(bench, chosen.jobs)
    try:
        answers.prepare(questions, asked)
    except (SynthesisError, TimingError) as error:
        raise ValueError(f"{library.path}: {error}") from error
    rows = compare_rows(chosen.entries, answers.get)
    requantisers = unit_rows(asked, answers.unit, answers.get)
    paths = [*write_tables(rows, options.out, requantisers), write_plot(rows, options.out / "compare.png")]
    paths += answers.write_rows(options.out / "rows")
    _print(rows, requantisers, options.format, options.out)
    if options.format == "table":
        print(f"{', '.join(path.name for path in paths)} in {options.out}", file=sys.stderr)


def _print(rows: Sequence[Row], requantisers: Sequence[UnitRow], form: str, folder: Path) -> None:
    if form != "table":
        suffix = {"markdown": "md"}.get(form, form)
        print((folder / f"compare.{suffix}").read_text(), end="")
        return
    from hwmodel.terminal import print_table

    print_table(rows, requantisers)


def _bits(text: str, name: str = "bits") -> list[int]:
    """Distinct bit-widths from 2 to 8 in the order given. Raises ValueError."""
    widths = []
    for part in text.split(","):
        if not part.strip().isdecimal() or not 2 <= int(part) <= 8:
            raise ValueError(f"{name} must be integers from 2 to 8 separated by commas, not {part!r} in {text!r}")
        if int(part) in widths:
            raise ValueError(f"{name} must be different from each other, not {part!r} twice in {text!r}")
        widths.append(int(part))
    return widths


def _code_widths(text: str | None, bits: list[int]) -> list[int]:
    """Code widths of requantisation units; by default those of the comparison that units are known for."""
    from hwmodel.requantcost import EXACT

    if text == "none":
        return []
    if text is None:
        return [width for width in bits if width in EXACT]
    return _bits(text, "requant_bits")


def _integer(name: str, text: str, low: int, high: int) -> int:
    if not text.strip().isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, not {text!r}")
    return int(text)


def _positive(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, not {text!r}")
    return value


def _check_writable(folder: Path) -> None:
    """Raises OSError before any work is done where the output folder cannot be written."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


if __name__ == "__main__":
    run(PROG, main)
