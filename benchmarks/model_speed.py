"""Speed of the cost model: a table of estimates against a loop over single ones, and the first estimate of a design.

    python benchmarks/model_speed.py [--rows 1000000] [--designs 100] [--cost-model FILE] [--repeats 5] [--check]

The rows are drawn from designs of every kind under one to four operand streams each, every row at a clock of its own.
First each design is estimated once, with an empty cache: gates are counted, the longest paths and the transitions
found; one after the other, and in another empty cache all of them as one table. The comparison is made at its largest
sizes (64 lanes, 64 units, mean widths of 2, 3 and 4 bits), with an empty cache and again. Then everything about designs
and streams is known, as it is after the first look at them, and the same rows are estimated as one table and, for a
part of them, in a Python loop; both must agree.

Rates are given by the clock on the wall and by CPU time, which other work on the machine changes less; either is of the
best of several runs. All but the comparison runs on one core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from hwmodel.model import (
    LibraryModel,
    energies_of,
    estimate,
    features,
    known_models,
    load_model,
    read_model,
    shape_of,
    structure_of,
    switching_of,
)
from hwmodel.operands import LSQ_GAUSSIAN, UNIFORM, Stream, StreamPlan
from rtl.mac import DESIGNS, UniformSpec
from rtl.spec import MacSpec, Precision, check_integer, widths_text
from siliquant.commandline import Parser, run
from siliquant.processes import cores

LENGTH = 3000  # of the sums: no other design of the project has it, so nothing about these is kept anywhere
LOOP = 20_000  # rows that the loop gets, at most
POINTS_A_SECOND, MICROSECONDS = 1e6, 50.0


@dataclass(frozen=True)
class Case:
    """A design under one operand stream."""

    spec: MacSpec
    precision: Precision
    stream: str

    @property
    def plan(self) -> StreamPlan:
        """The stream as an argument of a single estimate."""
        return StreamPlan(self.precision, Stream(self.stream))


@dataclass(frozen=True)
class Speed:
    """So many points in this time, on the wall and of the CPU."""

    name: str
    points: int
    wall_s: float
    cpu_s: float


def sizes(design: type[MacSpec]) -> Iterator[MacSpec]:
    """A kind of design, the small ones first; of serial and binary ones with as many lanes as they are used with."""
    step = 1 if "widths" in design.parameter_help() else 16
    for size, stages in product((1, 2, 3, 4), (0, 1)):
        yield design(**{design.size_parameter: step * size}, pipeline_stages=stages, reduction_length=LENGTH)


def uniform() -> Iterator[MacSpec]:
    """Uniform designs of every two widths, those of few lanes first."""
    for n, p, w, a in product((1, 2, 4, 8), (0, 1), range(1, 9), range(1, 9)):
        yield UniformSpec(weight_bits=w, activation_bits=a, lanes=n, pipeline_stages=p, reduction_length=LENGTH)


def designs(number: int) -> list[MacSpec]:
    """Designs of every kind, in turns: five uniform ones for one of each other kind."""
    kinds = [sizes(design) for design in DESIGNS if design is not UniformSpec]
    same, found = uniform(), list[MacSpec]()
    while len(found) < number:
        found += [spec for kind in (*kinds, *[same] * 5) if (spec := next(kind, None))]
    return found[:number]


def cases(specs: Sequence[MacSpec]) -> list[Case]:
    """Up to two precisions of each design, under uniform codes and, where those have several bits, Gaussian ones."""
    return [
        Case(spec, precision, stream)
        for spec in specs
        for precision in spec.precisions[:2]
        for stream in (UNIFORM, LSQ_GAUSSIAN)
        if stream == UNIFORM or min(precision.weight_bits, precision.activation_bits) > 1
    ]


def best(name: str, points: int, repeats: int, work: Callable[[], object]) -> Speed:
    """The shortest times of several runs."""
    wall, cpu = [], []
    for _ in range(repeats):
        began, began_cpu = time.perf_counter(), time.process_time()
        work()
        cpu.append(time.process_time() - began_cpu)
        wall.append(time.perf_counter() - began)
    return Speed(name, points, min(wall), min(cpu))


def first_estimates(specs: Sequence[MacSpec], model: LibraryModel) -> list[float]:
    """CPU seconds of each design's first estimate."""
    estimate(UniformSpec(lanes=1, reduction_length=LENGTH - 1), model)  # now everything is imported
    found = []
    for spec in specs:
        began = time.process_time()
        estimate(spec, model)
        found.append(time.process_time() - began)
    return found


