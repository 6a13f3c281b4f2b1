"""How good a model is that is fitted to the first part of a calibration: run

    python benchmarks/calibration_parts.py [--library NAME] [--designs LIST] [--out FILE]

Takes a packaged table: nothing is synthesised. For each number of fitted designs it says how many are measured, their
share of the area that the whole sweep synthesises, and the mean and largest error in percent: on the designs that are
held out among them, as ``hwmodel.calibrate --designs`` says it, and on all designs of the table that were not fitted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hwmodel.fit import errors_by, points_of, predictions
from hwmodel.fit.fitting import Point, fit
from hwmodel.measurement import SweepDesign, packaged_calibration, sweep_designs
from hwmodel.options import add_library
from siliquant.commandline import Parser, run
from siliquant.files import write_atomically
from siliquant.inputs import integer, number_list

_QUANTITIES = ("area", "power", "period")


def swept(points: Sequence[Point]) -> list[SweepDesign]:
    """The designs of the sweep that a table has, in the order of the sweep: one of an older flow may lack some."""
    known = {point.spec for point in points}
    return [design for design in sweep_designs() if design.spec in known]


def part_of(points: Sequence[Point], fitted: int) -> list[Point]:
    """The points of the first of those designs, so many that ``fitted`` are not held out."""
    designs = swept(points)
    end = [place for place, design in enumerate(designs) if design.held_out is None][fitted - 1]
    specs = {design.spec for design in designs[: end + 1]}
    return [point for point in points if point.spec in specs]


def errors_of(part: Sequence[Point], asked: Sequence[Point], library: str) -> list[str]:
    """Mean and largest error of a model fitted to a part, on other points, for each of _QUANTITIES."""
    model = fit(part, library, "", 1.0, {})
    fitted = [point for point in part if not point.held_out]
    # The baselines beside the model are fitted to the points that are not held out, so those are given, too.
    found = errors_by(predictions([*fitted, *asked], model)[len(fitted) :], lambda _: "asked")["asked"]
    return [f"{found[name].mean[0]:.1f} / {found[name].largest[0]:.1f}" for name in _QUANTITIES]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/calibration_parts.py", description=__doc__)
    add_library(parser)
    parser.add_argument("--designs", metavar="LIST", help="numbers of fitted designs (default: 20, 40 and all)")
    parser.add_argument("--out", metavar="FILE", help="write the table as JSON")
    options = parser.parse_args(arguments)
    points = points_of(packaged_calibration(options.library))
    every = sum(design.held_out is None for design in swept(points))
    area_um2 = _area_um2(points)
    table = Table(title=f"{options.library}: mean / largest error, %", title_justify="left")
    headers = ["fitted", "measured", "share of area, %", *_QUANTITIES, *(f"{name}, all others" for name in _QUANTITIES)]
    for header in headers:
        table.add_column(header, justify="right")
    rows: list[dict[str, str]] = []
    numbers = number_list(
        "designs", options.designs or f"20,40,{every}", lambda name, text: integer(name, text, 20, every), 20
    )
    for number in numbers:
        part = part_of(points, number)
        known = {id(point) for point in part if not point.held_out}
        inside = [point for point in part if point.held_out]
        others = [point for point in points if id(point) not in known]
        share = 100 * _area_um2(part) / area_um2
        measured = len({point.spec for point in part})
        errors = errors_of(part, inside, options.library), errors_of(part, others, options.library)
        rows.append(
            dict(zip(headers, [str(number), str(measured), f"{share:.0f}", *errors[0], *errors[1]], strict=True))
        )
        table.add_row(*rows[-1].values())
    Console(width=150).print(table)
    if options.out:
        write_atomically(Path(options.out), json.dumps({"library": options.library, "rows": rows}, indent=1) + "\n")


def _area_um2(points: Sequence[Point]) -> float:
    """Of all netlists, each once."""
    return sum({(point.spec, point.clock_mhz): point.area_um2 for point in points}.values())


if __name__ == "__main__":
    run("benchmarks/calibration_parts.py", main)
