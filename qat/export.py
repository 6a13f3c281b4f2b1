"""Writes the integers of a trained run: ``python -m qat.export``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor
from transformers import PreTrainedModel

from qat.evaluate import inputs_of, open_run_data, split_batches
from qat.integers.integer import Gemm, IntegerModel, Operand
from qat.integers.requantise import Requantisation, requantisations
from qat.integers.subject import Subject, open_subject, random_subject
from qat.network.convert import quantizers
from qat.network.gemm import Engine, Product, exact_product
from qat.parsers import export as parser
from qat.quantisers.quantiser import Quantizer
from qat.settings.scheme import Scheme
from qat.training.runs import load_run
from siliquant.commandline.cli import run
from siliquant.files.write import alone
from siliquant.inputs.errors import InputError, short

__all__ = [
    "Agreement",
    "Engine",
    "Gemm",
    "IntegerModel",
    "Operand",
    "Product",
    "Requantisation",
    "Scheme",
    "Subject",
    "compare_paths",
    "exact_product",
    "open_subject",
    "random_subject",
    "requantisations",
]

PROG = "python -m qat.export"
MOST_SAMPLES = (1 << 32) - 1
"""Test samples that are checked, at most."""


@dataclass(frozen=True)
class Agreement:
    """The trained network, as it is evaluated, beside its integers on the same samples.

    codes: how many activation codes were compared; ties: how many differ; largest_step: by how many codes at most.
    untouched: samples without such a code, largest_difference: of their logits; predictions: samples whose predicted
    class is the same.  In evaluation a quantised network sums its codes exactly, as its integers do, so that no
    rounding decides between two codes: a code or a logit that differs is a fault.
    """

    samples: int
    predictions: int
    codes: int
    ties: int
    largest_step: int
    untouched: int
    largest_difference: float


@contextmanager
def _recorded(model: PreTrainedModel, seen: dict[str, list[Tensor]]) -> Iterator[None]:
    """Collects the codes of all activations by quantiser."""
    activations = {name: q for name, q in quantizers(model).items() if not name.endswith("weight_quantizer")}

    def recorder(name: str) -> Quantizer.Observer:
        return lambda codes: seen.setdefault(name, []).append(codes)

    for name, quantizer in activations.items():
        quantizer.observer = recorder(name)
    try:
        yield
    finally:
        for quantizer in activations.values():
            quantizer.observer = None


@torch.no_grad()
def compare_paths(model: PreTrainedModel, integer: IntegerModel, batches: Iterable[dict[str, Tensor]]) -> Agreement:
    """Runs both on `batches` (keyword arguments of the model) and counts where they differ."""
    samples = predictions = codes = ties = largest_step = untouched = 0
    largest_difference = 0.0
    model.eval()
    for inputs in batches:
        ours: dict[str, list[Tensor]] = {}
        theirs: dict[str, list[Tensor]] = {}
        with _recorded(model, ours):
            fake = model(**inputs).logits
        with _recorded(integer.network, theirs):
            exact = integer.logits(inputs)
        size = len(fake)
        touched = torch.zeros(size, dtype=torch.bool)
        for name, tensors in ours.items():
            # Query, key and value read one quantised tensor, in the integer path each for itself.
            repeats = len(theirs[name]) // len(tensors)
            for mine, other in zip(tensors, theirs[name][::repeats], strict=True):
                difference = (mine - other).abs().reshape(size, -1)  # windows of one image lie together
                codes += mine.numel()
                ties += int((difference > 0).sum())
                largest_step = max(largest_step, int(difference.max()))
                touched |= difference.amax(1) > 0
        samples += size
        predictions += int((fake.argmax(-1) == exact.argmax(-1)).sum())
        untouched += int((~touched).sum())
        if not bool(touched.all()):
            largest_difference = max(largest_difference, float((fake - exact)[~touched].abs().max()))
    return Agreement(samples, predictions, codes, ties, largest_step, untouched, largest_difference)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    if options.samples is not None and options.samples < 0:
        raise InputError(f"samples must be at least 0, not {options.samples}")
    if options.samples is not None and options.samples > MOST_SAMPLES:
        raise InputError(f"samples must be at most {MOST_SAMPLES}, not {short(options.samples)}")
    model, record = load_run(options.checkpoint)
    if record.scheme is None:
        raise InputError(f"{options.checkpoint} must be a quantised run to have integers; it is at full precision")
    integers = IntegerModel.from_quantized(
        model, record.scheme, {"data": dict(record.data), "options": dict(record.options)}
    )
    with alone(options.out, "export"):
        integers.save(options.out)
        integer = IntegerModel.load(options.out)
    console = Console()
    _print_gemms(console, integer)
    if options.samples == 0:
        return
    data, _ = open_run_data(record)
    wanted = options.samples or len(data.test.labels)

    def inputs() -> Iterator[dict[str, Tensor]]:
        left = wanted
        for fetched, _ in split_batches(data, data.test, min(64, wanted)):
            named = inputs_of(fetched, torch.device("cpu"))
            yield {name: tensor[:left] for name, tensor in named.items()}
            left -= min(64, wanted)
            if left <= 0:
                return

    bar = Console(stderr=True)
    steps = track(
        inputs(), "comparing", total=-(-wanted // 64), console=bar, transient=True, disable=not bar.is_terminal
    )
    found = compare_paths(model, integer, steps)
    console.print(
        f"{found.predictions} of {found.samples} predictions equal; {found.ties} of {found.codes} codes differ "
        f"(by {found.largest_step} at most) in {found.samples - found.untouched} samples; "
        f"logits of the others within {found.largest_difference:.1e}",
        highlight=False,
        soft_wrap=True,
    )
    if found.predictions != found.samples or found.ties or found.largest_difference:
        sys.exit(1)


def _print_gemms(console: Console, integer: IntegerModel) -> None:
    """One line for each kind of GEMM precision."""
    counts: dict[tuple[str, str, str], int] = {}
    for gemm in integer.gemms():
        left, right = _precision(gemm.left), _precision(gemm.right)
        counts[gemm.kind, left, right] = counts.get((gemm.kind, left, right), 0) + 1
    table = Table("GEMM", "activations, bits", "weights or second operand, bits", "count")
    for (kind, left, right), count in counts.items():
        table.add_row(kind, left, right, str(count))
    console.print(table)


def _precision(operand: Operand) -> str:
    low, high = min(operand.bits), max(operand.bits)
    return f"{low if low == high else f'{low}..{high}'} {'signed' if operand.signed else 'unsigned'}"


if __name__ == "__main__":
    run(PROG, main)
