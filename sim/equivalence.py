"""Proves that a generated array computes a trained network exactly as PyTorch does: ``python -m sim.equivalence``.

What the options say is checked before torch is loaded, which takes seconds.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qat.settings import Scheme, check_samples
from rtl.array import Architecture, ArraySpec, drained
from rtl.mac import UniformSpec, design_named
from rtl.options import array_size, read_drains, read_parameters
from rtl.requant import ThresholdSpec
from rtl.spec import MacSpec
from siliquant.commandline import called, console, loading, print_table, read_jobs, run, working
from siliquant.files import write_atomically
from siliquant.inputs import counted, integer
from sim.bench import MismatchError
from sim.simulators import SimulationError

from .parsers import equivalence as parser

if TYPE_CHECKING:
    from rich.console import Console

    from qat.integers import Subject
    from sim.harness import Equivalence, GemmRecord

PROG = "sim.equivalence"
HEADERS = ("GEMM", "products", "M MAC", "passes", "cycles", "predicted", "accumulators", "codes", "mismatches")


def print_result(out: Console, found: Equivalence) -> None:
    """What is proved, then the GEMMs that it was proved on."""
    right = "" if found.predictions is None else f", {found.predictions} predicted right"
    loads = sum(gemm.load_cycles for gemm in found.gemms)
    accumulators, codes = sum(gemm.accumulators for gemm in found.gemms), sum(gemm.codes for gemm in found.gemms)
    samples = counted(found.samples, "sample")
    proved = f"{samples}{right}; {counted(accumulators, 'accumulator')} and all logits equal PyTorch's"
    drained = f"{'does' if codes == 1 else 'do'} {counted(codes, 'code that was', 'codes that were')}"
    times = f"time: build {found.build_s:.1f} s, PyTorch {found.reference_s:.1f} s, "
    times += f"thresholds {found.thresholds_s:.1f} s, simulation {found.simulation_s:.1f} s"
    for line in (
        f"{found.subject} on {found.array}:",
        f"{proved}, and so {drained} requantised at the drain." if codes else f"{proved}.",
        f"cycles: {found.cycles - loads:,} in runs and {loads:,} in loads, all as predicted.",
        f"{times} ({found.simulation_cpu_s:.1f} s of CPU time): {found.macs / found.simulation_s / 1e6:.0f} M MAC/s.",
    ):
        out.print(line)
    out.print()
    kinds: dict[str, list[GemmRecord]] = {}
    for gemm in found.gemms:
        kinds.setdefault(_kind(gemm.name), []).append(gemm)
    lines = [_cells(kind, gemms) for kind, gemms in [*kinds.items(), ("all", list(found.gemms))]]
    print_table(out, "products on the array, by GEMM", HEADERS, lines)
    out.print(counted(found.mismatches, "mismatch", "mismatches"))


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
    check_samples(options.samples)
    scheme = Scheme(weight_bits=options.bits, activation_bits=options.bits, scale_start="mean")
    given, drains = read_parameters(options, design), drained(rows, read_drains(options, rows), depth)

    def array(bits: Scheme, requantiser: ThresholdSpec | None) -> ArraySpec:
        return ArraySpec(
            mac=_mac(design, given, bits), rows=rows, columns=columns, architecture=Architecture(options.architecture),
            activation_depth=depth, weight_depth=depth, requant=requantiser, **drains,
        )  # fmt: skip

    # Of a checkpoint it is not known yet how wide its codes are: the narrowest fit wherever others do.
    known = scheme if options.random is not None else Scheme(weight_bits=2, activation_bits=2)
    unit = ThresholdSpec(accumulator_width=32, bits=1, signed=False, groups=groups)
    array(known, None if options.no_requantise else unit)
    try:
        with working("verifying") as news:
            news("loading PyTorch")
            with loading():
                import torch

                from sim.harness import requantiser_of, verify

            torch.set_num_threads(1)  # the simulators have the cores
            news("the network")
            chosen = _subject(options, scheme)
            spec = array(chosen.model.scheme, None if options.no_requantise else requantiser_of(chosen.model, groups))
            found = verify(chosen, spec, jobs=jobs, news=news)
    except (MismatchError, SimulationError) as error:
        print(f"{called(PROG)}: {error}", file=sys.stderr)
        sys.exit(1)
    print_result(console(), found)
    if options.out is not None:
        record = asdict(found) | {"spec": spec.parameters, "macs": found.macs, "mismatches": found.mismatches}
        write_atomically(options.out, json.dumps(record, indent=1) + "\n")


def _subject(options: Namespace, scheme: Scheme) -> Subject:
    from qat.integers import open_subject, random_subject

    if options.checkpoint is not None:
        return open_subject(options.checkpoint, options.samples)
    return random_subject(options.random, scheme, options.samples)


def _mac(design: type[MacSpec], given: dict[str, Any], scheme: Scheme) -> MacSpec:
    """The MAC; a uniform one has the widths of the network unless they are given, but holds {-1, +1} too."""
    widths: dict[str, Any] = {}
    if design is UniformSpec:
        widths = {name: max(2, getattr(scheme, name)) for name in ("weight_bits", "activation_bits")}
    return design(**{**widths, **given})


if __name__ == "__main__":
    run(PROG, main)
