"""Reads the soft labels that the authors of FKD released (Shen and Xing 2022; github.com/szq0214/FKD).

One file an image, train/CLASS/NAME.tar, in PyTorch's own format (it is no tar archive): a list of

- coordinates [crops, 4]: (top, left, height, width) in fractions of the image's height and width;
- flip status [crops]: whether the crop was mirrored;
- the labels, one of: [crops] classes ("hard"), [crops, 2] class and probability ("smoothing"), [crops, 2, k] classes
  and then their probabilities ("marginal_smoothing_k5", "marginal_renorm", "marginal_smoothing_k10"), or
  [crops, classes] logits or probabilities.

Arrays are NumPy's or tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qat.files import StoredArray, check_plain, guarded, load_torch
from siliquant.inputs import InputError

from .datasets import Data
from .images import FolderImages
from .softlabels import MOST_TOTAL, Settings, Shard, fill_store, records, stored_views
from .views import Views

MOST_FKD_BYTES = 64 << 20
"""Bytes of the labels of one image."""

__all__ = ["FkdLabels", "import_fkd", "read_fkd"]


@dataclass(frozen=True, eq=False)
class FkdLabels:
    """Soft labels of one image: ``probabilities`` and ``classes`` [crops, k], the most probable first."""

    views: Views
    probabilities: NDArray[np.float32]
    classes: NDArray[np.int64]


def read_fkd(path: Path, classes: int) -> FkdLabels:
    """The labels in one file, of so many ``classes``; logits are made probabilities.

    Nothing in the file is executed: only arrays are read. Raises ValueError where the file is not as it must be.
    """
    refusal = "is not an FKD label file that can be read"
    content = load_torch(path, MOST_FKD_BYTES, refusal)
    try:
        with guarded("it is damaged"):
            coordinates, flips, labels = (_array(part, path) for part in content)
            found = _labels(labels, classes)
            views = Views(coordinates.astype(np.float32), flips.reshape(-1).astype(np.bool_))
        if not (np.isfinite(views.boxes).all() and (views.boxes[:, 2:] > 0).all() and np.abs(views.boxes).max() <= 2):
            raise InputError("its coordinates must be fractions of the image")
        if len(views) != len(found[0]) or not len(views):
            raise InputError(f"it must have labels for {len(views)} crops, not {len(found[0])}")
    except InputError as error:
        raise InputError(f"{path} {refusal}: {error}") from None
    return FkdLabels(views, *found)


def import_fkd(
    folder: Path,
    data: Data,
    out: Path,
    *,
    crops: int | None = None,
    top_k: int = 5,
    images_per_shard: int = 1024,
    report: Callable[[str, int], None] = lambda what, crops: None,
) -> int:
    """Converts the labels in ``folder`` of the training images of ``data`` into a store in ``out``; returns its bytes.

    ``folder`` holds train/CLASS/NAME.tar or CLASS/NAME.tar. ``crops`` are the first of each image (default: as many as
    the first file has). ``top_k`` is lessened to what the files have. Coordinates are kept as float32. Raises
    ValueError for a missing file, one with fewer crops or labels than the first one, and as :func:`fill_store` does.
    """
    split = data.train
    if not isinstance(split, FolderImages):
        raise InputError(f"FKD labels are of images in folders, but {data.name} is not: use imagefolder:DIR")
    root = folder / "train" if (folder / "train").is_dir() else folder
    classes = len(data.classes)
    first = read_fkd(_label_file(root, split, 0), classes)
    wanted = len(first.views) if crops is None else crops
    kept = min(top_k, first.classes.shape[1])
    listing = hashlib.sha256()
    for index in range(len(split.labels)):
        path = _label_file(root, split, index)
        listing.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
    settings = Settings(
        data.name, split.fingerprint, len(split.labels), classes, kept, 0, "FKD", f"FKD {folder.name}",
        listing.hexdigest(), "float32", images_per_shard,
    )  # fmt: skip

    def make(shard: Shard) -> NDArray[np.void]:
        found = np.empty(shard.shape, settings.record)
        part = slice(shard.first_crop, shard.end_crop)
        for index in range(shard.first_image, shard.end_image):
            path = _label_file(root, split, index)
            labels = read_fkd(path, classes)
            if len(labels.views) < shard.end_crop:
                raise InputError(f"{path} must have at least {shard.end_crop} crops, not {len(labels.views)}")
            if labels.classes.shape[1] < kept:
                raise InputError(f"{path} must have at least {kept} labels a crop, not {labels.classes.shape[1]}")
            views = stored_views(labels.views[part], settings.box_type)
            found[index - shard.first_image] = records(
                settings, views, labels.probabilities[part, :kept], labels.classes[part, :kept]
            )
            report("done", shard.shape[1])
        return found

    return fill_store(out, settings, wanted, make, report)


def _label_file(root: Path, split: FolderImages, index: int) -> Path:
    name = PurePosixPath(split.path(index).relative_to(split.folder).as_posix())
    path = root / name.parent / f"{name.name.split('.')[0]}.tar"
    if not path.is_file():
        raise InputError(f"{path} is missing: it must hold the FKD labels of {split.path(index)}")
    return path


def _labels(labels: NDArray[Any], classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities and classes [crops, k], in falling order of probability."""
    if labels.ndim == 1:
        numbers, top = labels[:, None], np.ones((len(labels), 1))
    elif labels.ndim == 2 and labels.shape[1] == 2 and classes > 2:
        numbers, top = labels[:, :1], labels[:, 1:]
    elif labels.ndim == 3 and labels.shape[1] == 2:
        numbers, top = labels[:, 0], labels[:, 1]
    elif labels.ndim == 2 and labels.shape[1] == classes:
        top = labels.astype(np.float64)
        if top.min() < 0 or np.abs(top.sum(axis=1) - 1).max() > 0.05:  # logits
            top = np.exp(top - top.max(axis=1, keepdims=True))
            top /= top.sum(axis=1, keepdims=True)
        numbers = np.tile(np.arange(classes), (len(top), 1))
    else:
        raise InputError(f"its labels must be of one of FKD's forms for {classes} classes, not {list(labels.shape)}")
    chosen = numbers.astype(np.int64)
    if not ((chosen == numbers).all() and (chosen >= 0).all() and (chosen < classes).all()):
        raise InputError(f"its labels must be classes from 0 to {classes - 1}")
    if not ((top >= 0).all() and (top <= 1 + 1e-3).all()):
        raise InputError("its probabilities must be from 0 to 1")
    total, ordered = top.astype(np.float64).sum(axis=1), np.sort(chosen, axis=1)
    if not ((total > 0) & (total <= MOST_TOTAL)).all() or (ordered[:, 1:] == ordered[:, :-1]).any():
        raise InputError("its probabilities of a crop must be of different classes, above 0 and at most 1 together")
    order = np.argsort(-top.astype(np.float64), axis=1, kind="stable")
    return np.take_along_axis(top, order, 1).astype(np.float32), np.take_along_axis(chosen, order, 1)


def _array(part: Any, path: Path, level: int = 0) -> NDArray[Any]:
    if isinstance(part, StoredArray):
        return part.value
    if isinstance(part, torch.Tensor):
        check_plain(path, "an array", part)
        return part.detach().numpy()
    if isinstance(part, list | tuple) and level < 4:
        return np.stack([_array(each, path, level + 1) for each in part])
    if isinstance(part, int | float):
        return np.asarray(part)
    raise InputError(f"it must hold arrays of numbers, not a {type(part).__name__}")
