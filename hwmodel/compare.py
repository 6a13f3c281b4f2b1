"""Compares uniform with mixed-precision MAC hardware at the same mean bit-width: ``python -m hwmodel.compare``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from siliquant.commandline import Parser, add_format, add_jobs, add_out_folder, read_jobs, run
from siliquant.files import filled
from siliquant.inputs import InputError, csv_of, integer, number, number_list, read_clock_mhz

from .options import (
    add_clock,
    add_cost_models,
    add_effort,
    add_fresh,
    add_library_file,
    add_network,
    add_utilisation,
    check_library_options,
    library_of,
    model_of,
    naming,
    read_utilisation,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from hwmodel.comparison import Answer, Answers, ModelAnswers, Question, Row, Settings, UnitAnswer, UnitRow
    from hwmodel.measurement import Bench, Unit
    from hwmodel.model import LibraryModel
    from hwmodel.workload import Width, Workload

_MOST_MEANS = 7
PROG = "hwmodel.compare"
EPILOG = """\
Rows that were measured before are looked up, the calibrated cost model answers the rest in seconds and without any
tool; --synthesise measures all, --check shows model and measurement. The table has both normalisations: per unit, and
per MAC at equal throughput. A section of its own has the units that turn accumulators into the next layer's codes.
DIR gets compare.csv, compare.json, compare.md, compare.png, requantisation.csv, requantisation.json, and where
something was measured rows/, the synthesis rows behind the numbers.

