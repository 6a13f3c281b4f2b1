"""Writes the integers of a trained run: ``python -m qat.export``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.data import worker_count
from qat.integers import Agreement, IntegerModel, Operand, compare_paths
from qat.training import RunRecord, device_named, inputs_of, load_run, open_run_data, split_batches
from siliquant.commandline import console, print_table, run
from siliquant.files import alone
from siliquant.inputs import InputError, short

from .parsers import export as parser
from .parsers import read_workers

PROG = "python -m qat.export"
MOST_SAMPLES = (1 << 32) - 1
"""Test samples that are checked, at most."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    if options.samples is not None and options.samples < 0:
        raise InputError(f"samples must be at least 0, not {options.samples}")
    if options.samples is not None and options.samples > MOST_SAMPLES:
        raise InputError(f"samples must be at most {MOST_SAMPLES}, not {short(options.samples)}")
    workers = read_workers(options)
    device = device_named(options.device)
    model, record = load_run(options.checkpoint)
    if record.scheme is None:
        raise InputError(f"{options.checkpoint} must be a quantised run to have integers; it is at full precision")
    integers = IntegerModel.from_quantized(
        model, record.scheme, {"data": dict(record.data), "options": dict(record.options)}
    )
    with alone(options.out, "export"):
        integers.save(options.out)
        integers = IntegerModel.load(options.out)
    out = console()
    _print_gemms(out, integers)
    if options.samples == 0:
        return
    found = _compared(model, integers, record, options.samples, device, workers)
    out.print(
        f"{found.predictions} of {found.samples} predictions equal; {found.ties} of {found.codes} codes differ "
        f"(by {found.largest_step} at most) in {found.samples - found.untouched} samples; "
        f"logits of the others within {found.largest_difference:.1e}"
    )
    if found.predictions != found.samples or found.ties or found.largest_difference:
        sys.exit(1)


def _compared(
    model: PreTrainedModel,
    integer: IntegerModel,
    record: RunRecord,
    samples: int | None,
    device: torch.device,
    workers: int | None,
) -> Agreement:
    """Fake-quantised and integer network on test samples of the run's data, all where no number is given."""
    data, _ = open_run_data(record.data, record.options, record.model)
    wanted = samples or len(data.test.labels)
    count = worker_count(data.test, workers, device)
    for network in (model, integer.network):
        cast(nn.Module, network).to(device)

    def inputs() -> Iterator[dict[str, Tensor]]:
        left = wanted
        for fetched, _ in split_batches(data, data.test, min(64, wanted), count):
            named = inputs_of(fetched, device)
            yield {name: tensor[:left] for name, tensor in named.items()}
            left -= min(64, wanted)
            if left <= 0:
                return

    bar = Console(stderr=True)
    steps = track(
        inputs(), "comparing", total=-(-wanted // 64), console=bar, transient=True, disable=not bar.is_terminal
    )
    return compare_paths(model, integer, steps)


def _print_gemms(out: Console, integer: IntegerModel) -> None:
    """One line for each kind of GEMM precision."""
    counts: dict[tuple[str, str, str], int] = {}
    for gemm in integer.gemms():
        left, right = _precision(gemm.left), _precision(gemm.right)
        counts[gemm.kind, left, right] = counts.get((gemm.kind, left, right), 0) + 1
    lines = [[kind, left, right, str(count)] for (kind, left, right), count in counts.items()]
    headers = ("GEMM", "activations, bits", "weights or second operand, bits", "count")
    print_table(out, "integer products", headers, lines, left=(0, 1, 2))


def _precision(operand: Operand) -> str:
    low, high = min(operand.bits), max(operand.bits)
    return f"{low if low == high else f'{low}..{high}'} {'signed' if operand.signed else 'unsigned'}"


if __name__ == "__main__":
    run(PROG, main)
