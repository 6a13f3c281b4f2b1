"""Multi-crop distillation: a teacher's soft labels of many views of every image, stored once and replayed in training.

After Shen and Xing, "A Fast Knowledge Distillation Framework" (2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qat.data import (
    REPLAY_STREAM,
    Data,
    Policy,
    Settings,
    Shard,
    SoftLabelStore,
    TextSplit,
    Views,
    batches,
    epoch_indices,
    fill_store,
    records,
    stored_views,
    uniforms,
)
from qat.files import tensors_sha256
from siliquant.inputs import InputError

__all__ = ["make_store", "replay", "weights_sha256"]


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
            logits = teacher(images).float()
            if not bool(logits.isfinite().all()):
                raise InputError("the outputs of the teacher must be finite numbers, but are not for some views")
            top = torch.topk(torch.softmax(logits, dim=1), top_k, dim=1)
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
    return tensors_sha256(model.state_dict())


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
