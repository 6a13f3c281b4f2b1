"""Stores a teacher's soft labels of many crops of every training image: ``python -m qat.softlabels``.

Multi-crop knowledge distillation (after Shen and Xing, "A Fast Knowledge Distillation Framework", 2022): the teacher
runs once; training replays the stored views and labels.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from rich.console import Console
from torch import Tensor, nn

from qat.data import (
    MOST_CROPS,
    MOST_SKIPPED,
    MOST_TOP_K,
    Data,
    RandomResizedCrop,
    SoftLabelStore,
    augmented,
    checked,
    has_look,
    open_data,
    worker_count,
)
from qat.models import preset
from qat.training import check_inputs, classes_of, compare_classes, make_store, normalised, stated_look, weights_sha256
from siliquant.commandline import run
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError, integer, printable, short, without_controls
from siliquant.processes import cores

from .parsers import has_images, read_workers
from .parsers import softlabels as parser

if TYPE_CHECKING:
    from rich.progress import Progress
    from transformers import PreTrainedModel

    from qat.data import Policy

PROG = "qat.softlabels"


@dataclass(frozen=True)
class _Asked:
    """Numbers of a command line, in range. image_size, crops, limit: None where they were not given."""

    top_k: int
    seed: int
    batch_size: int
    images_per_shard: int
    skip: int
    workers: int | None
    image_size: int | None
    crops: int | None
    limit: int | None

    @classmethod
    def of(cls, options: Namespace) -> _Asked:
        size, crops, limit = options.image_size, options.crops, options.limit
        return cls(
            top_k=integer("top_k", options.top_k, 1, MOST_TOP_K),
            seed=integer("seed", options.seed, 0, (1 << 64) - 1),
            batch_size=integer("batch_size", options.batch_size, 1, 1 << 20),
            images_per_shard=integer("images_per_shard", options.images_per_shard, 1, 1 << 30),
            skip=integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED),
            workers=read_workers(options),
            image_size=None if size is None else integer("image_size", size, 1, 4096),
            crops=None if crops is None else integer("crops", crops, 1, MOST_CROPS),
            limit=None if limit is None else integer("limit", limit, 1, (1 << 32) - 1),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    of_teacher = ("--scale", "--seed", "--model", "--batch-size", "--workers", "--device", "--image-stats",
                  "--augment")  # fmt: skip
    made.only_with("--teacher", options.teacher is not None, *of_teacher)
    asked = _Asked.of(options)
    make = _imported if options.from_fkd is not None else _of_teacher
    size, skipped = make(options, asked)
    _record_skipped(options.out, skipped)
    _print(options.out, size)


def _imported(options: Namespace, asked: _Asked) -> tuple[int, dict[str, list[str]]]:
    """Bytes of a store that is made from FKD's files, and the images left out."""
    from qat.data import import_fkd

    data, skipped = _readable(open_data(options.data, image_size=asked.image_size, limit=asked.limit), asked.skip)
    with alone(options.out, "softlabels"), _bar() as progress:
        size = import_fkd(
            options.from_fkd, data, options.out, crops=asked.crops, top_k=asked.top_k,
            images_per_shard=asked.images_per_shard, report=_shown(progress, data, asked.crops),
        )  # fmt: skip
    return size, skipped


