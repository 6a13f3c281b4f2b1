"""Does the verdict hold at other clocks and with other operands? Ratios to the uniform MAC, measured.

    python benchmarks/ratios.py [--bits 4] [--clocks 250,500,750,1000] [--designs subword,...] [--jobs N] [--out FILE]

Equal throughput, the standard mixture of the mean, every design at the set of widths that the comparison shows at
500 MHz. The first table has, at each clock, the best pipelining and form of each design that meets it; the second the
netlists of 500 MHz with each stream of operands. All are measured with glitches (freepdk45); rows are kept as those
of the comparison are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from hwmodel.comparison import (
    EQUAL_THROUGHPUT,
    Entry,
    Row,
    best_rows,
    compare_rows,
    contenders,
    entries_of,
    measured_answer,
)
from hwmodel.comparison.tables import figure
from hwmodel.library import find_library
from hwmodel.measurement import Bench, DesignUnderTest, MacTrial, Measurement, RowStore, choose
from hwmodel.operands import STREAM_NAMES, UNIFORM, Stream, StreamPlan
from hwmodel.workload import standard_mixture
from siliquant.commandline import Parser, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, integer, number

PROG = "benchmarks/ratios.py"
CLOCK_MHZ = 500.0
LANES = 16  # of the uniform MAC
UNITS = 4  # at equal units, which is not looked at


def measured(entry: Entry, bench: Bench) -> Measurement:
    """The pipelining and form that are best at the clock."""
    return choose(entry.question.spec, entry.question.precisions, bench, RowStore())


def streamed(trial: MacTrial, bench: Bench, name: str) -> Measurement:
    """The same netlist with other operands."""
    plans = {precision: StreamPlan(precision, Stream(name)) for precision in trial.powered}
    with DesignUnderTest(trial.spec, bench, RowStore()) as dut:
        found = dut.at(bench.clock_mhz, tuple(plans.values()))
    powered = {precision: found.powered[plan] for precision, plan in plans.items()}
    one = MacTrial(trial.spec, found.row, powered)
    return Measurement(one, (one,))


def rows_of(entries: Sequence[Entry], found: Sequence[Measurement], stream: str = UNIFORM) -> list[Row]:
    """The lines of the comparison for these measurements with operands of a stream."""
    answers = {
        entry.question: measured_answer(each, Stream(stream)) for entry, each in zip(entries, found, strict=True)
    }
    return compare_rows(entries, answers.__getitem__)


def at_clock(entries: Sequence[Entry], clock_mhz: float, jobs: int, what: str) -> list[Measurement]:
    """The measurements of all entries at one clock."""
    bench = Bench(find_library("freepdk45"), clock_mhz, jobs=jobs)
    return [measured(entry, bench) for entry in track(entries, what, transient=True)]


def figures(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """What is kept of each design."""
    return {
        row.design: {
            "stages": row.pipeline_stages,
            "meets_clock": row.meets_clock,
            "area_um2_per_mac_per_cycle": round(row.area_um2_per_mac_per_cycle, 2),
            "energy_fj_per_mac": _rounded(row.energy_fj_per_mac, 2),
            "area_ratio": _rounded(row.area_ratio, 4),
            "energy_ratio": _rounded(row.power_ratio, 4),
        }
        for row in rows
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = Parser(prog=PROG, description="Measures the ratios of the comparison at other clocks and operands.")
    parser.add_argument("--bits", default="4", metavar="B", help="mean bits, 2 to 8 (default 4)")
    parser.add_argument("--clocks", default="250,500,750,1000", metavar="LIST", help="MHz (default 250,500,750,1000)")
    parser.add_argument("--designs", metavar="LIST", help="precision-scalable designs (default: all)")
    parser.add_argument("--jobs", default="2", metavar="N", help="recipes side by side (default 2)")
    parser.add_argument("--out", metavar="FILE", help="write the tables as JSON")
    options = parser.parse_args(arguments)
    bits, jobs = integer("bits", options.bits, 2, 8), integer("jobs", options.jobs, 1, 64)
    clocks = [number("clocks", text, 1.0, 1e5) for text in options.clocks.split(",")]
    designs = contenders(options.designs.split(",") if options.designs else None)
    every = entries_of({bits: standard_mixture(bits)}, designs, LANES, UNITS)
    every = tuple(entry for entry in every if entry.normalisation == EQUAL_THROUGHPUT)
    first = at_clock(every, CLOCK_MHZ, jobs, f"{CLOCK_MHZ:g} MHz, every set of widths")
    best = {row.spec for row in best_rows(rows_of(every, first))}
    kept = [(entry, each) for entry, each in zip(every, first, strict=True) if each.chosen.spec.name in best]
    entries, chosen = [entry for entry, _ in kept], [each for _, each in kept]
    by_clock = {}
    for clock_mhz in clocks:
        found = chosen if clock_mhz == CLOCK_MHZ else at_clock(entries, clock_mhz, jobs, f"{clock_mhz:g} MHz")
        by_clock[f"{clock_mhz:g}"] = figures(rows_of(entries, found))
    _print("ratios at clocks in MHz: area / energy", by_clock)
    bench = Bench(find_library("freepdk45"), CLOCK_MHZ, jobs=1)
    by_stream = {}
    console = Console(stderr=True)
    for name in STREAM_NAMES:
        try:
            found = [streamed(each.chosen, bench, name) for each in chosen]
        except InputError as error:  # it has no codes of some width
            console.print(f"without {name}: {error}", highlight=False, markup=False)
        else:
            by_stream[name] = figures(rows_of(entries, found, name))
    _print("ratios under operands: area / energy", by_stream)
    if options.out:
        values = {
            "library": "freepdk45",
            "clock_mhz": CLOCK_MHZ,
            "bits": bits,
            "clocks": by_clock,
            "streams": by_stream,
        }
        write_atomically(Path(options.out), json.dumps(values, indent=1) + "\n")


def _print(title: str, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    table = Table("design", *found, title=title)
    for design in next(iter(found.values())):
        cells = [each[design] for each in found.values()]
        texts = [" / ".join(figure(cell[name], 2) for name in ("area_ratio", "energy_ratio")) for cell in cells]
        table.add_row(
            design,
            *(text if cell["meets_clock"] else f"{text} (misses)" for text, cell in zip(texts, cells, strict=True)),
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    run(PROG, main)
