"""Stores a teacher's soft labels of many crops of every training image: ``python -m qat.softlabels``.

Multi-crop knowledge distillation (after Shen and Xing, "A Fast Knowledge Distillation Framework", 2022): the teacher
runs once; training replays the stored views and labels.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from qat.data import (
    MOST_CROPS,
    MOST_SKIPPED,
    MOST_TOP_K,
    Data,
    RandomResizedCrop,
    SoftLabelStore,
    checked,
    has_look,
    open_data,
)
from qat.models import preset
from qat.training import classes_of, compare_classes, look_of, make_store, weights_sha256
from siliquant.commandline import run
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError, integer, short

from .parsers import has_images
from .parsers import softlabels as parser

if TYPE_CHECKING:
    from rich.progress import Progress

PROG = "qat.softlabels"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    of_teacher = ("--scale", "--seed", "--model", "--batch-size", "--workers", "--device")
    made.only_with("--teacher", options.teacher is not None, *of_teacher)
    top_k = integer("top_k", options.top_k, 1, MOST_TOP_K)
    seed = integer("seed", options.seed, 0, (1 << 64) - 1)
    batch_size = integer("batch_size", options.batch_size, 1, 1 << 20)
    per_shard = integer("images_per_shard", options.images_per_shard, 1, 1 << 30)
    skip = integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED)
    workers = integer("workers", options.workers, 0, 64)
    size = None if options.image_size is None else integer("image_size", options.image_size, 1, 4096)
    crops = None if options.crops is None else integer("crops", options.crops, 1, MOST_CROPS)
    if options.from_fkd is not None:
        from qat.data import import_fkd

        data, skipped = _readable(open_data(options.data, image_size=size), skip)
        with alone(options.out, "softlabels"), _bar() as progress:
            found = import_fkd(options.from_fkd, data, options.out, crops=crops, top_k=top_k,
                               images_per_shard=per_shard, report=_shown(progress, data, crops))  # fmt: skip
        _record_skipped(options.out, skipped)
        _print(options.out, found)
        return
    if crops is None:
        raise InputError("crops must be given: how many of each image, as --crops 8")
    scale = None if options.scale is None else _scale(options.scale)
    if not has_images(options.data):
        raise InputError(f"soft labels of crops need images, but {options.data} is text")

    from qat.training import device_named, load_teacher

    device = device_named(options.device)
    wanted = None if options.model is None else preset(options.model, image_size=size).config
    model = load_teacher(options.teacher, config=wanted)
    cast(nn.Module, model).to(device)
    size = size or _image_size(model)
    look = look_of(options.teacher) if has_look(options.data) else None
    data, skipped = _readable(open_data(options.data, image_size=size, look=look), skip)
    if remark := compare_classes(f"the teacher {options.teacher}", classes_of(options.teacher, model), data):
        print(remark, file=sys.stderr)
    policy = data.augmentation
    if scale is not None:  # digits are not mirrored
        policy = RandomResizedCrop(scale=scale, flip=isinstance(policy, RandomResizedCrop) and policy.flip)

    def logits(images: Tensor) -> Tensor:
        return cast(Tensor, model(pixel_values=images.to(device)).logits)

    with alone(options.out, "softlabels"), _bar() as progress:
        found = make_store(
            logits, data, options.out, crops=crops, top_k=top_k, seed=seed, policy=policy, batch_size=batch_size,
            images_per_shard=per_shard, description=type(model).__name__, sha256=weights_sha256(model),
            workers=workers, report=_shown(progress, data, crops),
        )  # fmt: skip
    _record_skipped(options.out, skipped)
    _print(options.out, found)


def _readable(data: Data, skip: int) -> tuple[Data, dict[str, list[str]]]:
    from rich.console import Console

    return checked(data, Console(stderr=True), skip=skip, parts=("train",))


def _record_skipped(folder: Path, skipped: dict[str, list[str]]) -> None:
    """Beside the manifest, whose numbers of images count without them."""
    if skipped:
        write_atomically(folder / "skipped.json", json.dumps(skipped, indent=1) + "\n")


def _print(folder: Path, size: int) -> None:
    store = SoftLabelStore.open(folder, verify=False)
    each = store.settings.record.itemsize
    print(
        f"{folder}: {store.settings.images} images x {store.crops} crops, {size / 1e6:.2f} MB; "
        f"{each} bytes a crop, size per million crops {each:.1f} MB"
    )


def _bar() -> Progress:
    from rich.console import Console
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
