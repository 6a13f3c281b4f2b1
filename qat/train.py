"""Trains a transformer at full precision or at low bit-widths: python -m qat.train --bits 2 --out DIR."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from qat.data import (
    Data,
    SoftLabelStore,
    TextSplit,
    augmented,
    checked,
    has_look,
    look_of_record,
    open_data,
    without,
    worker_count,
)
from qat.files import check_network, save_model
from qat.models import STRUCTURE, build, described, from_config, is_preset, preset, says_its_network, untrained
from qat.network import calibrate, gemms, quantize_model, rotate
from qat.quantisers.native import keep_freed_memory
from qat.settings import (
    PRESET_NAMES,
    Options,
    Scheme,
    merge,
    read_config,
    recorded,
    typed,
    values_of_recipe,
    with_policy,
)
from qat.training import (
    METRICS,
    Processes,
    RunRecord,
    Training,
    calibration_inputs,
    check_inputs,
    check_recorded,
    classes_of,
    compare_classes,
    load_start,
    load_state,
    load_teacher,
    names_of_skipped,
    network_of,
    normalised,
    processes,
    read_record,
    read_state,
    replay,
    save_record,
    stated_look,
    steps_per_epoch,
    train,
)
from siliquant.commandline import run
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError, belongs, json_object, member, read_text, without_controls
from siliquant.processes import cores

from .parsers import train as parser
from .plan import plan_lines

__all__ = ["main", "parser", "run_training"]

PROG = "python -m qat.train"

# Models whose layers all have one shape, and what has to agree for distillation of layers.
_UNIFORM = ("vit", "deit", "bert")
_LAYERS = ("hidden_size", "num_hidden_layers", "num_attention_heads")
# What may differ between the parts of a resumed run.
_MACHINE = ("out", "device", "threads", "workers", "checkpoint_minutes", "tensorboard")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    flags = vars(parser().parse_args(arguments))
    config, resume, dry, listed = (flags.pop(name) for name in ("config", "resume", "dry_run", "list_models"))
    if listed:
        print("\n".join(PRESET_NAMES))
        return
    if resume and dry:
        raise InputError("dry_run must not be given with resume: run.json has what such a run trains")
    kept = read_config(config) if config else {}
    given = with_policy(kept | flags)
    of_start = {} if resume else _network_of_start(given)
    options = _resumed(given) if resume else merge(of_start | given)
    if not resume:
        options.check_needs(typed(given))
    if not resume and (options.out / "run.json").exists():
        raise InputError(f"{options.out} holds a run already: give --resume to go on with it, or another folder")
    if dry:
        recipe = f"the recipe {options.recipe}", values_of_recipe(options.recipe)
        sources = recipe, (f"the start {options.start}", of_start), (str(config), kept), ("the command line", flags)
        with processes(options.device) as group:
            _describe(options, {name: what for what, values in sources for name in values}, group)
        return
    keep_freed_memory()
    with processes(options.device) as group, alone(options.out, "training") if group.rank == 0 else nullcontext():
        if group.rank == 0 and not resume and (options.out / "run.json").exists():
            raise InputError(f"{options.out} holds a run of another training that has just ended: choose another --out")
        run_training(options, group, resume=resume, console=Console(stderr=True))


def run_training(
    options: Options,
    group: Processes,
    *,
    resume: bool,
    console: Console,
    adapt: Callable[[PreTrainedModel], None] | None = None,
) -> list[dict[str, Any]]:
    """Trains as `options` say, writes the run folder, prints the result; returns the history, one record an epoch.

    adapt: changes the quantised network before it is trained, as a study does that compares other quantisers.

    Raises ValueError for data, checkpoints and stores that do not fit together; the folder keeps what it has.
    """
    if group.rank != 0:
        console = Console(file=io.StringIO())
    _prepare(options, group)
    record = read_record(options.out) if resume else None
    state = _state(options, record)
    # A run goes on with the network that it began with, whatever has become of the folder that described it.
    wanted = described(record.model)[1] if record else preset(options.model, image_size=options.image_size).config
    data, skipped = _data(options, wanted, record, group, console)
    if record is not None and state is None and (history := _finished(options.out, record)):
        _print_result(console, options.out, data, history[-1])
        return history
    torch.manual_seed(options.seed)  # whatever was drawn while the data were opened
    model = _model(options, wanted, data, console) if record is None or state is None else from_config(record.model)
    teacher = _teacher(options, wanted, model, data, group, console)
    store = _store(options, data)
    scheme = _quantised(options, model, data, fresh=state is None)
    if adapt is not None:
        adapt(model)
    if state is not None:
        load_state(model, state["model"], _state_file(options))
    elif group.rank == 0:
        save_record(options.out, model, scheme, data, options.to_dict(), skipped)
    cast(nn.Module, model).to(group.device)
    training = Training(options, data, model, group, teacher=teacher, store=store)
    if training.workers:
        number = f"{training.workers} process{'es' if training.workers > 1 else ''}"
        _print(console, f"images are loaded by {number}" + (" for each that trains" if group.world > 1 else ""))
    if state is not None:
        training.load(state, _state_file(options))
        if training.history and group.rank == 0:
            _save_epoch(options.out, training, with_model=training.step == 0)
    _run_epochs(training, console)
    if group.rank == 0:
        _print_result(console, options.out, data, training.history[-1])
    return training.history


def _describe(options: Options, origins: Mapping[str, str], group: Processes) -> None:
    """Prints what `run_training` would train, with all checks before the first step, and writes nothing."""
    console = Console(stderr=True) if group.rank == 0 else Console(file=io.StringIO())
    _prepare(options, group)
    wanted = preset(options.model, image_size=options.image_size).config
    data, _ = _data(options, wanted, None, group, console)
    model = _model(options, wanted, data, console)
    _teacher(options, wanted, model, data, group, console)
    store = _store(options, data)
    workers = worker_count(data.train, options.workers, group.device, group.beside)
    if group.rank == 0:
        print("\n".join(plan_lines(options, origins, model, data, store, group, workers)))


def _prepare(options: Options, group: Processes) -> None:
    """Threads and seed of this process. InputError for what cannot be trained so."""
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.tensorboard and not find_spec("tensorboard"):
        raise InputError("tensorboard must be installed for --tensorboard: pip install tensorboard")
    if options.batch_size % group.world:
        raise InputError(f"batch_size must be a multiple of {group.world} processes, not {options.batch_size}")
    torch.manual_seed(options.seed)


def _state_file(options: Options) -> Path:
    return options.out / "state.pt"


def _state(options: Options, record: RunRecord | None) -> dict[str, Any] | None:
    """Where a run that goes on stands; None for one that begins, or was ended before its first checkpoint.

    InputError where it has finished an epoch and its state is lost, or belongs to other weights.
    """
    path, weights = _state_file(options), options.out / "model.safetensors"
    if record is None or not path.exists():
        if record is not None and options.epochs and weights.exists():
            raise InputError(
                f"{path} must be there to go on with a run that has finished an epoch: put it back, or choose another "
                "--out"
            )
        return None
    state = read_state(path)
    if weights.exists():
        check_network(weights, record.network)
    return state


def _quantised(options: Options, model: PreTrainedModel, data: Data, *, fresh: bool) -> Scheme | None:
    """Quantises a model in place as the options say; a fresh one is calibrated. None at full precision."""
    scheme = options.scheme()
    if scheme is not None:
        quantize_model(model, scheme, fit_weights=fresh)
        unnamed = gemms(model).keys() - {override.pattern for override in scheme.overrides}
        if options.policy is not None and unnamed:
            raise InputError(f"the policy {options.policy} must have bits for every GEMM, and lacks {min(unnamed)}")
        if fresh:
            # The same batches in every process, so that all start from the same scales.
            calibrate(model, calibration_inputs(options, data, torch.device("cpu")))
    return scheme


def _run_epochs(training: Training, console: Console) -> None:
    """All epochs that are left, saved as they end; without any, the model is judged as it is."""
    options, group = training.options, training.processes
    if options.epochs == 0:
        training.history.append(training.finish_epoch(0.0, 0))
        if group.rank == 0:
            _save_epoch(options.out, training)
        return
    with _progress(training, console) as report, _tensorboard(options, group) as log:

        def save(now: Training) -> None:
            now.save(_state_file(options))
            if now.step == 0:
                _save_epoch(options.out, now)
                _print(console, _line(now.history[-1]))
                log(now.history[-1])

        train(training, save, report)


def _network_of_start(given: dict[str, Any]) -> dict[str, Any]:
    """Model and image_size of the start where no model is given.  InputError where the start does not say it."""
    chosen = typed(given)
    start = chosen.get("start")
    if "model" in chosen or start is None or not start.exists():
        return {}
    found = network_of(start)
    if found is None:
        raise InputError(f"model must be given with the start {start}, which does not say its network")
    return {"model": found[0]} | ({"image_size": found[1]} if found[1] else {})


def _resumed(given: dict[str, Any]) -> Options:
    """The options of the run in `out`; of those given only the ones about the machine may differ."""
    changes = typed(given)
    if "out" not in changes:
        raise InputError("out must be given: the folder of the run")
    folder = changes["out"]
    kept = recorded(read_record(folder).options, folder)
    for name, value in changes.items():
        if name not in _MACHINE and value != getattr(kept, name):
            if name == "override" and "policy" in changes:
                raise InputError(f"policy and override must give the widths that the run in {folder} has")
            before, now = (str(v) if isinstance(v, Path) else repr(v) for v in (getattr(kept, name), value))
            raise InputError(f"{name} must stay {before}, as the run in {folder} has it, not {now}")
    return replace(kept, **changes)


def _data(
    options: Options, config: PreTrainedConfig, record: RunRecord | None, group: Processes, console: Console
) -> tuple[Data, dict[str, list[str]]]:
    """The data of a network of that configuration, and the names of the images left out.

    ValueError unless the model can read it and, when there is a record, it is the data of that run.
    """
    if record is not None:
        stated = look_of_record(record.data)
    else:
        sources = [path for path in (options.start, options.teacher) if path and has_look(options.data)]
        stated = stated_look(sources, options.image_stats, console)
    data = open_data(
        options.data,
        image_size=getattr(config, "image_size", None),
        tokenizer=options.tokenizer,
        max_length=options.max_length,
        limit=options.limit,
        look=stated,
    )
    check_inputs(options.model, config, data)
    processes_each = max(cores() // group.world, 1)  # every process looks, so that all see the same
    if record is not None:
        skipped = names_of_skipped(record.data)
        data, _ = checked(without(data, skipped), console, processes=processes_each)
    else:
        data, skipped = checked(data, console, skip=options.skip_unreadable, processes=processes_each)
        data = normalised(data, stated, options.image_stats, console, processes_each)
    if record is not None:
        check_recorded(data, record.data, ("train", "test"))
    if options.label_smoothing and not data.classes:
        raise InputError(f"label_smoothing is for classes, but {data.name} has scores")
    steps_per_epoch(data, options)  # before anything is written: whether annealing has a step
    return augmented(data, options.augment, options.rand_augment, options.random_erasing), skipped


def _model(options: Options, config: PreTrainedConfig, data: Data, console: Console) -> PreTrainedModel:
    labels = len(data.classes) or 1
    if options.start is None and is_preset(options.model):
        return build(options.model, num_labels=labels, image_size=options.image_size)
    if options.start is None:
        return untrained(config, labels)
    model = load_start(options.start, config=config, num_labels=labels, new_head=options.new_head)
    for name in STRUCTURE:
        found, wanted = (_plain(getattr(each, name, None)) for each in (model.config, config))
        if found != wanted:
            raise InputError(f"start must be a {options.model} with {name} {wanted}, but {options.start} has {found}")
    names = classes_of(options.start, model)
    if not options.new_head and (remark := compare_classes(str(options.start), names, data)):
        _print(console, remark)
    if names and names != data.classes and len(names) == len(data.classes):  # what it is trained on from here
        model.config.id2label = dict(enumerate(data.classes))
        model.config.label2id = {name: number for number, name in enumerate(data.classes)}
    rotate(model, options.rotate, options.seed)
    return model


def _plain(value: Any) -> Any:
    """As JSON has it, where tuples and lists are one."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _teacher(
    options: Options, config: PreTrainedConfig, model: PreTrainedModel, data: Data, group: Processes, console: Console
) -> PreTrainedModel | None:
    if options.teacher is None:
        return None
    # A teacher that says its network may be another than the model; weights alone are taken for those of the same.
    teacher = load_teacher(options.teacher, config=None if says_its_network(options.teacher) else config)
    cast(nn.Module, teacher).to(group.device)
    labels = len(data.classes) or 1
    if teacher.config.num_labels != labels:
        raise InputError(f"the teacher must have {labels} classes, as {data.name}, not {teacher.config.num_labels}")
    check_inputs(f"the teacher {options.teacher}", teacher.config, data)
    remark = compare_classes(f"the teacher {options.teacher}", classes_of(options.teacher, teacher), data)
    if remark and options.teacher != options.start:
        _print(console, remark)
    if options.distill == "layers":
        for each in (model, teacher):
            shapes = [getattr(m.config, name, None) for name in _LAYERS for m in (model, each)]
            if each.config.model_type not in _UNIFORM or shapes[::2] != shapes[1::2]:
                raise InputError("distill must be 'logits' unless model and teacher are ViT or BERT of one shape")
            if each.config._attn_implementation == "sdpa":
                each.set_attn_implementation("eager")  # the fused one keeps no probabilities
    return teacher


