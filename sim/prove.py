"""Proves that generated modules compute what they are specified to, for all inputs: ``python -m sim.prove``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rtl.array import ArraySpec
from rtl.mac import design_named
from rtl.options import read_array, read_parameters
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec
from siliquant.commandline import called, console, print_table, read_jobs, run, working
from siliquant.files import Shelf, package_version, write_atomically
from siliquant.inputs import InputError, ToolError, printable, read_bytes
from siliquant.processes import side_by_side
from sim.controllers import ARRAY_STEPS, ArrayProof, prove_array, standard_arrays
from sim.proofs import (
    MacProof,
    ProofError,
    UnitProof,
    prove_mac,
    prove_unit,
    standard_macs,
    standard_units,
)
from sim.simulators import Source, read_source

from .parsers import prove as parser
from .rounding import prove_rounding

PROG = "sim.prove"
Spec: TypeAlias = MacSpec | LoadableSpec | ArraySpec
Proof: TypeAlias = MacProof | UnitProof | ArrayProof
MAC_HEADERS = ("design", "specs", "largest, gates", "sums", "states", "Verilog cells", "register bits", "s")
ARRAY_HEADERS = ("array", "specs", "claims", "register bits", "s")
UNIT_HEADERS = ("unit", "specs", "largest, gates", "parameter sets", "Verilog cells", "register bits", "s")
TOOLS = ("amaranth", "bitwuzla", "pyosys", "siliquant")
SHELF = Shelf("proofs", (
    "rtl", "rtl.logic", "rtl.mac", "rtl.spec", "rtl.components", "rtl.requant", "rtl.verilog", "rtl.array",
    "rtl.manifests", "sim.controllers", "sim.proofs", "sim.simulators", "siliquant.inputs", "siliquant.files",
    "siliquant.processes",
), TOOLS)  # fmt: skip
"""What is proved, by name and parameters of its spec."""
_MOST_BYTES = 32 << 20  # of a file: what is read takes about ten times as many


def main(arguments: Sequence[str] | None = None, specs: Sequence[Spec] | None = None) -> None:
    """The command line, for ``specs`` where it names no design (default: the standard ones). Exit code 1 where
    something is not proved.
    """
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--design", options.design is not None, "--verilog", "--array")
    made.only_with("--array", options.array is not None, "--architecture", "--drains")
    made.only_with("what is generated (no --verilog)", options.verilog is None, "--fresh", "--jobs")
    jobs = read_jobs(options.jobs)
    if options.design is not None:
        specs = (_given(options),)
    elif specs is None:
        specs = (*standard_macs(), *standard_units(), *standard_arrays())
    if options.verilog is None:
        known = {} if options.fresh else _known(specs)
        found, failed = _proved(specs, known, jobs)
    else:
        known = {}
        found, failed = _proved_file(specs[0], options.verilog)
    rounding = None
    if options.design is None:
        try:
            rounding = prove_rounding()
        except ProofError as error:
            failed.append(str(error))
    for line in failed:
        print(f"{called(PROG)}: {line}", file=sys.stderr)
    if rounding is not None:
        steps = "; ".join(rounding.steps)
        console().print(f"proved for all values, never to decrease (s: {rounding.seconds:.1f}): {steps}")
    if found:
        _print(found, len(known), options.verilog)
    if options.out is not None:
        tools = {name: package_version(name) for name in TOOLS}
        record: dict[str, Any] = {"versions": tools, "proved": [asdict(each) for each in found], "not_proved": failed}
        record |= {} if rounding is None else {"rounding": asdict(rounding)}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if failed:
        sys.exit(1)


def _given(options: Namespace) -> Spec:
    """The MAC of the options, or the array of it."""
    design = design_named(options.design)
    mac = design(**read_parameters(options, design))
    return mac if options.array is None else read_array(options, mac)


def _print(found: Sequence[Proof], kept: int, file: Path | None) -> None:
    """A line a design, and what all of it means."""
    out = console()
    macs = [each for each in found if isinstance(each, MacProof)]
    units = [each for each in found if isinstance(each, UnitProof)]
    arrays = [each for each in found if isinstance(each, ArrayProof)]
    if macs:
        names = ("sums", "states", "cells", "registers")
        print_table(out, "proved for all operands", MAC_HEADERS, _lines(macs, names))
    if units:
        lines = _lines(units, ("groups", "cells", "registers"))
        print_table(out, "proved for all accumulators and parameters", UNIT_HEADERS, lines)
    if arrays:
        print_table(out, "controllers proved for all settings", ARRAY_HEADERS, _array_lines(arrays))
        if file is not None:
            out.print(f"all but its controllers is the generated netlist: {file}")
        for name, steps in ARRAY_STEPS.items():
            out.print(f"{name}: {'; '.join(steps)}")
    said = f"{found[0].name}, Verilog {found[0].verilog_sha256[:12]}" if len(found) == 1 else f"{len(found)} specs"
    before = f" ({kept} of them before; --fresh proves again)" if kept else ""
    out.print(f"proved: {said}{before}. What that says and assumes: docs/verification.md")


def _array_lines(found: Sequence[ArrayProof]) -> list[list[str]]:
    lines = []
    for kind in dict.fromkeys(each.design for each in found):
        mine = [each for each in found if each.design == kind]
        totals = (f"{sum(getattr(each, name) for each in mine):,}" for name in ("claims", "registers"))
        lines.append([kind, str(len(mine)), *totals, f"{sum(each.seconds for each in mine):.1f}"])
    return lines


def _lines(found: Sequence[MacProof | UnitProof], names: Sequence[str]) -> list[list[str]]:
    by_design: dict[str, list[MacProof | UnitProof]] = {}
    for each in found:
        by_design.setdefault(each.design, []).append(each)
    lines = []
    for design, proofs in by_design.items():
        totals = [f"{sum(getattr(each, name) for each in proofs):,}" for name in names]
        gates, seconds = max(each.gates for each in proofs), sum(each.seconds for each in proofs)
        lines.append([design, str(len(proofs)), f"{gates:,}", *totals, f"{seconds:.1f}"])
    return lines


def _proved(specs: Sequence[Spec], known: Mapping[Spec, Proof], jobs: int) -> tuple[list[Proof], list[str]]:
    """Proofs in the order of ``specs``, and what is wrong with those that fail. Each is kept as soon as it is there."""
    found = dict(known)
    left = sorted((spec for spec in specs if spec not in found), key=_work, reverse=True)
    failed: dict[Spec, str] = {}
    with working("proving") as news:
        for place, (spec, result) in enumerate(side_by_side(_prove, left, jobs), start=1):
            if isinstance(result, ProofError):
                failed[spec] = str(result)
            else:
                found[spec] = result
                SHELF.keep((spec.name, spec.parameters), asdict(result))
            news(f"{place} of {len(left)}, {spec.name}")
    return [found[spec] for spec in specs if spec in found], [failed[spec] for spec in specs if spec in failed]


def _proved_file(spec: Spec, file: Path) -> tuple[list[Proof], list[str]]:
    """The same of the Verilog in a file. Raises InputError and ToolError, naming it, where it is none of the spec."""
    content = read_bytes(file, _MOST_BYTES)
    try:
        with working("proving"):
            result = _prove(spec, read_source(content))
    except InputError as error:
        raise error if error.file is not None else error.inside(file) from None
    except ToolError as error:
        raise ToolError(f"{file}: {error}") from error
    return ([], [f"{printable(str(file))}: {result}"]) if isinstance(result, ProofError) else ([result], [])


def _prove(spec: Spec, source: Source | None = None) -> Proof | ProofError:
    try:
        if isinstance(spec, ArraySpec):
            return prove_array(spec, source)
        return prove_mac(spec, source) if isinstance(spec, MacSpec) else prove_unit(spec, source)
    except ProofError as error:
        return error


def _work(spec: Spec) -> int:
    """About how long a proof takes, to begin with the longest."""
    if isinstance(spec, MacSpec):
        return sum(port.width for port in spec.operand_ports) * len(spec.precisions)
    if isinstance(spec, ArraySpec):
        return max(spec.weight_depth, spec.activation_depth, spec.result_depth)
    return spec.groups * spec.parameter_width


def _known(specs: Sequence[Spec]) -> dict[Spec, Proof]:
    """Those that were proved before, with the same code and tools."""
    found: dict[Spec, Proof] = {}
    for spec in specs:
        kind: type[Proof] = _kind(spec)
        data = SHELF.read((spec.name, spec.parameters), partial(_fits, kind))
        if data is not None:
            found[spec] = kind(**data)
    return found


def _kind(spec: Spec) -> type[Proof]:
    if isinstance(spec, ArraySpec):
        return ArrayProof
    return MacProof if isinstance(spec, MacSpec) else UnitProof


def _fits(kind: type[Proof], data: object) -> bool:
    return isinstance(data, dict) and data.keys() == {item.name for item in fields(kind)}


if __name__ == "__main__":
    run(PROG, main)
