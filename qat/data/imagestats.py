"""Mean and deviation of the images of a folder, measured on training images, for networks that begin with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch.utils.data import Dataset

from qat.files import read_image
from qat.settings import Stats
from siliquant.inputs import SiliquantError

from .images import FolderImages
from .loading import in_processes, worker_failed
from .look import IMAGENET, Look

__all__ = ["MOST_MEASURED", "look_of_images", "measured", "measured_stats"]

MOST_MEASURED = 4096
"""Images that are measured, at most."""
_CHUNK = 128  # images that a process measures at a time
_FEW = 1024  # so few are measured in this process
_DIGITS = 4  # as the literature gives them
_VALUES = np.array([np.arange(256), np.arange(256) ** 2])  # of a pixel, and its square
_WHITE = np.array([[255], [255**2]])
_LEAST_DEVIATION = 1 / 255  # of a channel of one value


def measured_stats(
    split: FolderImages,
    processes: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Stats:
    """Mean and deviation of each channel over all pixels of whole images, each image counting the same; 4 decimals.

    Of more than MOST_MEASURED images so many are taken, evenly spread over the classes. The result does not depend on
    ``processes``. ``report`` is told how many of how many are done. Raises InputError that names a file that cannot be
    read.
    """
    count = min(len(split.labels), MOST_MEASURED)
    chosen = np.arange(count, dtype=np.int64) * len(split.labels) // count
    chunks = [chosen[first : first + _CHUNK] for first in range(0, count, _CHUNK)]
    moments: list[NDArray[np.float64]] = []
    for found in _each(_Moments(split), chunks, processes if count > _FEW else 1):
        if isinstance(found, SiliquantError):  # as an exception of a process it would have a traceback as its text
            raise found
        moments.append(found)
        report(sum(map(len, moments)), count)
    # Sums that do not depend on their order.
    first, second = (
        [math.fsum(column) / count for column in part.T] for part in np.concatenate(moments).transpose(1, 0, 2)
    )
    deviations = [math.sqrt(max(square - mean * mean, 0)) for mean, square in zip(first, second, strict=True)]
    mean = tuple(round(value, _DIGITS) for value in first)
    return mean, tuple(round(max(value, _LEAST_DEVIATION), _DIGITS) for value in deviations)


def measured(split: FolderImages, console: Console, processes: int = 1) -> Stats:
    """As :func:`measured_stats`, with a bar on a terminal, and a line that says what was found."""
    from rich.progress import Progress

    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("measuring images", total=None)
        found = measured_stats(split, processes, lambda done, total: progress.update(task, completed=done, total=total))
    mean, deviation = (" ".join(f"{value:.4f}" for value in values) for values in found)
    count = min(len(split.labels), MOST_MEASURED)
    console.print(
        f"images have mean {mean} and deviation {deviation}, as measured on {count} of training",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    return found


def look_of_images(split: FolderImages, stats: Stats) -> Look:
    """As DeiT sees images, with these statistics; but images of at most the network's size are seen whole in tests.

    For most of at most MOST_MEASURED images the shorter side decides.
    """
    count = min(len(split.labels), MOST_MEASURED)
    sides = split.sizes(np.arange(count, dtype=np.int64) * len(split.labels) // count).min(axis=1)
    small = 2 * int((sides <= split.image_size).sum()) > count
    return replace(IMAGENET, mean=stats[0], std=stats[1], resize_ratio=1.0 if small else IMAGENET.resize_ratio)


def _each(moments: _Moments, chunks: list[NDArray[np.int64]], processes: int) -> Iterator[Any]:
    if processes <= 1:
        yield from map(moments.__getitem__, chunks)
        return
    with worker_failed():
        yield from in_processes(moments, chunks, min(processes, len(chunks)))


class _Moments(Dataset[Any]):
    """Means of the pixels and of their squares, [n, 2, 3] in fractions of white, of each image of a chunk."""

    def __init__(self, split: FolderImages) -> None:
        self.split = split

    def __getitem__(self, chunk: NDArray[np.int64]) -> NDArray[np.float64] | SiliquantError:
        found = np.empty((len(chunk), 2, 3))
        for place, index in enumerate(chunk.tolist()):
            try:
                counts = np.array(read_image(self.split.path(index)).histogram(), np.int64).reshape(3, 256)
            except SiliquantError as error:
                return error
            found[place] = (counts @ _VALUES.T).T / (counts[0].sum() * _WHITE)
        return found
