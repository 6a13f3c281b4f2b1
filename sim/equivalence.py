"""Proves by simulation that a generated array computes every GEMM of a trained network exactly as PyTorch does.

The network runs in PyTorch twice. In the second run every GEMM is also computed by the simulated array: integers in,
accumulators out, compared with the exact ones (no tolerance), and the array's go on into the network. Layer norms,
softmax, GELU and residuals stay in PyTorch on both sides, so the logits must be equal bit for bit as well.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from qat.integers import Subject, open_subject, random_subject, requantisations
from qat.network import Product, exact_product
from qat.settings import Scheme
from rtl.array import Architecture, ArraySpec
from rtl.mac import UniformSpec, design_named
from rtl.options import array_size, read_parameters
from rtl.requant import ThresholdSpec
from rtl.spec import MacSpec
from siliquant.commandline import called, read_jobs, run
from siliquant.files import write_atomically
from siliquant.inputs import integer
from sim.bench import MismatchError
from sim.harness import ArrayEngine, GemmRecord, build_library, drain_tables
from sim.simulators import SimulationError

from .parsers import equivalence as parser

__all__ = ["Equivalence", "verify"]

PROG = "sim.equivalence"


@dataclass(frozen=True)
class Equivalence:
    """What was proved: one record a GEMM, equal logits of ``samples`` samples; wall times in seconds."""

    subject: str
    array: str
    samples: int
    predictions: int | None
    gemms: tuple[GemmRecord, ...]
    build_s: float
    reference_s: float
    thresholds_s: float
    simulation_s: float

    @property
    def macs(self) -> int:
        """MACs of all products."""
        return sum(gemm.macs for gemm in self.gemms)

    @property
    def mismatches(self) -> int:
        """Accumulators and codes that were compared and not equal."""
        return sum(gemm.mismatches for gemm in self.gemms)

    @property
    def cycles(self) -> int:
        """Cycles of all runs and loads."""
        return sum(gemm.cycles + gemm.load_cycles for gemm in self.gemms)


def verify(
    subject: Subject,
    spec: ArraySpec,
    *,
    jobs: int | None = None,
    library: Path | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Equivalence:
    """Runs the subject on ``jobs`` simulated arrays (default: one a core).

    ``library`` takes the place of the one built for ``spec``; ``report`` is told the MACs done and in all. Raises
    MismatchError at the first difference, ToolError where a tool is missing or fails, ValueError where the memories of
    the array are too small.
    """
    start = time.perf_counter()
    built = library or build_library(spec)
    build_s = time.perf_counter() - start

    total, tokens = 0, 1
    contexts = {gemm.name for gemm in subject.model.gemms() if gemm.kind == "context"}

    def count(product: Product) -> Tensor:
        nonlocal total, tokens
        result = exact_product(product)
        total += result.numel() * product.left.shape[-1]
        if product.name in contexts:
            tokens = max(tokens, product.left.shape[-1])
        return result

    start = time.perf_counter()
    wanted = [subject.model.logits(batch, count) for batch in subject.batches]
    reference_s = time.perf_counter() - start

    start = time.perf_counter()
    requant = spec.requant
    tables = drain_tables(subject.model, tokens, requant) if isinstance(requant, ThresholdSpec) else {}
    thresholds_s = time.perf_counter() - start
    done = 0

    def progress(macs: int) -> None:
        nonlocal done
        done += macs
        report(done, total)

    start = time.perf_counter()
    right = 0
    with ArrayEngine(spec, built, jobs=jobs, tables=tables, report=progress) as engine:
        for number, (batch, logits) in enumerate(zip(subject.batches, wanted, strict=True)):
            found = subject.model.logits(batch, engine)
            if not torch.equal(found, logits):
                raise MismatchError(f"sample {number}: logits must be {logits.tolist()}, not {found.tolist()}")
            right += subject.labels is not None and int(found.argmax()) == int(subject.labels[number])
        records = tuple(engine.records.values())
    simulation_s = time.perf_counter() - start
    return Equivalence(
        subject.name, spec.name, len(subject.batches), right if subject.labels is not None else None, records,
        build_s, reference_s, thresholds_s, simulation_s,
    )  # fmt: skip


def print_result(console: Console, found: Equivalence) -> None:
    """The table and what it amounts to."""
    table = Table()
    table.add_column("GEMM", overflow="fold")
    for header in ("products", "M MAC", "passes", "cycles", "predicted", "accumulators", "codes", "mismatches"):
        table.add_column(header, justify="right", no_wrap=True)
    kinds: dict[str, list[GemmRecord]] = {}
    for gemm in found.gemms:
        kinds.setdefault(_kind(gemm.name), []).append(gemm)
    for kind, gemms in [*kinds.items(), ("all", list(found.gemms))]:
        macs, cycles = sum(g.macs for g in gemms), sum(g.cycles for g in gemms)
        passes = sorted({g.passes for g in gemms})
        if kind == "all":
            table.add_section()
        table.add_row(
            kind, str(sum(g.products for g in gemms)), f"{macs / 1e6:.2f}",
            str(passes[0]) if len(passes) == 1 else f"{passes[0]}-{passes[-1]}", f"{cycles:,}",
            f"{sum(g.predicted_cycles for g in gemms):,}", f"{sum(g.accumulators for g in gemms):,}",
            f"{sum(g.codes for g in gemms):,}", f"{sum(g.mismatches for g in gemms):,}",
        )  # fmt: skip
    console.print(table)
    right = "" if found.predictions is None else f", {found.predictions} predicted right"
    loads = sum(gemm.load_cycles for gemm in found.gemms)
    accumulators, codes = sum(gemm.accumulators for gemm in found.gemms), sum(gemm.codes for gemm in found.gemms)
    proved = f"{found.samples} samples{right}; {accumulators:,} accumulators and all logits equal PyTorch's"
    times = f"time: build {found.build_s:.1f} s, PyTorch {found.reference_s:.1f} s, "
    times += f"thresholds {found.thresholds_s:.1f} s, simulation {found.simulation_s:.1f} s"
    for line in (
        f"{found.subject} on {found.array}:",
        f"{proved}, and so do {codes:,} codes that were requantised at the drain." if codes else f"{proved}.",
        f"cycles: {found.cycles - loads:,} in runs and {loads:,} in loads, all as predicted.",
        f"{times}: {found.macs / found.simulation_s / 1e6:.0f} M MAC/s.",
    ):
        console.print(line, highlight=False, soft_wrap=True)


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

    torch.set_num_threads(1)  # the simulators have the cores
    if options.checkpoint is not None:
        chosen = open_subject(options.checkpoint, options.samples)
    else:
        scheme = Scheme(weight_bits=options.bits, activation_bits=options.bits, scale_start="mean")
        chosen = random_subject(options.random, scheme, options.samples)
    requant = None
    if not options.no_requantise:
        groups = 1 if options.groups is None else integer("groups", options.groups)
        bits = max((edge.bits for edge in requantisations(chosen.model, 1)), default=1)
        requant = ThresholdSpec(accumulator_width=32, bits=bits, signed=False, groups=groups)
    spec = ArraySpec(
        mac=_mac(design, read_parameters(options, design), chosen), rows=rows, columns=columns,
        architecture=Architecture(options.architecture), activation_depth=depth, weight_depth=depth,
        result_depth=max(depth, rows), requant=requant,
    )  # fmt: skip
    bar = Console(stderr=True)
    shown = (TextColumn("simulating"), BarColumn(), TextColumn("{task.fields[macs]}"), TimeRemainingColumn())
    with Progress(*shown, console=bar, transient=True, disable=not bar.is_terminal) as progress:
        task = progress.add_task("", total=None, macs="building")
        try:
            found = verify(
                chosen, spec, jobs=jobs,
                report=lambda done, total: progress.update(
                    task, completed=done, total=total, macs=f"{done / 1e6:.0f} of {total / 1e6:.0f} M MAC"
                ),
            )  # fmt: skip
        except (MismatchError, SimulationError) as error:
            progress.stop()
            print(f"{called(PROG)}: {error}", file=sys.stderr)
            sys.exit(1)
    print_result(Console(width=None if sys.stdout.isatty() else 120), found)
    if options.out is not None:
        record = asdict(found) | {"spec": spec.parameters, "macs": found.macs, "mismatches": found.mismatches}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")


def _mac(design: type[MacSpec], given: dict[str, int | bool], subject: Subject) -> MacSpec:
    """The MAC; a uniform one has the widths of the network unless they are given, but holds {-1, +1} too."""
    if design is UniformSpec:
        scheme = subject.model.scheme
        for name in ("weight_bits", "activation_bits"):
            given.setdefault(name, max(2, getattr(scheme, name)))
    return design(**given)


if __name__ == "__main__":
    run(PROG, main)