def frame_of(specs: Sequence[MacSpec]) -> pd.DataFrame:
    """One row a design."""
    return pd.DataFrame([_cells(spec) for spec in specs])


def _cells(spec: MacSpec) -> dict[str, object]:
    """Design and parameters as a table has them: widths as text."""
    given = {name: widths_text(each) if isinstance(each, list) else each for name, each in spec.parameters.items()}
    return {"design": spec.design, **given}


def together(specs: Sequence[MacSpec], model: LibraryModel) -> tuple[float, pd.DataFrame]:
    """CPU seconds of the first estimates of all designs in one table, and the estimates."""
    for remembered in (features._entry, features.counts_of, features.shared_counts_of, features.transitions_of,
                       features.shared_transitions_of, shape_of, energies_of, structure_of, switching_of):  # fmt: skip
        remembered.cache_clear()
    frame, began = frame_of(specs), time.process_time()
    found = estimate(frame, model)
    return time.process_time() - began, found


def comparison_s(cache: str) -> float:
    """Seconds on the wall of the comparison at its largest sizes."""
    sizes_and_place = ("--lanes", "64", "--units", "64", "--out", f"{cache}/compare")
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "hwmodel.compare", *sizes_and_place],
        env=os.environ | {"SILIQUANT_CACHE_DIR": cache}, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def table_of(chosen: Sequence[Case], which: np.ndarray, clocks: np.ndarray) -> pd.DataFrame:
    """One row for each number of a case and clock, as a user would have it."""
    lines = [{**_cells(case.spec), "precision": str(case.precision), "stream": case.stream} for case in chosen]
    frame = pd.DataFrame(lines).iloc[which].reset_index(drop=True)
    return frame.assign(clock_mhz=clocks)


def speeds(chosen: Sequence[Case], model: LibraryModel, rows: int, repeats: int) -> Iterator[Speed]:
    """The table, the loop over a part of its rows, and one design again and again."""
    rng = np.random.default_rng(0)
    which, clocks = rng.integers(0, len(chosen), rows), rng.uniform(50.0, 2000.0, rows)
    frame = table_of(chosen, which, clocks)
    found = estimate(frame, model)  # whatever was never looked at is counted now
    yield best("one table", rows, repeats, lambda: estimate(frame, model))

    part = min(rows, LOOP)
    plans = [case.plan for case in chosen]
    asked = [(chosen[i].spec, mhz, plans[i]) for i, mhz in zip(which[:part].tolist(), clocks.tolist(), strict=False)]
    singles = [estimate(spec, model, mhz, plan).power_uw for spec, mhz, plan in asked]
    if not np.allclose(found["power_uw"].to_numpy()[:part], singles, rtol=1e-9):
        raise AssertionError("a table must give what single estimates give")
    yield best("a loop over single estimates", part, repeats, lambda: [estimate(s, model, f, p) for s, f, p in asked])

    spec, mhz, plan = asked[0]
    yield best("one estimate again and again", part, repeats, lambda: [estimate(spec, model, mhz, plan) for _ in asked])


def misses(found: Sequence[Speed]) -> list[str]:
    """What is slower than it should be, a sentence each."""
    table, _, single = found
    said = []
    if table.points / table.cpu_s < POINTS_A_SECOND:
        rate = table.points / table.cpu_s
        said.append(f"A table must have at least {POINTS_A_SECOND:,.0f} points a CPU second, and had {rate:,.0f}.")
    if 1e6 * single.cpu_s / single.points > MICROSECONDS:
        took = 1e6 * single.cpu_s / single.points
        said.append(f"A known estimate must take at most {MICROSECONDS:g} us of CPU time, and took {took:.1f}.")
    return said


