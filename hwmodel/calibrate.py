"""Makes the table that the cost model of a library is fitted to: ``python -m hwmodel.calibrate``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from siliquant.commandline import Parser, add_jobs, add_out_folder, called, read_jobs, run
from siliquant.inputs import InputError, counted, integer

from .options import (
    add_effort,
    add_library_file,
    add_placement,
    check_library_options,
    liberty_of,
    placing_of,
    say_unstated,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from hwmodel.library import Library
    from hwmodel.measurement import Bench, CalibrationTable, LibraryChoice, MeasuredPoint, RowStore, Runner, SweepDesign

__all__ = ["main", "measure", "parser"]

PROG = "hwmodel.calibrate"
EPILOG = """\
DIR gets LIBRARY.csv and .json, and the model fitted to them in models/. Rows are kept in the user's cache as they are
made: a run that was stopped goes on where it was. docs/calibrate.md says what is measured, and how to use a cluster.

examples:
  python -m hwmodel.calibrate
  python -m hwmodel.calibrate --library sky130hd --pdk-dir pdk --jobs 8
  python -m hwmodel.calibrate --liberty my.lib.gz --scheduler tcp://login1:8786"""


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_library_file(made, full_adder=False)
    add_effort(made)
    add_placement(made)
    made.add_argument("--designs", metavar="N",
                      help="first designs of the sweep, N of them fitted (default: all, and arrays)")  # fmt: skip
    add_out_folder(made, "the table, and the model fitted to it", "build/calibration")
    how = made.add_mutually_exclusive_group()
    add_jobs(how)
    how.add_argument("--scheduler", metavar="ADDRESS", help="the Dask scheduler whose workers measure, tcp://host:port")
    how.add_argument("--table-only", action="store_true",
                     help="measure nothing: a table of the designs whose rows are all known")  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None, designs: Sequence[SweepDesign] | None = None) -> None:
    """The command line, for ``designs`` (default: those of the sweep). Exits with code 1 where a design failed."""
    made = parser()
    options = made.parse_args(arguments)
    check_library_options(made, options)
    if options.designs is not None:
        designs = _first(options.designs)
    runner = None if options.table_only else _runner(options)

    from siliquant.files import alone

    with alone(options.out, "calibration"):
        _calibrate(made, options, runner, designs)


def _calibrate(made: Parser, options: Namespace, runner: Runner | None, designs: Sequence[SweepDesign] | None) -> None:
    """Measures what is missing, and writes the table, the model and the counts of what is known then."""
    from hwmodel.measurement import Bench, RowStore, known_points, sweep_cores, sweep_designs, write_calibration
    from hwmodel.power import no_glitches

    choice = _library_choice(options)
    library = _library_with_power(choice)
    bench = Bench(library, effort=options.effort, placing=placing_of(made, options, library))
    store = RowStore(report=_say)
    wanted = (*sweep_designs(), *sweep_cores()) if designs is None else tuple(designs)
    known = {design: known_points(design, bench, store) for design in wanted}
    missing = [design for design, points in known.items() if points is None]
    if runner is not None and missing:
        _need_opensta()
        if (why := no_glitches()) is not None:
            _say(why)
        _explain(measure(missing, choice, bench, store, runner))
        known |= {design: known_points(design, bench, store) for design in missing}
    left_out = _not_asked(wanted) if options.designs is not None else []
    table = _table(known, bench, _command(options), left_out)
    paths = write_calibration(table, options.out)
    about = table.provenance
    size = f"{about.rows} rows, {about.points} points, {about.designs} designs"
    print(f"{' and '.join(path.name for path in paths)} in {options.out}: {size}")
    _fit(table, options.out / "models" / f"{about.library}.json")
    _package_features(table, options.out / "features.json")


def _first(text: str) -> tuple[SweepDesign, ...]:
    """The designs of ``--designs``. Raises InputError for fewer than a fit needs, or more than there are."""
    from hwmodel.fit import FEWEST_DESIGNS
    from hwmodel.measurement import first_designs, sweep_designs

    most = sum(design.held_out is None for design in sweep_designs())
    return first_designs(integer("designs", text, FEWEST_DESIGNS, most))


def _not_asked(wanted: Iterable[SweepDesign]) -> list[str]:
    """The designs of the sweep that are not among those that are wanted."""
    from hwmodel.measurement import sweep_cores, sweep_designs

    asked = {design.spec for design in wanted}
    return [design.spec.name for design in (*sweep_designs(), *sweep_cores()) if design.spec not in asked]


def _library_choice(options: Namespace) -> LibraryChoice:
    """How workers find the library: by absolute paths, whatever their folder."""
    from hwmodel.measurement import LibraryChoice

    files = liberty_of(options)
    return LibraryChoice(
        options.library, files and files.absolute(), _absolute(options.pdk_dir), options.accept_library
    )


def _library_with_power(choice: LibraryChoice) -> Library:
    """The library. Raises InputError where its flip-flops have no power: nothing could be fitted."""
    library = choice.find()
    say_unstated(library)
    if lacking := library.no_power(library.flip_flops):
        raise InputError(f"a calibration needs power, and there is {lacking}", file=str(library.files))
    return library


def _need_opensta() -> None:
    from hwmodel.synthesis import find_opensta

    try:
        find_opensta()
    except RuntimeError as error:
        raise InputError(str(error)) from None


