"""Looks for a design or network, and operands, with which the hardware is wrong: ``python -m sim.fuzz``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError, counted, integer, listing, number, read_text, short
from sim.campaigns import Campaign, fuzz, summary
from sim.fuzzing import ENGINES, KINDS, MOST_BYTES, case_from_text, run_case
from sim.simulators import Verilator, executable

from .parsers import fuzz as parser

PROG = "sim.fuzz"
SUMMARY = "summary.json"
_MOST_CASES = 10_000_000
HEADERS = ("kind", "engine", "cases", "cycles", "results")
PARAMETERS = ("design", "parameter", "values", "drawn", "legal", "never drawn")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exit code 1 where something is wrong."""
    made = parser()
    options = made.parse_args(arguments)
    made.only_with(
        "a run (no --replay)", options.replay is None, "--minutes", "--cases", "--seed", "--only", "--fresh", "--jobs",
        "--out",
    )  # fmt: skip
    minutes, seed = number("minutes", options.minutes, 0.01, 1e5), integer("seed", options.seed, 0, (1 << 64) - 1)
    cases = None if options.cases is None else integer("cases", options.cases, 1, _MOST_CASES)
    kinds, jobs = _kinds(options.only), read_jobs(options.jobs)
    for program in ("iverilog", "vvp", "g++", "make"):
        executable(program)
    Verilator().root()
    if options.replay is not None:
        _replay(options.replay)
        return
    timed = cases is None
    with alone(options.out, "fuzz"):
        campaign = _begun(options.out, seed, kinds, cases, fresh=options.fresh)
        with working("fuzzing") as news:
            if cases is None:
                fuzz(campaign, 60 * minutes, jobs, options.out, news)
            else:
                fuzz(campaign, math.inf, jobs, options.out, news, cases=cases)
        if not campaign.tally.cases:
            raise InputError(f"minutes must be long enough for one case to end, not {short(options.minutes)}")
        write_atomically(options.out / SUMMARY, json.dumps(summary(campaign, timed=timed), indent=1) + "\n")
    _print(campaign, f" in {campaign.seconds / 60:.1f} minutes" if timed else "")
    if campaign.failing:
        fail = counted(len(campaign.failing), "case fails", "cases fail")
        print(f"{called(PROG)}: {fail}; --replay FILE runs one again", file=sys.stderr)
        sys.exit(1)


def _kinds(text: str | None) -> tuple[str, ...]:
    """Those of --only, in the order of KINDS. Raises InputError."""
    given = KINDS if text is None else tuple(text.split(","))
    for kind in given:
        if kind not in KINDS:
            raise InputError(f"only must be of {listing(KINDS)}, not {short(kind)}")
    if "network" in given and find_spec("torch") is None:
        raise InputError("only must leave out network, which needs torch: pip install '.[qat]' in the checkout")
    return tuple(kind for kind in KINDS if kind in given)


def _begun(folder: Path, seed: int, kinds: tuple[str, ...], cases: int | None, *, fresh: bool) -> Campaign:
    """The run of the folder, or a new one. Raises InputError where the folder has another one."""
    found = None if fresh else Campaign.load(folder)
    if found is None:
        return Campaign(seed, kinds)
    if (found.seed, found.kinds) != (seed, kinds):
        raise InputError(
            f"{folder} has a run of seed {found.seed} of {listing(found.kinds)}; go on with that, choose another "
            "--out, or begin anew with --fresh"
        )
    if cases is not None and found.next > cases:
        raise InputError(
            f"{folder} has a run that is beyond --cases {cases}, at {found.next}; choose another --out, or begin anew "
            "with --fresh"
        )
    return found


def _replay(path: Path) -> None:
    """Runs one case on every engine of its kind and says what is wrong. Exit code 1 where anything is."""
    try:
        case = case_from_text(read_text(path, MOST_BYTES))
        engines = ENGINES[case.kind]
        faults = [fault for engine in engines if (fault := run_case(case, engine)) is not None]
    except InputError as error:
        raise error if error.file is not None else error.inside(path) from None
    for fault in faults:
        print(f"{case.spec.name}, {fault.engine}: {fault.sentence}")
    if faults:
        sys.exit(1)
    print(f"{case.spec.name}: no difference on {', '.join(engines)}")


def _print(campaign: Campaign, time: str) -> None:
    """How many cases ran where, and what was drawn of each parameter."""
    out, tally = console(), campaign.tally
    lines = []
    for kind in campaign.kinds:
        for engine in ENGINES[kind]:
            first = engine == ENGINES[kind][0]
            compared = [f"{tally.compared[kind, what]:,}" if first else "" for what in HEADERS[3:]]
            lines.append([kind if first else "", engine, f"{tally.engines[kind, engine]:,}", *compared])
    print_table(
        out,
        f"cases by engine, and what was compared on all simulators{time and f',{time}'}",
        HEADERS,
        lines,
        left=(0, 1),
    )
    print_table(out, "what was drawn of each parameter", PARAMETERS, list(tally.lines()), left=(0, 1, 3, 4, 5))
    if not campaign.failing:
        out.print(f"no difference in {counted(tally.cases.total(), 'case')}{time}, seed {campaign.seed}")


if __name__ == "__main__":
    run(PROG, main)
