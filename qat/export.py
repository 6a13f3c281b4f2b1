"""Writes the integers of a run or of a quantised network, or its graph as an ONNX file: ``python -m qat.export``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import cast

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.data import worker_count
from qat.integers import Agreement, IntegerModel, Operand, compare_paths, random_inputs
from qat.network import holds_quantised, load_quantised, scheme_of
from qat.settings import check_samples
from qat.training import RunRecord, device_named, inputs_of, load_run, open_run_data, split_batches
from siliquant.commandline import console, print_table, run
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError, short

from .parsers import export as parser
from .parsers import read_workers

PROG = "python -m qat.export"
_FEW_SAMPLES = 16  # that a file of ONNX is run on: one at a time, by its reference; or of random inputs
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
    model, record = _opened(options)
    if record is None and options.samples:
        check_samples(options.samples)
    if options.format != "integers":
        _write_graph(options, model, record, workers)
        return
    origin = {} if record is None else {"data": dict(record.data), "options": dict(record.options)}
    integers = IntegerModel.from_quantized(model, scheme_of(model), origin)
    with alone(options.out, "export"):
        integers.save(options.out)
        integers = IntegerModel.load(options.out)
    out = console()
    _print_gemms(out, integers)
    if options.samples == 0:
        return
    for network in (model, integers.network):
        cast(nn.Module, network).to(device)
    found = compare_paths(model, integers, _inputs(model, record, options.samples, device, workers))
    out.print(_sentence(found))
    if found.predictions != found.samples or found.ties or found.largest_difference:
        sys.exit(1)


def _opened(options: Namespace) -> tuple[PreTrainedModel, RunRecord | None]:
    """The quantised network and, of a run, its record."""
    if not (options.checkpoint / "run.json").exists() and holds_quantised(options.checkpoint):
        return load_quantised(options.checkpoint), None
    model, record = load_run(options.checkpoint)
    if record.scheme is None:
        raise InputError(f"{options.checkpoint} must be a quantised run to have integers; it is at full precision")
    return model, record


def _write_graph(options: Namespace, model: PreTrainedModel, record: RunRecord | None, workers: int | None) -> None:
    """Writes network.onnx, reads it again, and runs it beside the network, on the CPU as ONNX's reference does."""
    from onnx import load as load_graph

    from qat.exchange import compare_file, onnx_model

    samples = _FEW_SAMPLES if options.samples is None else options.samples
    batches = _inputs(model, record, max(samples, 1), torch.device("cpu"), workers, size=1)
    first = next(batches)
    path = options.out / "network.onnx"
    with alone(options.out, "export"):
        write_atomically(path, onnx_model(model, first, options.format).SerializeToString(deterministic=True))
    out = console()
    out.print(f"{path}: {path.stat().st_size:,} bytes")
    if samples:
        found = compare_file(model, load_graph(path), chain([first], batches))
        out.print(_sentence(found))
        if found.predictions != found.samples:
            sys.exit(1)


def _sentence(found: Agreement) -> str:
    return (
        f"{found.predictions} of {found.samples} predictions equal; {found.ties} of {found.codes} codes differ "
        f"(by {found.largest_step} at most) in {found.samples - found.untouched} samples; "
        f"logits of the others within {found.largest_difference:.1e}"
    )


def _inputs(
    model: PreTrainedModel,
    record: RunRecord | None,
    samples: int | None,
    device: torch.device,
    workers: int | None,
    size: int = 64,
) -> Iterator[dict[str, Tensor]]:
    """Test samples of the data of a run; random ones where there is no run."""
    if record is not None:
        yield from _batches(record, samples, device, workers, size)
        return
    for inputs in random_inputs(model.config, samples or _FEW_SAMPLES):
        yield {name: tensor.to(device) for name, tensor in inputs.items()}


def _batches(
    record: RunRecord, samples: int | None, device: torch.device, workers: int | None, size: int = 64
) -> Iterator[dict[str, Tensor]]:
    """Test samples of the run's data, all where no number is given."""
    data, _ = open_run_data(record.data, record.options, record.model)
    wanted = min(samples or len(data.test.labels), len(data.test.labels))
    count, size = worker_count(data.test, workers, device), min(size, wanted)

    def inputs() -> Iterator[dict[str, Tensor]]:
        left = wanted
        for fetched, _ in split_batches(data, data.test, size, count):
            named = inputs_of(fetched, device)
            yield {name: tensor[:left] for name, tensor in named.items()}
            left -= size
            if left <= 0:
                return

    bar = Console(stderr=True)
    yield from track(
        inputs(), "comparing", total=-(-wanted // size), console=bar, transient=True, disable=not bar.is_terminal
    )


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