def _table(
    known: Mapping[SweepDesign, Sequence[MeasuredPoint] | None], bench: Bench, command: str, not_asked: Iterable[str]
) -> CalibrationTable:
    """The table of the designs whose points are all known; the others are named. Raises InputError where none is."""
    from hwmodel.measurement import calibration_table

    found = [point for points in known.values() for point in points or ()]
    if not found:
        raise InputError(f"no design has all its rows of {bench.library.name} yet: run without --table-only")
    left_out = [design.spec.name for design, points in known.items() if points is None]
    if left_out:
        _say(f"left out, as rows are missing: {', '.join(sorted(left_out))}")
    today = datetime.now(UTC).date().isoformat()
    return calibration_table(found, bench.library, command=command, date=today, left_out=[*left_out, *not_asked])


def _fit(table: CalibrationTable, path: Path) -> None:
    """Fits the cost model to a table and writes it; says why not where there is too little to fit."""
    from hwmodel.fit import fit_table, held_out_error
    from hwmodel.model import write_model

    try:
        model = fit_table(table)
    except ValueError as error:
        _say(f"no model: {error}")
        return
    write_model(model, path)
    fitted = model.provenance["fitted_designs"]
    print(f"cost model in {path}, fitted to {fitted} designs; {held_out_error(table, model)}")


def _package_features(table: CalibrationTable, path: Path) -> None:
    """Writes what the model needs of the designs of a table, so that others need not count."""
    from hwmodel.model import package_features, shared_counts_of, shared_transitions_of
    from rtl.array import CoreSpec

    pairs = [
        (spec.mac if isinstance(spec, CoreSpec) else spec, plan)
        for spec, plan in dict.fromkeys(zip(table.specs(), table.plans(), strict=True))
    ]
    for mac, plan in pairs:
        shared_counts_of(mac)
        shared_transitions_of(mac, plan)
    package_features({mac for mac, _ in pairs}, path)


def measure(
    designs: Iterable[SweepDesign], choice: LibraryChoice, bench: Bench, store: RowStore, runner: Runner
) -> Mapping[str, str]:
    """Has every design measured, keeps the rows as they come, and shows how far it is.

    Returns what went wrong by module, one line each; empty where nothing did. ValueError where a worker would make
    other rows than this machine; FileError where a file cannot be written, as on a full disk; ToolMissing and
    PackageMissing.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hwmodel.measurement import (
        SynthesisRow,
        Task,
        WorkerDiffers,
        known_points,
        measure_task,
        of_the_machine,
        signature,
    )  # fmt: skip

    tasks = [Task(design, choice, bench.effort, signature(bench.library, design, bench.placing), bench.placing)
             for design in designs]  # fmt: skip
    columns = (
        TextColumn("calibrating {task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("{task.fields[last]}", markup=False),
    )  # fmt: skip
    failures = {}
    with Progress(*columns, console=Console(stderr=True)) as progress, closing(runner(measure_task, tasks)) as outcomes:
        bar = progress.add_task(bench.library.name, total=len(tasks), last="")
        for outcome in outcomes:
            design, error = outcome.item.design, outcome.error
            if isinstance(error, WorkerDiffers):
                raise InputError(str(error))
            if error is not None and of_the_machine(error):
                raise error
            rows = [SynthesisRow.from_json(line) for line in outcome.result or ()]
            for row in rows:
                if store.get(row.key) != row:
                    store.put(row)
                store.remember_verilog(design.spec, row.verilog_sha256)
            if error is None and known_points(design, bench, store) is None:
                error = ValueError("the rows that came back are not those that were asked for")
            if error is None:
                last = f"{design.spec.name} {rows[-1].area_um2:,.0f} um2"
            else:
                failures[design.spec.name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
                last = f"{design.spec.name} failed"
            progress.update(bar, advance=1, last=last)
    return failures


def _explain(failures: Mapping[str, str]) -> None:
    """Says which designs failed, and exits with code 1, where any did."""
    for name, text in sorted(failures.items()):
        _say(f"{name}: {text}")
    if failures:
        count = counted(len(failures), "design")
        _say(f"{count} failed, so no table was written; all other rows are kept, and --table-only leaves these out")
        sys.exit(1)


def _runner(options: Namespace) -> Runner:
    from hwmodel.measurement import cluster, local

    if options.scheduler is not None:
        return cluster(options.scheduler)
    return local(read_jobs(options.jobs))


def _command(options: Namespace) -> str:
    """The command that makes the table again, without what depends on the machine."""
    library = f"--library {options.library}"
    if options.liberty:
        library = " ".join(f"--liberty {path.name}" for path in options.liberty)
    if options.operating_conditions:
        library += f" --operating-conditions {shlex.quote(options.operating_conditions)}"
    others = [f"--effort {options.effort}"] if options.effort != "normal" else []
    others += [f"--designs {options.designs}"] if options.designs is not None else []
    if options.place:
        others += [
            "--place",
            f"--core-utilisation {options.core_utilisation}",
            *(f"--lef {path.name}" for path in options.lef),
        ]
        others += [f"--wires {options.wires}"] if options.wires is not None else []
    return " ".join([f"python -m {PROG} {library}", *others])


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _say(text: str) -> None:
    print(f"{called(PROG)}: {text}", file=sys.stderr)


if __name__ == "__main__":
    run(PROG, main)