def chosen_model(path: Path | None) -> LibraryModel:
    """The model in a file, or the first that comes with the package."""
    if path is not None:
        return read_model(path)
    if not known_models():
        raise ValueError("--cost-model must be given: no model comes with the package; hwmodel.calibrate makes one")
    return load_model(known_models()[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/model_speed.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="rows of the table")
    parser.add_argument("--designs", type=int, default=100, metavar="N", help="designs it is drawn from")
    parser.add_argument(
        "--cost-model", type=Path, metavar="FILE", help="fitted cost model (default: the package's first)"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="runs, of which the best counts")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 below a million points a second, or above 50 us an estimate"
    )
    options = parser.parse_args(arguments)
    rows, repeats = (check_integer(f"--{name}", getattr(options, name), 1) for name in ("rows", "repeats"))
    number = check_integer("--designs", options.designs, 1, 500)
    model = chosen_model(options.cost_model)
    specs = designs(number)
    chosen = cases(specs)
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, SILIQUANT_CACHE_DIR=cache):
        first_s = first_estimates(specs, model)
        one_by_one = [estimate(spec, model).power_uw for spec in specs]
        print(f"first estimates: {1e3 * statistics.median(first_s):.0f} ms (median)", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, SILIQUANT_CACHE_DIR=empty):
            together_s, estimates = together(specs, model)
            if not np.allclose(estimates["power_uw"], one_by_one, rtol=1e-9):
                raise AssertionError("designs that are counted together must cost what they cost one by one")
            compare_s = [comparison_s(empty) for _ in range(2)]
        found = []
        for speed in speeds(chosen, model, rows, repeats):
            print(f"{speed.name}: {speed.points / speed.cpu_s:,.0f} points/CPU s", file=sys.stderr, flush=True)
            found.append(speed)
    show_first(first_s, together_s, compare_s)
    show(found, f"{model.library}; {len(specs)} designs under {len(chosen)} streams, best of {repeats}")
    if options.check and (said := misses(found)):
        print("\n".join(said), file=sys.stderr)
        sys.exit(1)


def console() -> Console:
    """Where tables go."""
    return Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def show_first(first_s: Sequence[float], together_s: float, compare_s: Sequence[float]) -> None:
    """What was never seen before."""
    table = Table(title=f"{len(first_s)} designs, nothing known", title_justify="left")
    for header in ("first estimates", "CPU s", "ms a design", "median, ms", "most, ms", "to one by one"):
        table.add_column(header, justify="left" if header.startswith("first") else "right")
    alone_s, number = sum(first_s), len(first_s)
    middle, most = (f"{1e3 * value:.3g}" for value in (statistics.median(first_s), max(first_s)))
    table.add_row("one by one", f"{alone_s:.3g}", f"{1e3 * alone_s / number:.3g}", middle, most, "1")
    together_ms = 1e3 * together_s / number
    table.add_row("one table", f"{together_s:.3g}", f"{together_ms:.3g}", "", "", f"{alone_s / together_s:.3g}")
    console().print(table)
    cold_s, warm_s = compare_s
    console().print(
        f"hwmodel.compare --lanes 64 --units 64: {cold_s:.1f} s with an empty cache, {warm_s:.1f} s again, on "
        f"{cores()} cores."
    )


def show(found: Sequence[Speed], title: str) -> None:
    """Known designs; the last column compares with the loop."""
    table = Table(title=title, title_justify="left")
    headers = ("points", "s", "points/s", "CPU s", "points/CPU s", "us a point, CPU", "to loop")
    for header in ("estimates, everything known", *headers):
        table.add_column(header, justify="left" if header.startswith("estimates") else "right")
    loop = next(speed for speed in found if "loop" in speed.name)
    for speed in found:
        each_us = 1e6 * speed.cpu_s / speed.points
        table.add_row(
            speed.name, f"{speed.points:,}", f"{speed.wall_s:.3g}", f"{speed.points / speed.wall_s:,.0f}",
            f"{speed.cpu_s:.3g}", f"{speed.points / speed.cpu_s:,.0f}", f"{each_us:.3g}",
            f"{1e6 * loop.cpu_s / loop.points / each_us:.3g}",
        )  # fmt: skip
    console().print(table)


if __name__ == "__main__":
    run("benchmarks/model_speed.py", main)
