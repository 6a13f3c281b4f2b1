"""Two simulators show the same of generated modules, from power-up on: ``python -m sim.agree``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rtl.mac import design_named
from rtl.options import read_parameters
from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import write_atomically
from sim.agreement import Agreement, Spec, agree, agreed_specs
from sim.bench import MismatchError

from .kept import side_by_side
from .parsers import agree as parser

PROG = "sim.agree"
HEADERS = ("module", "cycles", "bits", "X after reset", "seeds", "s")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exit code 1 where the simulators differ."""
    options = parser().parse_args(arguments)
    jobs = read_jobs(options.jobs)
    specs: Sequence[Spec] = agreed_specs()
    if options.design is not None:
        design = design_named(options.design)
        specs = (design(**read_parameters(options, design)),)
    found: dict[Spec, Agreement | str] = {}
    with working("simulating") as news:
        for place, (spec, result) in enumerate(side_by_side(_agree, specs, jobs), start=1):
            found[spec] = result
            news(f"{place} of {len(specs)}, {spec.name}")
    agreed = [each for spec in specs if isinstance(each := found[spec], Agreement)]
    differ = [each for spec in specs if isinstance(each := found[spec], str)]
    _print(agreed)
    for line in differ:
        print(f"{called(PROG)}: {line}", file=sys.stderr)
    if options.out is not None:
        record = {"modules": [asdict(each) for each in agreed], "differ": differ}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if differ:
        sys.exit(1)


def _agree(spec: Spec) -> Agreement | str:
    try:
        return agree(spec)
    except MismatchError as error:
        return str(error)


def _print(agreed: Sequence[Agreement]) -> None:
    out = console()
    lines = [
        [each.name, f"{each.cycles:,}", f"{each.bits:,}", f"{each.unknown:,}", str(each.seeds), f"{each.seconds:.1f}"]
        for each in agreed
    ]
    print_table(out, "outputs of Icarus Verilog and Verilator", HEADERS, lines)
    bits = sum(each.bits for each in agreed)
    out.print(f"{bits:,} bits are the same in both. What that says: docs/simulation.md", soft_wrap=True)


if __name__ == "__main__":
    run(PROG, main)
