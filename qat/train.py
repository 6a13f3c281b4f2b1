"""Trains a transformer at full precision or at low bit-widths: python -m qat.train --bits 2 --out DIR."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from transformers import PreTrainedModel

from siliquant.cli import Parser, run
from siliquant.files import write_atomically

from .convert import calibrate, quantize_model
from .data import Data, open_data
from .distributed import Processes, processes
from .models.presets import PRESET_NAMES, build, preset
from .options import Options, add_arguments, merge, read_config
from .runs import load_start, load_state, load_teacher, read_record, save_model, save_record
from .softlabels import SoftLabelStore
from .text import TextSplit
from .trainer import Training, calibration_inputs, train

__all__ = ["main", "run_training"]

# What tells one preset of a family from another.
_SHAPE = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "embed_dim", "depths", "widths")
# What may differ between the parts of a resumed run.
_MACHINE = ("out", "device", "threads", "workers", "checkpoint_minutes", "tensorboard")


def main() -> None:
    """The command line."""
    parser = Parser(
        prog="python -m qat.train",
        description="Trains a low-bit (or full-precision) transformer and keeps everything of it in one folder.",
        epilog="example: python -m qat.train --model vit-mnist --bits 2 --start runs/fp --teacher runs/fp --obr 0.01 "
        "--out runs/w2a2\nseveral processes: torchrun --nproc-per-node 4 -m qat.train ...",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML or TOML with the same names; flags win")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--list-models", action="store_true", help="print the presets and end")
    add_arguments(parser)
    arguments = vars(parser.parse_args())
    config, resume, listed = (arguments.pop(name) for name in ("config", "resume", "list_models"))
    if listed:
        print("\n".join(PRESET_NAMES))
        return
    given = (read_config(config) if config else {}) | arguments
    options = _resumed(given) if resume else merge(given)
    if not resume and (options.out / "run.json").exists():
        raise ValueError(f"{options.out} holds a run already: give --resume to go on with it, or another folder")
    with processes(options.device) as group:
        run_training(options, group, resume=resume, console=Console(stderr=True))


def run_training(options: Options, group: Processes, *, resume: bool, console: Console) -> list[dict[str, Any]]:
    """Trains as `options` say, writes the run folder, prints the result; returns the history, one record an epoch.

    Raises ValueError for data, checkpoints and stores that do not fit together; the folder keeps what it has.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.batch_size % group.world:
        raise ValueError(f"batch_size must be a multiple of {group.world} processes, not {options.batch_size}")
    torch.manual_seed(options.seed)
    model, data = _model_and_data(options)
    teacher = _teacher(options, data, group)
    store = None
    if options.soft_labels:
        if isinstance(data.train, TextSplit):
            raise ValueError(f"soft_labels are for images, but {data.name} has texts")
        store = SoftLabelStore.open(options.soft_labels, data.train, len(data.classes))
    scheme = options.scheme()
    if scheme is not None:
        quantize_model(model, scheme, fit_weights=not resume)
        if not resume:
            # The same batches in every process, so that all start from the same scales.
            calibrate(model, calibration_inputs(options, data, torch.device("cpu")))
    state = options.out / "state.pt"
    if resume:
        if not state.exists():
            raise ValueError(f"{state} must be there to resume: the run had not saved anything yet")
        tensors = torch.load(state, map_location="cpu", weights_only=True)["model"]
        load_state(model, tensors, state)
    elif group.rank == 0:
        save_record(options.out, model, scheme, data, options.to_dict())
    cast(nn.Module, model).to(group.device)
    training = Training(options, data, model, group, teacher=teacher, store=store)
    if resume:
        training.load(state)
    if options.epochs == 0:
        training.history.append(training.finish_epoch(0.0, 0))
        if group.rank == 0:
            _save_epoch(options.out, training)
    else:
        with _progress(training, console) as report, _tensorboard(options, group) as log:

            def save(now: Training) -> None:
                now.save(state)
                if now.step == 0:
                    _save_epoch(options.out, now)
                    log(now.history[-1])

            train(training, save, report)
    if group.rank == 0:
        _print_result(console, options.out, training)
    return training.history


def _resumed(given: dict[str, Any]) -> Options:
    """The options of the run in `out`; of those given only the ones about the machine may differ."""
    asked = merge(given)
    kept = merge(read_record(asked.out).options, {"out": asked.out})
    changes = {name: getattr(asked, name) for name in given}
    for name, value in changes.items():
        if name not in _MACHINE and value != getattr(kept, name):
            raise ValueError(
                f"{name} must stay {getattr(kept, name)!r}, as the run in {asked.out} has it, not {value!r}"
            )
    return replace(kept, **changes)


