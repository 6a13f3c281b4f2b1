"""Looks for a design and operands with which the hardware is wrong: ``python -m sim.fuzz``."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from random import Random
from typing import cast

from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import write_atomically
from siliquant.inputs import belongs, integer, number, read_text
from siliquant.processes import local
from sim.fuzzing import ENGINES, Case, Fault, Spec, case_from_text, draw_case, minimised, plan_of, run_case
from sim.simulators import Verilator, executable

from .parsers import fuzz as parser

PROG = "sim.fuzz"
_MOST_BYTES = 1 << 24
HEADERS = ("design", "cases", *ENGINES)
EVERY = {"graph": 1, "icarus": 1, "netlist": 6, "verilator": 24}
"""Each engine runs one case in so many: building for it takes longer than running."""


@dataclass
class Tally:
    """What was drawn and run. values: how often each value of each parameter."""

    cases: Counter[str] = field(default_factory=Counter)
    engines: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, spec: Spec, engines: Sequence[str]) -> None:
        """The design of one case that was run."""
        self.cases[spec.design] += 1
        for engine in engines:
            self.engines[spec.design, engine] += 1
        for item in fields(spec):
            value = getattr(spec, item.name)
            text = "/".join(map(str, value)) if isinstance(value, tuple) else str(value)
            self.values.setdefault((spec.design, item.name), Counter())[text] += 1


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exit code 1 where something is wrong."""
    options = parser().parse_args(arguments)
    for program in ("iverilog", "vvp", "g++", "make"):
        executable(program)
    Verilator().root()
    if options.replay is not None:
        _replay(options.replay)
        return
    minutes, seed = number("minutes", options.minutes, 0.01, 1e5), integer("seed", options.seed, 0, (1 << 64) - 1)
    tally, files = _fuzz(60 * minutes, seed, read_jobs(options.jobs), options.out)
    _print(tally, seed)
    text = json.dumps({f"{design} {name}": dict(counts) for (design, name), counts in tally.values.items()}, indent=1)
    write_atomically(options.out / "coverage.json", text + "\n")
    if files:
        print(f"{called(PROG)}: {len(files)} cases fail; --replay FILE runs one again", file=sys.stderr)
        sys.exit(1)
    console().print(f"no difference in {sum(tally.cases.values()):,} cases, seed {seed}")


def _replay(path: Path) -> None:
    """Runs one case on every engine and says what is wrong. Exit code 1 where anything is."""
    with belongs(path, "a case of the fuzzer"):
        case = case_from_text(read_text(path, _MOST_BYTES))
        plan_of(case)
    faults = [fault for engine in ENGINES if (fault := run_case(case, engine)) is not None]
    for fault in faults:
        print(f"{case.spec.name}, {fault.engine}: {fault.sentence}")
    if faults:
        sys.exit(1)
    print(f"{case.spec.name}: no difference on {', '.join(ENGINES)}")


def _engines(place: int) -> tuple[str, ...]:
    """Those that run the case of this number."""
    return tuple(engine for engine in ENGINES if place % EVERY[engine] == 0)


def _one(seed: int, place: int) -> tuple[Spec, Case, Fault | None]:
    """Draws and runs the case of a number: its design, and the case, as small as it fails where it does."""
    case = draw_case(Random(f"{seed} {place}"))
    for engine in _engines(place):
        if run_case(case, engine) is not None:
            small = minimised(case, partial(_fails, engine))
            return case.spec, small, run_case(small, engine)
    return case.spec, case, None


def _fails(engine: str, case: Case) -> bool:
    return run_case(case, engine) is not None


def _fuzz(seconds: float, seed: int, jobs: int, folder: Path) -> tuple[Tally, list[Path]]:
    """Cases for so long; the files of those that fail."""
    tally, files, end = Tally(), [], time.monotonic() + seconds
    numbers = takewhile(lambda _: time.monotonic() < end, count())
    cases = local(jobs, lambda place: f"case {place} of seed {seed}")
    with working("fuzzing") as news, closing(cases(partial(_one, seed), numbers)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            spec, case, fault = cast(tuple[Spec, Case, Fault | None], outcome.result)
            tally.add(spec, _engines(outcome.item))
            if fault is not None:
                files.append(_written(folder, case, fault, seed, outcome.item))
            news(f"{sum(tally.cases.values()):,} cases, {len(files)} of them fail")
    return tally, files


def _written(folder: Path, case: Case, fault: Fault, seed: int, place: int) -> Path:
    """The file of a case that fails; one line on stderr says what it is."""
    text = case.text(found_by=f"seed {seed}, case {place}", engine=fault.engine, fault=fault.sentence)
    path = folder / f"{case.design}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_atomically(path, text)
    print(f"{path}: {case.spec.name}, {fault.engine}: {fault.sentence}", file=sys.stderr)
    return path


def _print(tally: Tally, seed: int) -> None:
    """How many cases ran where, and what was drawn of each parameter."""
    out = console()
    lines = [
        [design, f"{cases:,}", *(f"{tally.engines[design, engine]:,}" for engine in ENGINES)]
        for design, cases in sorted(tally.cases.items())
    ]
    print_table(out, f"cases, and on which engine, seed {seed}", HEADERS, lines)
    out.print("drawn: how many values of each parameter, from the least to the largest")
    for design in sorted(tally.cases):
        names = [name for known, name in tally.values if known == design]
        drawn = ", ".join(f"{name} {_drawn(tally.values[design, name])}" for name in names)
        out.print(f"  {design}: {drawn}", soft_wrap=True, markup=False)


def _drawn(counts: Mapping[str, int]) -> str:
    """How many values of a parameter were drawn, and of numbers the range."""
    if all(value.isdecimal() for value in counts):
        values = sorted(map(int, counts))
        return f"{len(values)} ({values[0]}..{values[-1]})" if len(values) > 1 else str(values[0])
    return f"{len(counts)} ({', '.join(sorted(counts))})" if len(counts) < 4 else str(len(counts))


if __name__ == "__main__":
    run(PROG, main)
