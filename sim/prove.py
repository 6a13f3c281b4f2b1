"""Proves that generated MACs compute what they are specified to, for all inputs: ``python -m sim.prove``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, fields
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from multiprocessing import get_context
from typing import Any

from rich.console import Console
from rich.progress import track

from rtl.mac import design_named
from rtl.options import read_parameters
from rtl.spec import MacSpec
from siliquant.commandline import called, console, print_table, read_jobs, run
from siliquant.files import cache, code_sha256, package_version, write_atomically
from siliquant.processes import end_with_parent
from sim.proofs import MacProof, ProofError, prove_mac, standard_macs

from .parsers import prove as parser

PROG = "sim.prove"
HEADERS = ("design", "MACs", "largest, gates", "sums", "states", "Verilog cells", "registers", "s")
_SOURCES = (("rtl", ""), ("rtl", "logic"), ("rtl", "mac"), ("rtl", "spec"), ("rtl", "components"), ("rtl", "verilog"),
            ("sim", "proofs"), ("sim", "simulators"))  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exit code 1 where something is not proved."""
    options = parser().parse_args(arguments)
    jobs = read_jobs(options.jobs)
    if options.design is None:
        specs = standard_macs()
    else:
        design = design_named(options.design)
        specs = (design(**read_parameters(options, design)),)
    found, failed = _proved(specs, jobs, fresh=options.fresh)
    for line in failed:
        print(f"{called(PROG)}: {line}", file=sys.stderr)
    if found:
        _print(found)
    if options.out is not None:
        record = {"proved": [asdict(each) for each in found], "not_proved": failed}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")
    if failed:
        sys.exit(1)


def _print(found: Sequence[MacProof]) -> None:
    """A line a design, and what all of it means."""
    by_design: dict[str, list[MacProof]] = {}
    for each in found:
        by_design.setdefault(each.design, []).append(each)
    lines = []
    for design, proofs in by_design.items():
        totals = [sum(getattr(each, name) for each in proofs) for name in ("sums", "states", "cells", "registers")]
        seconds = sum(each.seconds for each in proofs)
        gates = max(each.gates for each in proofs)
        lines.append([design, str(len(proofs)), f"{gates:,}", *(f"{total:,}" for total in totals), f"{seconds:.1f}"])
    out = console()
    print_table(out, "proved for all operands", HEADERS, lines)
    proved = f"{len(found)} MACs" if len(found) > 1 else found[0].name
    out.print(
        f"{proved}: the Verilog shows the sum of all products since the last clear, for all operands, precisions, "
        "resets and pauses. docs/verification.md says how that is shown, and what is assumed.",
        soft_wrap=True,
    )


def _proved(specs: Sequence[MacSpec], jobs: int, *, fresh: bool) -> tuple[list[MacProof], list[str]]:
    """Proofs in the order of ``specs``, and what is wrong with those that fail. Each is kept as soon as it is there."""
    found: dict[MacSpec, MacProof] = {}
    if not fresh:
        found = {spec: proof for spec in specs if (proof := _kept(spec)) is not None}
    left = sorted((spec for spec in specs if spec not in found), key=_work, reverse=True)
    failed: dict[MacSpec, str] = {}
    bar = Console(stderr=True)
    each = track(
        _each(left, jobs), "proving", total=len(left), console=bar, transient=True, disable=not bar.is_terminal
    )
    for spec, result in each:
        if isinstance(result, ProofError):
            failed[spec] = str(result)
        else:
            found[spec] = result
            home = cache.root()
            cache.keep(home / "proofs" / f"{_key(spec)}.json", json.dumps(asdict(result)), home, sync=False)
    return [found[spec] for spec in specs if spec in found], [failed[spec] for spec in specs if spec in failed]


def _each(specs: Sequence[MacSpec], jobs: int) -> Iterator[tuple[MacSpec, MacProof | ProofError]]:
    """Each spec with its proof, or why there is none, as they are finished."""
    if jobs == 1 or len(specs) == 1:
        yield from ((spec, _prove(spec)) for spec in specs)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), end_with_parent) as pool:
        waiting: dict[Future[MacProof | ProofError], MacSpec] = {pool.submit(_prove, spec): spec for spec in specs}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _prove(spec: MacSpec) -> MacProof | ProofError:
    try:
        return prove_mac(spec)
    except ProofError as error:
        return error


def _work(spec: MacSpec) -> int:
    """About how long a proof takes, to begin with the longest."""
    return sum(port.width for port in spec.operand_ports) * len(spec.precisions)


def _kept(spec: MacSpec) -> MacProof | None:
    home = cache.root()
    names = {item.name for item in fields(MacProof)}
    found: Mapping[str, Any] | None = cache.kept_json(
        home / "proofs" / f"{_key(spec)}.json", home, lambda value: isinstance(value, dict) and value.keys() == names
    )
    return None if found is None else MacProof(**found)


def _key(spec: MacSpec) -> str:
    """What decides a proof: the MAC, the code that makes it and proves it, and the tools of both."""
    text = json.dumps([spec.name, spec.parameters, _code_sha256()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _code_sha256() -> str:
    tools = [f"{name} {package_version(name)}" for name in ("amaranth", "bitwuzla", "pyosys")]
    return code_sha256(_sources(), *tools)


def _sources() -> Iterator[Traversable]:
    for package, folder in _SOURCES:
        found = resources.files(package)
        yield from (found / folder if folder else found).iterdir()


if __name__ == "__main__":
    run(PROG, main)