examples:
  python -m hwmodel.compare --bits 2,3,4,4/8
  python -m hwmodel.compare --bits 4 --designs bitfusion,bitblade --mixture 4=4:3/4,2:1/8,6:1/8
  python -m hwmodel.compare --bits 4 --library sky130hd --clock-mhz 150 --check
  python -m hwmodel.compare --bits 4 --liberty my.lib.gz --clock-mhz 800 --synthesise
  python -m hwmodel.compare --bits 4 --library my --cost-models build/calibration/models"""


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("--bits", default="2,3,4", metavar="LIST",
                      help="mean bits of weights and activations, 2 to 8, or 4/8")  # fmt: skip
    add_library_file(made)
    add_cost_models(made)
    add_clock(made)
    add_utilisation(made)
    made.add_argument(
        "--lanes", default="16", metavar="N", help="lanes of the uniform MAC at equal throughput, 1 to 64"
    )
    made.add_argument("--units", default="4", metavar="N", help="units of every design at equal units, 1 to 64")
    made.add_argument("--requant-bits", metavar="LIST",
                      help="code widths of requantisers: 2, 3, 4, 8, or none (default: as --bits)")  # fmt: skip
    made.add_argument("--designs", metavar="LIST", help="precision-scalable designs (default: all)")
    made.add_argument("--mixture", action="append", default=[], metavar="BITS=MIX",
                      help="mixture at one mean: 4=2:1/3,4:1/2,8:1/6 (default: standard)")  # fmt: skip
    add_network(made, None, ", whose mixtures are taken, and one inference of which is added")
    made.add_argument("--off-chip-pj-per-bit", metavar="E", help="energy of off-chip traffic (default: not counted)")
    add_out_folder(made, "tables, plot and rows", "build/compare")
    add_format(made, "table", "markdown", "csv", "json")
    made.add_argument("--wide", action="store_true", help="every column of the table: equal units, power, timing")
    made.add_argument("--synthesise", action="store_true", help="measure instead of estimating")
    made.add_argument("--check", action="store_true", help="estimate and measure, and print the difference")
    add_effort(made)
    add_jobs(made)
    add_fresh(made)
    return made


@dataclass(frozen=True)
class _Asked:
    """What a command line asks for. codes: widths of requantised codes; model: None where all is measured."""

    options: Namespace
    bits: list[Width]
    codes: list[int]
    lanes: int
    chosen: Settings
    clock_mhz: float
    utilisation: float
    model: LibraryModel | None
    workload: Workload | None
    off_chip_pj: float | None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    asked = _asked(arguments)
    with filled(asked.options.out):
        _compare(asked)


def _asked(arguments: Sequence[str] | None) -> _Asked:
    """Reads a command line. Raises ValueError."""
    made = parser()
    options = made.parse_args(arguments)
    bits = _bits(options.bits)
    codes = _code_widths(options.requant_bits, bits)
    from hwmodel.comparison import settings

    workload = None if options.model is None else _network_of(options)
    lanes = integer("lanes", options.lanes, 1, 64)
    chosen = settings(
        bits=bits,
        mixtures=options.mixture,
        designs=None if options.designs is None else options.designs.split(","),
        lanes=lanes,
        units=integer("units", options.units, 1, 64),
        jobs=read_jobs(options.jobs),
        workload=workload,
    )
    clock_mhz, utilisation = read_clock_mhz(options.clock_mhz), read_utilisation(options)
    if options.synthesise and options.check:
        raise InputError("synthesise and check must not both be given: check measures as well")
    made.only_with("--model", options.model is not None, "--off-chip-pj-per-bit")
    made.only_with("--format table", options.format == "table", "--wide")
    check_library_options(made, options)
    made.only_with("an estimate (no --synthesise)", not options.synthesise, "--cost-models")
    made.only_with("the full adder that is found (no --full-adder)", options.full_adder is None, "--cost-models")
    made.only_with("the library's own conditions (no --operating-conditions)", options.operating_conditions is None,
                   "--cost-models")  # fmt: skip
    model = None if options.synthesise else _model(options)
    measures = "--synthesise, --check or a library without a cost model"
    made.only_with(measures, model is None or options.check, "--effort", "--fresh")
    if workload is not None and model is None:
        raise InputError(
            "a network is estimated: model must not be given with synthesise, full_adder or a library without a model"
        )
    off_chip = options.off_chip_pj_per_bit
    off_chip_pj = None if off_chip is None else number("off_chip_pj_per_bit", off_chip, 1e-6, 1e6)
    return _Asked(options, bits, codes, lanes, chosen, clock_mhz, utilisation, model, workload, off_chip_pj)


def _compare(asked: _Asked) -> None:
    """Answers, prints and writes what was asked for."""
    from hwmodel.comparison import (
        compare_rows,
        print_check,
        unit_rows,
        units,
        write_check,
        write_plot,
        write_tables,
    )
    from hwmodel.model import package_features

    options, out = asked.options, asked.options.out
    requantisers = units(asked.codes, asked.lanes)
    estimates, measured = _answers(asked, requantisers)
    get, unit, known = _chosen(asked, requantisers, estimates, measured)
    estimate = None if estimates is None else _partly(estimates.get, asked.utilisation)
    rows = compare_rows(asked.chosen.entries, _partly(get, asked.utilisation), estimate)
    unit_table = unit_rows(requantisers, unit, get)
    paths = [*write_tables(rows, out, unit_table), *write_plot(rows, out / "compare.png")]
    paths += [] if known is None else known.write_rows(out / "rows")
    if estimates is not None:
        package_features(estimates.specs(), out / "features.json")
    _print(rows, unit_table, options.format, options.wide, out)
    if asked.workload is not None and estimates is not None:
        paths += _network(asked, asked.workload, estimates)
    if estimates is not None and measured is not None:
        both = compare_rows(asked.chosen.entries, _partly(measured.get, asked.utilisation))
        paths.append(write_check(rows, both, out))
        if options.format == "table":
            print_check(rows, both)
    _say_files(paths, options.format, out)


def _partly(get: Callable[[Question], Answer], utilisation: float) -> Callable[[Question], Answer]:
    """Answers where only a share of the cycles has operands."""
    return lambda question: get(question).at(utilisation)


def _chosen(
    asked: _Asked, requantisers: Sequence[Unit], estimates: ModelAnswers | None, measured: Answers | None
) -> tuple[Callable[[Question], Answer], Callable[[Unit], UnitAnswer], Answers | None]:
    """Where the figures of tables come from, and what was measured of them.

    Measurements where they are asked for; beside an estimate that is to be checked those of requantisers alone. Else
    what was measured before, the model for the rest; the model alone where it is the user's.
    """
    from hwmodel.comparison import mac_question, measured_or

    if estimates is None:
        assert measured is not None
        return measured.get, measured.unit, measured
    if measured is not None:
        return estimates.get, measured.unit, measured
    if asked.options.cost_models is not None:
        return estimates.get, estimates.unit, None
    questions = [*(entry.question for entry in asked.chosen.entries), *map(mac_question, requantisers)]
    return measured_or(lambda: _bench(asked), questions, requantisers, estimates)


def _answers(asked: _Asked, requantisers: Sequence[Unit]) -> tuple[ModelAnswers | None, Answers | None]:
    """Estimates, where there is a model, and measurements, where there is none or both are asked for."""
    from hwmodel.comparison import ModelAnswers, mac_question

    questions = [*(entry.question for entry in asked.chosen.entries), *map(mac_question, requantisers)]
    estimates = None
    if asked.model is not None:
        if asked.utilisation < 1 and asked.model.coefficients.still_fj is None:
            print(
                f"the cost model of {asked.model.library} knows no clock gates: its power while idle is that of clocks "
                "that never stop, too much; --synthesise measures it",
                file=sys.stderr,
            )
        estimates = ModelAnswers(asked.model, asked.clock_mhz, asked.chosen.jobs)
        estimates.prepare(questions)
        if not asked.options.check:
            return estimates, None
    return estimates, _measure(asked, questions, requantisers)


def _say_files(paths: Sequence[Path], form: str, out: Path) -> None:
    """Names what was written, but for what was printed."""
    shown = {"table": "", "markdown": "compare.md"}.get(form, f"compare.{form}")
    left = "" if form in ("table", "markdown") else "only the table of MACs is printed; "
    names = ", ".join(str(path.relative_to(out)) for path in paths if path.name != shown)
    print(f"{left}{names} in {out}", file=sys.stderr)


def _network_of(options: Namespace) -> Workload:
    """The network asked for. Raises ValueError where there is none."""
    from hwmodel.workload import load_workload

    return load_workload(options.model)


def _network(asked: _Asked, workload: Workload, estimates: ModelAnswers) -> list[Path]:
    """Prints one inference of a network and writes it to files."""
    from hwmodel.comparison import contenders
    from hwmodel.inference import (
        costs_of,
        elements_of,
        network_frame,
        network_markdown,
        network_rows,
        print_network,
        sram_of,
    )
    from siliquant.files import write_atomically

    options, model, clock_mhz = asked.options, estimates.model, asked.clock_mhz
    designs = contenders(None if options.designs is None else options.designs.split(","))
    costs = costs_of(model, clock_mhz, sram_of(model.library), asked.off_chip_pj)
    elements = elements_of(asked.lanes, designs, model, clock_mhz, longest_sum=workload.longest_sum())
    rows = network_rows(workload, asked.bits, costs, elements=elements)
    texts = {
        "network.csv": csv_of(network_frame(rows)),
        "network.md": network_markdown(rows),
    }
    for name, text in texts.items():
        write_atomically(options.out / name, text)
    if options.format == "table":
        print_network(rows, wide=options.wide)
    elif options.format == "markdown":
        print("\n" + texts["network.md"], end="")
    return [options.out / name for name in texts]


def _model(options: Namespace) -> LibraryModel | None:
    """The cost model of the library, or None, with a word on it, where there is none."""
    from hwmodel.model import known_models

    own = options.liberty or options.full_adder
    if options.cost_models is not None or (not own and options.library in known_models()):
        return model_of(options)
    if options.check:
        known = ", ".join(known_models())
        if options.liberty is None and options.library in known_models():
            raise InputError(
                f"check compares with the cost model of {options.library} and its full adder: leave out full_adder"
            )
        raise InputError(f"check needs a library with a cost model ({known}), not {_named(options)}")
    if options.liberty is None and options.library in known_models():
        why = f"the cost model of {options.library} is of the full adder that it finds, and full_adder is given"
    else:
        why = f"{_named(options)} has no cost model"
    print(f"{why}: measuring", file=sys.stderr)
    return None


def _named(options: Namespace) -> str:
    """The library as the command line has it."""
    return ", ".join(map(str, options.liberty)) if options.liberty else str(options.library)


def _bench(asked: _Asked) -> Bench:
    from hwmodel.measurement import Bench

    options = asked.options
    return Bench(library_of(options), asked.clock_mhz, options.effort, options.fresh)


def _measure(asked: _Asked, questions: Sequence[Question], requantisers: Sequence[Unit]) -> Answers:
    from hwmodel.comparison import Answers

    bench = _bench(asked)
    answers = Answers(bench, asked.chosen.jobs)
    with naming(bench.library):
        answers.prepare(questions, requantisers)
    return answers


def _print(rows: Sequence[Row], requantisers: Sequence[UnitRow], form: str, wide: bool, folder: Path) -> None:
    if form != "table":
        suffix = {"markdown": "md"}.get(form, form)
        print((folder / f"compare.{suffix}").read_text(), end="")
        return
    from hwmodel.comparison import print_comparison

    print_comparison(rows, requantisers, wide=wide)


def _bits(text: str) -> list[Width]:
    """Distinct mean widths from 2 to 8 in the order given. Raises ValueError."""
    from hwmodel.workload import read_width

    return number_list("bits", text, lambda name, part: read_width(name, part, 2, 8), _MOST_MEANS)


def _code_widths(text: str | None, bits: list[Width]) -> list[int]:
    """Code widths of requantisation units; by default those of the comparison that units are known for."""
    from hwmodel.comparison import EXACT

    if text == "none":
        return []
    if text is None:
        return [width for width in bits if isinstance(width, int) and width in EXACT]
    return number_list("requant_bits", text, lambda name, part: integer(name, part, 2, 8), _MOST_MEANS)


if __name__ == "__main__":
    run(PROG, main)
