"""What wires of a placement change: rows of the comparison by the library's wire load, and placed.

    python benchmarks/wires.py [--library NAME | --liberty FILE] [--clock-mhz F] [--lef FILE] [--out FILE]

Eight designs at equal throughput, each with the pipelining and form that is best under the wire load. The netlist
is the same twice, and so is the area, unless that netlist misses the clock with its wires: then it is made for a faster
one.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from hwmodel.comparison import EQUAL_THROUGHPUT, Entry, Question, Row, compare_rows, measured_answer, questions
from hwmodel.measurement import Bench, Measurement, RowStore, SynthesisRow, choose, measure
from hwmodel.options import add_clock, add_library_file, add_placement, library_of, placing_of
from hwmodel.workload import standard_mixture
from rtl.mac import BitBladeSpec, BitFusionSpec, BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec
from siliquant.commandline import Parser, add_out_file, run
from siliquant.files import write_atomically
from siliquant.inputs import read_clock_mhz

BITS = 4
LANES = 16
DESIGNS = (
    PaddedSpec(units=1, gating=True),
    SubwordSpec(units=1, widths=(8, 4)),
    SubwordSpec(units=1),
    BitFusionSpec(units=1, widths=(8, 4)),
    BitBladeSpec(units=1, widths=(8, 4)),
    BitSerialSpec(units=1),
    LoomSpec(units=1),
)


def compared() -> list[Entry]:
    """The uniform MAC and DESIGNS at equal throughput, at a mean of BITS."""
    kinds, shown = tuple(dict.fromkeys(map(type, DESIGNS))), {spec.label for spec in DESIGNS}
    return [
        entry
        for entry in questions(BITS, LANES, LANES, kinds, standard_mixture(BITS))
        if entry.normalisation == EQUAL_THROUGHPUT and (entry.spec.design == "uniform" or entry.spec.label in shown)
    ]


def measured_twice(options: Namespace, bench: Bench) -> tuple[list[Row], list[Row], list[SynthesisRow]]:
    """The rows of the comparison by the wire load and placed, and the placed rows of their netlists."""
    entries, store = compared(), RowStore()
    loaded: dict[Question, Measurement] = {}
    placed: dict[Question, Measurement] = {}
    for entry in track(entries, "measuring", console=Console(stderr=True)):
        asked = entry.question
        found = choose(asked.spec, asked.precisions, replace(bench, placing=None), store)
        trial = measure(found.chosen.spec, asked.precisions, bench, store)
        loaded[asked], placed[asked] = found, Measurement(trial, (trial,))

    def rows(found: Mapping[Question, Measurement]) -> list[Row]:
        return compare_rows(entries, lambda asked: measured_answer(found[asked]))

    return rows(loaded), rows(placed), [placed[entry.question].chosen.row for entry in entries]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/wires.py", description=__doc__)
    add_library_file(parser)
    add_clock(parser)
    add_placement(parser)
    add_out_file(parser, "the figures, JSON (default: none)")
    options = parser.parse_args(["--place", *(sys.argv[1:] if arguments is None else arguments)])
    clock_mhz = read_clock_mhz(options.clock_mhz)
    library = library_of(options)
    bench = Bench(library, clock_mhz, jobs=1, placing=placing_of(parser, options, library))
    loaded, placed, rows = measured_twice(options, bench)
    table = Table(title=f"{library.name}, {clock_mhz:g} MHz; {rows[0].wires}", title_justify="left")
    for header in ("design", "stages", "um2", "wire um", "wires fF", "period ns", "fJ/MAC", "change", "ratio"):
        table.add_column(header, justify="left" if header == "design" else "right")
    for before, after, row in zip(loaded, placed, rows, strict=True):
        assert row.wiring is not None
        table.add_row(
            before.design, str(before.pipeline_stages), _pair(before.area_um2, after.area_um2, 0),
            f"{row.wiring.wire_um:,.0f}", f"{row.wiring.wire_ff:,.0f}",
            _pair(before.minimum_period_ns, after.minimum_period_ns, 3),
            _pair(before.energy_fj_per_mac, after.energy_fj_per_mac, 0), _change(before, after),
            _pair(before.power_ratio, after.power_ratio, 2),
        )  # fmt: skip
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(table)
    made_anew = [b.design for b, row in zip(loaded, rows, strict=True) if _made_anew(b, row)]
    console.print(f"netlists that meet the clock by the wire load and miss it placed: {', '.join(made_anew) or 'none'}")
    missed = [b.design for b, a in zip(loaded, placed, strict=True) if b.meets_clock and not a.meets_clock]
    console.print(f"of these still too slow when they are made for a faster clock: {', '.join(missed) or 'none'}")
    if options.out:
        figures = [_figures(*each) for each in zip(loaded, placed, rows, strict=True)]
        found = {"library": library.name, "clock_mhz": clock_mhz, "wires": rows[0].wires, "rows": figures}
        write_atomically(options.out, json.dumps(found, indent=1) + "\n")


def _made_anew(before: Row, row: SynthesisRow) -> bool:
    """Whether a netlist met the clock by the wire load and missed it when it was placed."""
    assert row.wiring is not None
    return bool(before.meets_clock) and (row.wiring.made_for_mhz > row.clock_mhz or not row.meets_clock)


def _figures(before: Row, after: Row, row: SynthesisRow) -> dict[str, Any]:
    """One line of --out; two values are by the wire load and placed."""
    assert row.wiring is not None
    return {
        "design": before.design,
        "pipeline_stages": before.pipeline_stages,
        "area_um2": [before.area_um2, after.area_um2],
        "made_for_mhz": row.wiring.made_for_mhz,
        "made_anew": _made_anew(before, row),
        "wire_um": row.wiring.wire_um,
        "wire_ff": row.wiring.wire_ff,
        "clock_um": row.wiring.clock_um,
        "minimum_period_ns": [before.minimum_period_ns, after.minimum_period_ns],
        "energy_fj_per_mac": [before.energy_fj_per_mac, after.energy_fj_per_mac],
        "energy_ratio": [before.power_ratio, after.power_ratio],
        "meets_clock": [before.meets_clock, after.meets_clock],
    }


def _pair(before: float | None, after: float | None, digits: int) -> str:
    texts = ["none" if value is None else f"{value:,.{digits}f}" for value in (before, after)]
    return " -> ".join(texts)


def _change(before: Row, after: Row) -> str:
    if before.energy_fj_per_mac is None or after.energy_fj_per_mac is None:
        return "none"
    return f"{100 * (after.energy_fj_per_mac / before.energy_fj_per_mac - 1):+.1f} %"


if __name__ == "__main__":
    run("benchmarks/wires.py", main)