def _store(options: Options, data: Data) -> SoftLabelStore | None:
    if options.soft_labels is None:
        return None
    if isinstance(data.train, TextSplit):
        raise InputError(f"soft_labels are for images, but {data.name} has texts")
    store = SoftLabelStore.open(options.soft_labels, data.train, len(data.classes))
    replay(store, options.seed, 0, options.batch_size, options.crops_per_image)  # checks the two sizes
    return store


def _save_epoch(folder: Path, training: Training, *, with_model: bool = True) -> None:
    if with_model:
        save_model(folder / "model.safetensors", training.evaluated, read_record(folder).network)
    lines = [json.dumps(record, allow_nan=False) for record in training.history]
    write_atomically(folder / "metrics.jsonl", "\n".join(lines) + "\n")
    table = io.StringIO()
    columns = [name for name in training.history[0] if name != "oscillation_by_module"]
    writer = csv.DictWriter(table, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(training.history)
    write_atomically(folder / "metrics.csv", table.getvalue())


@contextmanager
def _progress(training: Training, console: Console) -> Iterator[Callable[[Training, float], None]]:
    """A bar with loss, accuracy, oscillation, speed and time left; nothing outside a terminal."""
    total = training.options.epochs * training.steps_per_epoch
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.1%}  {task.fields[flips]}"),
        TextColumn("{task.fields[speed]:.0f}/s"),
        TimeRemainingColumn(),
    )
    flips, shown_at = "", 0.0
    fields: dict[str, Any] = {
        "epoch": 0,
        "epochs": training.options.epochs,
        "loss": math.nan,
        "accuracy": math.nan,
        "speed": 0.0,
    }
    hidden = training.processes.rank != 0 or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=True) as progress:
        task = progress.add_task("", total=total, flips="", **fields)

        def report(now: Training, speed: float) -> None:
            nonlocal flips, shown_at
            if not hidden and now.tracker is not None and time.monotonic() - shown_at > 2:
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
    from torch.utils.tensorboard import SummaryWriter

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


def _finished(folder: Path, record: RunRecord) -> list[dict[str, Any]]:
    """The history of a run without epochs, which leaves no state; empty where it has not ended.  InputError."""
    weights, metrics, table = (folder / name for name in ("model.safetensors", "metrics.jsonl", "metrics.csv"))
    if not (weights.exists() and metrics.exists() and table.exists()):  # in the order in which they are written
        return []
    check_network(weights, record.network)
    return [json_object(line, metrics) for line in read_text(metrics).splitlines()]


def _print_result(console: Console, folder: Path, data: Data, last: dict[str, Any]) -> None:
    """last: the record of the last epoch."""
    with belongs(folder / "metrics.jsonl", "what a run measured"):
        score, low, high = (100 * member(last, name, float) for name in ("test_score", "test_low", "test_high"))
    what = METRICS[data.metrics[0]].title
    _print(console, f"{folder}: test {what} {score:.2f} % (95 % interval {low:.2f} to {high:.2f} %)")


def _print(console: Console, line: str) -> None:
    """As it is, but for control characters: a path may hold brackets, and is not to be broken."""
    console.print(without_controls(line), highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run(PROG, main)
