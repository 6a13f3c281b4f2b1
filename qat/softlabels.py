"""Stores a teacher's soft labels of many crops of every training image: ``python -m qat.softlabels``.

Multi-crop knowledge distillation (after Shen and Xing, "A Fast Knowledge Distillation Framework", 2022): the teacher
runs once; training replays the stored views and labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qat.data.datasets import Data, batches, epoch_indices, open_data
from qat.data.look import has_look, look_of
from qat.data.readable import MOST_SKIPPED, checked
from qat.data.softlabels import (
    MOST_CROPS,
    MOST_TOP_K,
    Settings,
    Shard,
    SoftLabelStore,
    fill_store,
    records,
    stored_views,
)
from qat.data.text import TextSplit
from qat.data.views import REPLAY_STREAM, Policy, RandomResizedCrop, Views, uniforms
from qat.parsers import has_images
from qat.parsers import softlabels as parser
from siliquant.commandline.cli import run
from siliquant.files.write import alone, write_atomically
from siliquant.inputs.errors import InputError, short
from siliquant.inputs.numbers import integer

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["SoftLabelStore", "make_store", "replay", "weights_sha256"]

PROG = "qat.softlabels"


def make_store(
    teacher: Callable[[Tensor], Tensor],
    data: Data,
    folder: Path,
    *,
    crops: int,
    top_k: int,
    seed: int = 0,
    policy: Policy | None = None,
    batch_size: int = 256,
    images_per_shard: int = 1024,
    description: str = "",
    sha256: str = "",
    workers: int = 0,
    report: Callable[[str, int], None] = lambda what, crops: None,
) -> int:
    """Stores the ``top_k`` probabilities of ``teacher`` for ``crops`` views of every training image in ``folder``.

    ``teacher`` maps images [n, channels, size, size] to logits [n, classes]; it is called without gradients, on the
    views as they are stored. ``policy`` draws the views (default: the data's augmentation); view m of an image
    depends on (seed, image, m) alone. ``description`` and ``sha256`` say which teacher it is. ``report`` is told
    ("kept", "made" or "done", crops): "done" after every batch. Returns the bytes of all shards. Raises ValueError
    where the data have no images or other classes than the teacher, and as :func:`fill_store` does.
    """
    split = data.train
    if isinstance(split, TextSplit):
        raise InputError(f"soft labels of crops need images, but {data.name} is text")
    if batch_size < 1:
        raise InputError(f"batch_size must be an integer of at least 1, not {batch_size}")
    drawn = policy or data.augmentation
    if drawn is None:
        raise InputError(f"soft labels of crops need a policy that draws them, and {data.name} has none")
    settings = Settings(
        data.name, split.fingerprint, len(split.labels), len(data.classes), top_k, seed, repr(drawn),
        description, sha256, images_per_shard=images_per_shard,
    )  # fmt: skip

    def make(shard: Shard) -> NDArray[np.void]:
        plan = _plan(split.sizes, drawn, settings, shard, batch_size)
        found = []
        for (_, views), images in zip(plan, batches(split, plan, workers), strict=True):
            top = torch.topk(torch.softmax(teacher(images).float(), dim=1), top_k, dim=1)
            found.append(records(settings, views, top.values.cpu().numpy(), top.indices.cpu().numpy()))
            report("done", len(views))
        return np.concatenate(found).reshape(shard.shape)

    with torch.no_grad():
        classes = teacher(split.fetch(np.zeros(1, np.int64))).shape[1]
        if classes != len(data.classes):
            raise InputError(f"the teacher has {classes} classes, but {data.name} has {len(data.classes)}")
        return fill_store(folder, settings, crops, make, report)


def replay(
    store: SoftLabelStore, seed: int, epoch: int, batch_size: int, crops_per_image: int = 4
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The batches of an epoch as (indices, crops): batch_size / crops_per_image images times their crops.

    An epoch is as many crops as there are images, so that epochs are equal work with and without soft labels:
    crops_per_image epochs one after the other visit every image once, each with crops_per_image different crops.
    (Where crops_per_image does not divide the images, epochs differ by less than crops_per_image^2 crops.) The last
    batch of an epoch may be smaller. Everything depends on (seed, epoch) alone. Raises ValueError.
    """
    if not 1 <= crops_per_image <= store.crops:
        raise InputError(
            f"crops_per_image must be an integer from 1 to {store.crops}, the stored crops, not {crops_per_image}"
        )
    if batch_size < 1 or batch_size % crops_per_image:
        raise InputError(f"batch_size must be a positive multiple of {crops_per_image}, not {batch_size}")
    return _replayed(store, seed, epoch, batch_size, crops_per_image)


def _replayed(
    store: SoftLabelStore, seed: int, epoch: int, batch_size: int, crops_per_image: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    n = store.settings.images
    turn, part = divmod(epoch, crops_per_image)
    order = epoch_indices(n, seed, turn)[n * part // crops_per_image : n * (part + 1) // crops_per_image]
    step = batch_size // crops_per_image
    for first in range(0, len(order), step):
        images = order[first : first + step]
        keys = uniforms(seed, epoch, images, 0, store.crops, REPLAY_STREAM)
        chosen = np.argsort(keys, axis=1, kind="stable")[:, :crops_per_image]
        yield np.repeat(images, crops_per_image), chosen.reshape(-1).astype(np.int64)


def weights_sha256(model: torch.nn.Module) -> str:
    """SHA-256 over the names, types, shapes and bytes of a model's parameters and buffers, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _plan(
    sizes: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    policy: Policy,
    settings: Settings,
    shard: Shard,
    batch_size: int,
) -> list[tuple[NDArray[np.int64], Views]]:
    """The batches of a shard, all crops of an image after each other, so that it is decoded once."""
    images = np.repeat(np.arange(shard.first_image, shard.end_image), shard.shape[1])
    crops = np.tile(np.arange(shard.first_crop, shard.end_crop), shard.shape[0])
    plan = []
    for first in range(0, len(images), batch_size):
        part = slice(first, first + batch_size)
        views = policy.sample(settings.seed, 0, images[part], crops[part], sizes(images[part]))
        plan.append((images[part], stored_views(views, settings.box_type)))
    return plan


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    top_k = integer("top_k", options.top_k, 1, MOST_TOP_K)
    seed = integer("seed", options.seed, 0, (1 << 64) - 1)
    batch_size = integer("batch_size", options.batch_size, 1, 1 << 20)
    per_shard = integer("images_per_shard", options.images_per_shard, 1, 1 << 30)
    skip = integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED)
    workers = integer("workers", options.workers, 0, 64)
    size = None if options.image_size is None else integer("image_size", options.image_size, 1, 4096)
    crops = None if options.crops is None else integer("crops", options.crops, 1, MOST_CROPS)
    if options.from_fkd is not None:
        from qat.data.fkd import import_fkd

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

    from qat.training.distributed import device_named
    from qat.training.runs import load_teacher

    device = device_named(options.device)
    model = load_teacher(options.teacher, preset=options.model)
    cast(nn.Module, model).to(device)
    size = size or _image_size(model)
    look = look_of(options.teacher) if has_look(options.data) else None
    data, skipped = _readable(open_data(options.data, image_size=size, look=look), skip)
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