def _of_teacher(options: Namespace, asked: _Asked) -> tuple[int, dict[str, list[str]]]:
    """Bytes of a store of the teacher's labels, and the images left out."""
    if asked.crops is None:
        raise InputError("crops must be given: how many of each image, as --crops 8")
    scale = None if options.scale is None else _scale(options.scale)
    if scale is not None and options.augment not in (None, "crop"):
        raise InputError(f"scale must be given with augment crop only, not with {options.augment}")
    if not has_images(options.data):
        raise InputError(f"soft labels of crops need images, but {options.data} is text")

    if options.image_stats is not None and not has_look(options.data):
        raise InputError(f"image_stats must be given for images of folders only, not for {short(options.data)}")
    stated = stated_look([options.teacher] if has_look(options.data) else [], options.image_stats, Console(stderr=True))

    from qat.training import device_named

    device = device_named(options.device)
    model = _teacher(options, asked.image_size)
    cast(nn.Module, model).to(device)
    opened = open_data(options.data, image_size=asked.image_size or _image_size(model), limit=asked.limit, look=stated)
    check_inputs(f"the teacher {options.teacher}", model.config, opened)
    data, skipped = _readable(opened, asked.skip)
    data = normalised(data, stated, options.image_stats, Console(stderr=True), cores())
    data = augmented(data, options.augment)
    if remark := compare_classes(f"the teacher {options.teacher}", classes_of(options.teacher, model), data):
        print(printable(remark), file=sys.stderr)

    def logits(images: Tensor) -> Tensor:
        return cast(Tensor, model(pixel_values=images.to(device)).logits)

    with alone(options.out, "softlabels"), _bar() as progress:
        size = make_store(
            logits, data, options.out, crops=asked.crops, top_k=asked.top_k, seed=asked.seed,
            policy=_policy(data, scale), batch_size=asked.batch_size, images_per_shard=asked.images_per_shard,
            description=type(model).__name__, sha256=weights_sha256(model),
            workers=worker_count(data.train, asked.workers, device), report=_shown(progress, data, asked.crops),
        )  # fmt: skip
    return size, skipped


def _teacher(options: Namespace, image_size: int | None) -> PreTrainedModel:
    from qat.training import load_teacher

    wanted = None if options.model is None else preset(options.model, image_size=image_size).config
    return load_teacher(options.teacher, config=wanted)


def _policy(data: Data, scale: tuple[float, float] | None) -> Policy | None:
    """The crops: those of the data, or of the scale that was given; digits are not mirrored."""
    own = data.augmentation
    if scale is None:
        return own
    return RandomResizedCrop(scale=scale, flip=isinstance(own, RandomResizedCrop) and own.flip)


def _readable(data: Data, skip: int) -> tuple[Data, dict[str, list[str]]]:

    return checked(data, Console(stderr=True), skip=skip, parts=("train",))


def _record_skipped(folder: Path, skipped: dict[str, list[str]]) -> None:
    """Beside the manifest, whose numbers of images count without them."""
    if skipped:
        write_atomically(folder / "skipped.json", json.dumps(skipped, indent=1) + "\n")


def _print(folder: Path, size: int) -> None:
    store = SoftLabelStore.open(folder, verify=False)
    each = store.settings.record.itemsize
    print(
        f"{without_controls(str(folder))}: {store.settings.images} images x {store.crops} crops, {size / 1e6:.2f} MB; "
        f"{each} bytes a crop, size per million crops {each:.1f} MB"
    )


def _bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("crops"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
               TimeRemainingColumn())  # fmt: skip
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _shown(progress: Progress, data: Data, crops: int | None) -> Callable[[str, int], None]:
    """Shows what is reported: crops done of those that were missing, and images a second through the teacher."""
    total = None if crops is None else crops * len(data.train.labels)
    task = progress.add_task("", total=total, speed="")

    def report(what: str, count: int) -> None:
        if what == "done":
            speed = progress.tasks[0].speed
            progress.update(task, advance=count, speed="" if speed is None else f"{speed:.0f} images/s")
        elif what == "kept" and (known := progress.tasks[0].total) is not None:
            progress.update(task, total=known - count)  # as done, they would spoil speed and time left

    return report


def _image_size(model: torch.nn.Module) -> int | None:
    size = getattr(model.config, "image_size", None)
    return size if isinstance(size, int) else None


def _scale(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"scale must be two numbers LOW,HIGH, not {short(text)}") from None
    return RandomResizedCrop(scale=(low, high)).scale


if __name__ == "__main__":
    run(PROG, main)
