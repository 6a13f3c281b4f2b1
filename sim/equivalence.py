"""Proves that a generated array computes a trained network exactly as PyTorch does: ``python -m sim.equivalence``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from siliquant.commandline import called, console, loading, print_table, read_jobs, run
from siliquant.files import write_atomically
from siliquant.inputs import integer

from .parsers import equivalence as parser

with loading():
    import torch

    from qat.integers import Subject, open_subject, random_subject
    from qat.settings import Scheme
    from rtl.array import Architecture, ArraySpec, drained
    from rtl.mac import UniformSpec, design_named
    from rtl.options import array_size, read_drains, read_parameters
    from rtl.spec import MacSpec
    from sim.bench import MismatchError
    from sim.harness import Equivalence, GemmRecord, requantiser_of, verify
    from sim.simulators import SimulationError

PROG = "sim.equivalence"
HEADERS = ("GEMM", "products", "M MAC", "passes", "cycles", "predicted", "accumulators", "codes", "mismatches")


def print_result(out: Console, found: Equivalence) -> None:
    """What is proved, then the GEMMs that it was proved on."""
    right = "" if found.predictions is None else f", {found.predictions} predicted right"
    loads = sum(gemm.load_cycles for gemm in found.gemms)
    accumulators, codes = sum(gemm.accumulators for gemm in found.gemms), sum(gemm.codes for gemm in found.gemms)
    samples = "1 sample" if found.samples == 1 else f"{found.samples} samples"
    proved = f"{samples}{right}; {accumulators:,} accumulators and all logits equal PyTorch's"
    times = f"time: build {found.build_s:.1f} s, PyTorch {found.reference_s:.1f} s, "
    times += f"thresholds {found.thresholds_s:.1f} s, simulation {found.simulation_s:.1f} s"
    for line in (
        f"{found.subject} on {found.array}:",
        f"{proved}, and so do {codes:,} codes that were requantised at the drain." if codes else f"{proved}.",
        f"cycles: {found.cycles - loads:,} in runs and {loads:,} in loads, all as predicted.",
        f"{times} ({found.simulation_cpu_s:.1f} s of CPU time): {found.macs / found.simulation_s / 1e6:.0f} M MAC/s.",
    ):
        out.print(line, soft_wrap=True)
    out.print()
    kinds: dict[str, list[GemmRecord]] = {}
    for gemm in found.gemms:
        kinds.setdefault(_kind(gemm.name), []).append(gemm)
    lines = [_cells(kind, gemms) for kind, gemms in [*kinds.items(), ("all", list(found.gemms))]]
    print_table(out, "products on the array, by GEMM", HEADERS, lines)
    out.print(f"{found.mismatches} mismatches")


def _cells(kind: str, gemms: Sequence[GemmRecord]) -> list[str]:
    passes = sorted({gemm.passes for gemm in gemms})
    return [
        kind,
        str(sum(gemm.products for gemm in gemms)),
        f"{sum(gemm.macs for gemm in gemms) / 1e6:.2f}",
        str(passes[0]) if len(passes) == 1 else f"{passes[0]}-{passes[-1]}",
        f"{sum(gemm.cycles for gemm in gemms):,}",
        f"{sum(gemm.predicted_cycles for gemm in gemms):,}",
        f"{sum(gemm.accumulators for gemm in gemms):,}",
        f"{sum(gemm.codes for gemm in gemms):,}",
        f"{sum(gemm.mismatches for gemm in gemms):,}",
    ]


def _kind(name: str) -> str:
    """The name of a GEMM behind the number of its layer, or all of it."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[-1] + 1 :]) if numbers and numbers[-1] + 1 < len(parts) else name


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exit code 1 at the first mismatch."""
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--random", options.random is not None, "--bits")
    made.only_with("requantisers (no --no-requantise)", not options.no_requantise, "--groups")
    design, jobs = design_named(options.design), read_jobs(options.jobs)
    rows, columns = array_size(options.array)
    depth = integer("depth", options.depth)
    groups = 1 if options.groups is None else integer("groups", options.groups)

    torch.set_num_threads(1)  # the simulators have the cores
    chosen = _subject(options)
    spec = ArraySpec(
        mac=_mac(design, read_parameters(options, design), chosen), rows=rows, columns=columns,
        architecture=Architecture(options.architecture), activation_depth=depth, weight_depth=depth,
        **drained(rows, read_drains(options), depth),
        requant=None if options.no_requantise else requantiser_of(chosen.model, groups),
    )  # fmt: skip
    found = _verified(chosen, spec, jobs)
    print_result(console(), found)
    if options.out is not None:
        record = asdict(found) | {"spec": spec.parameters, "macs": found.macs, "mismatches": found.mismatches}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")


def _subject(options: Namespace) -> Subject:
    if options.checkpoint is not None:
        return open_subject(options.checkpoint, options.samples)
    scheme = Scheme(weight_bits=options.bits, activation_bits=options.bits, scale_start="mean")
    return random_subject(options.random, scheme, options.samples)


def _verified(chosen: Subject, spec: ArraySpec, jobs: int) -> Equivalence:
    """Runs it and shows how far it is; ends with exit code 1 where anything differs."""
    bar = Console(stderr=True)
    shown = (TextColumn("simulating"), BarColumn(), TextColumn("{task.fields[macs]}"), TimeRemainingColumn())
    with Progress(*shown, console=bar, transient=True, disable=not bar.is_terminal) as progress:
        task = progress.add_task("", total=None, macs="building")

        def report(done: int, total: int) -> None:
            text = f"{done / 1e6:.0f} of {total / 1e6:.0f} M MAC"
            progress.update(task, completed=done, total=total, macs=text)

        try:
            return verify(chosen, spec, jobs=jobs, report=report)
        except (MismatchError, SimulationError) as error:
            progress.stop()
            print(f"{called(PROG)}: {error}", file=sys.stderr)
            sys.exit(1)


def _mac(design: type[MacSpec], given: dict[str, Any], subject: Subject) -> MacSpec:
    """The MAC; a uniform one has the widths of the network unless they are given, but holds {-1, +1} too."""
    if design is UniformSpec:
        scheme = subject.model.scheme
        for name in ("weight_bits", "activation_bits"):
            given.setdefault(name, max(2, getattr(scheme, name)))
    return design(**given)


if __name__ == "__main__":
    run(PROG, main)
