"""Estimated against measured power where weights and activations have different widths: run

    python benchmarks/synthesis/pair_widths.py [--clock-mhz F] [--out FILE]

Synthesises one MAC of each kind that multiplies different widths natively, without pipeline stages, in freepdk45, and
measures its power at equal and at different widths. So one netlist tells widths from other causes of an error. What was
measured before is looked up. Pressure is how much faster than its relaxed netlist the clock asks a design to be, from 0
to 1, by the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwmodel.library import find_library
from hwmodel.measurement import Bench, RowStore, measure
from hwmodel.model import cost_of, load_model
from hwmodel.operands import StreamPlan
from hwmodel.options import add_clock
from rtl.mac import BitFusionSpec, BitSerialSpec, Dc1dSpec, LoomSpec
from rtl.spec import MacSpec, Precision
from siliquant.commandline import Parser, console, print_table, run
from siliquant.files import write_atomically
from siliquant.inputs import read_clock_mhz

LIBRARY = "freepdk45"
WIDTHS = (Precision(4, 4), Precision(4, 8), Precision(8, 8))
DESIGNS: tuple[MacSpec, ...] = (
    Dc1dSpec(units=4, widths=(8, 4)), BitFusionSpec(units=4, widths=(8, 4)), BitSerialSpec(units=4), LoomSpec(units=4),
)  # fmt: skip


def rows_of(clock_mhz: float, designs: Sequence[MacSpec] = DESIGNS) -> list[dict[str, Any]]:
    """A record for each design and pair of widths: errors in percent are of the estimate, negative where it is less
    than the measurement.
    """
    model, bench, store = load_model(LIBRARY), Bench(find_library(LIBRARY), clock_mhz), RowStore()
    found = []
    for spec in designs:
        trial = measure(spec, WIDTHS, bench, store)
        for precision, row in trial.powered.items():
            cost = cost_of(spec, StreamPlan(precision), model, clock_mhz)
            assert row.power_uw is not None
            found.append(
                {
                    "design": spec.name,
                    "widths": f"{precision.weight_bits}/{precision.activation_bits}",
                    "pressure": round(cost.pressure, 3),
                    "area_um2": round(row.area_um2, 1),
                    "area_percent": round(100 * (cost.total_area_um2 / row.area_um2 - 1), 1),
                    "power_uw": round(row.power_uw, 1),
                    "power_percent": round(100 * (cost.power_uw / row.power_uw - 1), 1),
                }
            )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/synthesis/pair_widths.py", description=__doc__)
    add_clock(parser)
    parser.add_argument("--out", metavar="FILE", help="write the table as JSON")
    options = parser.parse_args(arguments)
    rows = rows_of(read_clock_mhz(options.clock_mhz))
    lines = [[str(value) for value in row.values()] for row in rows]
    print_table(console(), f"{LIBRARY}, errors of estimates", list(rows[0]), lines)
    if options.out:
        write_atomically(Path(options.out), json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    run("benchmarks/synthesis/pair_widths.py", main)
