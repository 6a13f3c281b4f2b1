"""Proves by simulation that a generated array computes every GEMM of a trained network exactly as PyTorch does.

The network runs in PyTorch twice. In the second run every GEMM is also computed by the simulated array: integers in,
accumulators out, compared with the exact ones (no tolerance), and the array's go on into the network. Layer norms,
softmax, GELU and residuals stay in PyTorch on both sides, so the logits must be equal bit for bit as well.

The last tokens of a decoder are computed one at a time in both runs, with a cache of keys and values; a third, in which
all are computed at once, must have the same logits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from qat.integers import Subject
from qat.network import Product, exact_product
from rtl.array import ArraySpec
from rtl.requant import ThresholdSpec
from sim.bench import MismatchError

from .drain import drain_tables
from .engine import ArrayEngine, GemmRecord, passes_of
from .library import build_library

__all__ = ["Equivalence", "verify"]


@dataclass(frozen=True)
class Equivalence:
    """What was proved: one record a GEMM, equal logits of ``samples`` samples; times on the wall in seconds, and CPU
    time of the simulation with PyTorch and comparison.
    """

    subject: str
    array: str
    samples: int
    predictions: int | None
    gemms: tuple[GemmRecord, ...]
    build_s: float
    reference_s: float
    thresholds_s: float
    simulation_s: float
    simulation_cpu_s: float

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
    news: Callable[[str], None] = lambda text: None,
) -> Equivalence:
    """Runs the subject on ``jobs`` simulated arrays (default: one a core).

    ``library`` takes the place of the one built for ``spec``; ``news`` is told what is being done. Raises
    MismatchError at the first difference, ToolError where a tool is missing or fails, and before that ValueError, which
    names the layer, where the array cannot hold its codes, sums or operands.
    """
    total, tokens = 0, 1
    contexts = {gemm.name for gemm in subject.model.gemms() if gemm.kind == "context"}

    def count(product: Product) -> Tensor:
        nonlocal total, tokens
        passes_of(spec, product)  # what the array cannot compute is told before anything is built
        result = exact_product(product)
        total += result.numel() * product.left.shape[-1]
        if product.name in contexts:
            tokens = max(tokens, product.left.shape[-1])
        return result

    news("the network in PyTorch")
    start = time.perf_counter()
    wanted = [subject.model.logits(batch, count, steps=subject.steps) for batch in subject.batches]
    if subject.steps:
        for number, (batch, found) in enumerate(zip(subject.batches, wanted, strict=True)):
            _check_logits(number, found, subject.model.logits(batch))
    reference_s = time.perf_counter() - start

    news(f"building the simulation of {spec.name}")
    start = time.perf_counter()
    built = library or build_library(spec)
    build_s = time.perf_counter() - start

    news("thresholds")
    start = time.perf_counter()
    requant = spec.requant
    tables = drain_tables(subject.model, tokens, requant) if isinstance(requant, ThresholdSpec) else {}
    thresholds_s = time.perf_counter() - start
    done = 0

    def progress(macs: int) -> None:
        nonlocal done
        done += macs
        news(f"simulating, {done / 1e6:,.1f} of {total / 1e6:,.1f} M MAC")

    news("simulating")
    start, start_cpu = time.perf_counter(), time.process_time()
    right = 0
    with ArrayEngine(spec, built, jobs=jobs, tables=tables, report=progress) as engine:
        for number, (batch, logits) in enumerate(zip(subject.batches, wanted, strict=True)):
            found = subject.model.logits(batch, engine, steps=subject.steps)
            _check_logits(number, found, logits)
            right += subject.labels is not None and int(found.argmax()) == int(subject.labels[number])
        records = tuple(engine.records.values())
    simulation_s, simulation_cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    return Equivalence(
        subject.name, spec.name, len(subject.batches), right if subject.labels is not None else None, records,
        build_s, reference_s, thresholds_s, simulation_s, simulation_cpu_s,
    )  # fmt: skip


def _check_logits(number: int, found: Tensor, wanted: Tensor) -> None:
    if not torch.equal(found, wanted):
        raise MismatchError(f"sample {number}: logits must be {wanted.tolist()}, not {found.tolist()}")