def _model_and_data(options: Options) -> tuple[PreTrainedModel, Data]:
    config = preset(options.model).config
    pixels = getattr(config, "image_size", None)
    data = open_data(
        options.data,
        image_size=options.image_size or pixels,
        tokenizer=options.tokenizer,
        max_length=options.max_length,
        limit=options.limit,
    )
    labels = len(data.classes) or 1
    if isinstance(data.train, TextSplit) != (pixels is None):
        what = ("texts", "images") if isinstance(data.train, TextSplit) else ("images", "texts")
        raise ValueError(f"data for {options.model} must be {what[1]}, but {data.name} has {what[0]}")
    if not isinstance(data.train, TextSplit) and data.train.channels != config.num_channels:
        raise ValueError(
            f"images for {options.model} must have {config.num_channels} channels, "
            f"but those of {data.name} have {data.train.channels}"
        )
    if options.start is None:
        return build(options.model, num_labels=labels), data
    model = load_start(options.start, preset=options.model, num_labels=labels, new_head=options.new_head)
    differing = [name for name in _SHAPE if getattr(model.config, name, None) != getattr(config, name, None)]
    if differing:
        found, wanted = (getattr(c, differing[0], None) for c in (model.config, config))
        raise ValueError(
            f"start must be a {options.model} with {differing[0]} {wanted}, but {options.start} has {found}"
        )
    return model, data


def _teacher(options: Options, data: Data, group: Processes) -> PreTrainedModel | None:
    if options.teacher is None:
        return None
    teacher = load_teacher(options.teacher, preset=options.model)
    cast(nn.Module, teacher).to(group.device)
    labels = len(data.classes) or 1
    if teacher.config.num_labels != labels:
        raise ValueError(f"the teacher must have {labels} classes, as {data.name}, not {teacher.config.num_labels}")
    if options.distill == "layers" and teacher.config._attn_implementation == "sdpa":
        teacher.set_attn_implementation("eager")  # the fused one keeps no probabilities
    return teacher


def _save_epoch(folder: Path, training: Training) -> None:
    save_model(folder / "model.safetensors", training.model)
    lines = [json.dumps(record) for record in training.history]
    write_atomically(folder / "metrics.jsonl", "\n".join(lines) + "\n")
    table = io.StringIO()
    columns = [name for name in training.history[0] if name != "oscillation_by_module"]
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(training.history)
    write_atomically(folder / "metrics.csv", table.getvalue())


@contextmanager
def _progress(training: Training, console: Console) -> Iterator[Callable[[Training, float], None]]:
    """A bar with loss, accuracy, oscillation, speed and time left; nothing outside a terminal but a line an epoch."""
    total = training.options.epochs * training.steps_per_epoch
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.1%}  {task.fields[flips]}"),
        TextColumn("{task.fields[speed]:.0f}/s"),
        TimeRemainingColumn(),
    )
    flips, shown_at, last = "", 0.0, -1
    fields: dict[str, Any] = {
        "epoch": 0,
        "epochs": training.options.epochs,
        "loss": math.nan,
        "accuracy": math.nan,
        "speed": 0.0,
    }
    with Progress(*columns, console=console, disable=training.processes.rank != 0, transient=True) as progress:
        task = progress.add_task("", total=total, flips="", **fields)

        def report(now: Training, speed: float) -> None:
            nonlocal flips, shown_at, last
            if now.history and now.history[-1]["epoch"] != last:
                last = now.history[-1]["epoch"]
                progress.console.print(_line(now.history[-1]), highlight=False)
            if now.tracker is not None and time.monotonic() - shown_at > 2:
                flips, shown_at = f"oscillating {now.tracker.share():.2%}", time.monotonic()
            samples = max(now.sums["samples"], 1)
            progress.update(
                task,
                completed=now.epoch * now.steps_per_epoch + now.step,
                epoch=now.epoch + 1,
                loss=now.sums["loss"] / samples,
                accuracy=now.sums["correct"] / samples,
                flips=flips,
                speed=speed,
            )

        yield report


@contextmanager
def _tensorboard(options: Options, group: Processes) -> Iterator[Callable[[dict[str, Any]], None]]:
    if not options.tensorboard or group.rank != 0:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("tensorboard must be installed for --tensorboard: pip install tensorboard") from None
    with SummaryWriter(str(options.out / "tensorboard")) as writer:

        def log(record: dict[str, Any]) -> None:
            for name, value in record.items():
                if isinstance(value, int | float) and name != "epoch":
                    writer.add_scalar(name, value, record["epoch"])

        yield log


def _line(record: dict[str, Any]) -> str:
    flips = "" if record["oscillation"] is None else f"  oscillating {record['oscillation']:.2%}"
    return (
        f"epoch {record['epoch']}: loss {record['loss']:.4f}  test {100 * record['test_score']:.2f} %"
        f"{flips}  {record['samples_per_second']:.0f} samples/s"
    )


def _print_result(console: Console, folder: Path, training: Training) -> None:
    record = training.history[-1]
    what = "accuracy" if training.data.classes else "correlation"
    low, high = 100 * record["test_low"], 100 * record["test_high"]
    console.print(
        f"{folder}: test {what} {100 * record['test_score']:.2f} % (95 % interval {low:.2f} to {high:.2f} %)",
        highlight=False,
    )


if __name__ == "__main__":
    run("python -m qat.train", main)
