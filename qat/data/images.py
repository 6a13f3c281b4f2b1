"""Labelled images, in memory or in folders, fetched as normalised tensors through views of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from qat.files import read_image, read_size
from siliquant.inputs import FileError, InputError

from .look import IMAGENET, Look
from .views import Views, whole

__all__ = ["ArrayImages", "FolderImages", "ImageSplit"]

_AFFINE_FILTERS = (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_SNAP = 1 / 32  # pixels: nearer than this to whole pixels, a shift is one; float16 fractions are, up to 256 pixels


class ImageSplit(Protocol):
    """n labelled images. ``labels`` int64 [n]; fetched images are [channels, image_size, image_size]."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image [n]."""
        ...

    @property
    def image_size(self) -> int:
        """Height and width of fetched images in pixels."""
        ...

    @property
    def channels(self) -> int:
        """Channels of fetched images."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of what the images and labels are."""
        ...

    def take(self, indices: NDArray[np.int64]) -> ImageSplit:
        """The images of those indices, in that order."""
        ...

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Original (height, width) in pixels, [n, 2]."""
        ...

    def fetch(self, indices: NDArray[np.int64], views: Views | None = None) -> Tensor:
        """float32 [n, channels, image_size, image_size], normalised; no views means whole images."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayImages:
    """Images in memory: ``pixels`` uint8 [n, channels, height, width], ``labels`` int64 [n].

    ``mean`` and ``std`` are of each channel, as fractions of white (255).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or len(self.pixels) != len(self.labels):
            raise InputError(
                f"pixels must be uint8 [{len(self.labels)}, channels, height, width] as there are labels, "
                f"not {self.pixels.dtype} {list(self.pixels.shape)}"
            )
        if self.image_size < 1:
            raise InputError(f"image_size must be at least 1 pixel, not {self.image_size}")
        if not len(self.mean) == len(self.std) == self.channels:
            raise InputError(f"mean and std must be of {self.channels} channels, not {self.mean} and {self.std}")

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.pixels.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels and labels."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.labels.astype("<i8")).data)
        return digest.hexdigest()

    def take(self, indices: NDArray[np.int64]) -> ArrayImages:
        """The images of those indices, in that order."""
        return replace(self, pixels=self.pixels[indices], labels=self.labels[indices])

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(height, width) in pixels, [n, 2]: the same for all."""
        return np.tile(np.array(self.pixels.shape[2:], np.int64), (len(indices), 1))

    def fetch(self, indices: NDArray[np.int64], views: Views | None = None) -> Tensor:
        """Whole images shifted by whole pixels are copied exactly; other boxes are sampled bilinearly.

        What lies outside the image is black before normalisation. Raises ValueError where views and indices differ
        in number.
        """
        views = _checked(indices, views)
        extent = np.array(self.pixels.shape[2:])
        offsets = views.boxes[:, :2].astype(np.float64) * extent
        exact = (np.abs(offsets - np.rint(offsets)) < _SNAP).all(axis=1) & (views.boxes[:, 2:] == 1).all(axis=1)
        exact &= bool((extent == self.image_size).all())
        found = torch.empty(len(indices), self.channels, self.image_size, self.image_size)
        for part, taken in ((exact, _shifted), (~exact, _sampled)):
            if part.any():
                raw = torch.from_numpy(self.pixels[indices[part]])
                found[torch.from_numpy(part)] = taken(raw, views[part], self.image_size)
        images = _normalised(found, self.mean, self.std)
        return images if views.changes is None else views.changes.erase(images)


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Image files under ``folder``: ``names`` bytes [n] are relative paths CLASS/FILE, ``labels`` int64 [n].

    Decoded when they are fetched, as :func:`qat.files.pixels.read_image` does; ``look`` says how they are resized and
    normalised.
    """

    folder: Path
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]
    image_size: int
    look: Look = IMAGENET

    def __post_init__(self) -> None:
        if self.image_size < 1:
            raise InputError(f"image_size must be at least 1 pixel, not {self.image_size}")

    @property
    def channels(self) -> int:
        """Red, green and blue."""
        return 3

    def take(self, indices: NDArray[np.int64]) -> FolderImages:
        """The images of those indices, in that order."""
        taken = replace(self, names=self.names[indices], labels=self.labels[indices])
        taken.measured[:] = self.measured[indices]
        return taken

    def seen_as(self, look: Look) -> FolderImages:
        """The same images, resized and normalised as ``look`` says."""
        seen = replace(self, look=look)
        seen.measured[:] = self.measured
        return seen

    def path(self, index: int) -> Path:
        """The file of one image."""
        return self.folder / os.fsdecode(bytes(self.names[index]))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over relative names, sizes in bytes and labels; the pixels are not read. Raises FileError."""
        digest = hashlib.sha256()
        for index, (name, label) in enumerate(zip(self.names, self.labels, strict=True)):
            try:
                size = self.path(index).stat().st_size
            except OSError as error:
                raise FileError(f"{self.path(index)} is not an image that can be read: {error.strerror}") from None
            digest.update(b"%s\0%d\0%d\n" % (bytes(name), size, label))
        return digest.hexdigest()

    @cached_property
    def measured(self) -> NDArray[np.int64]:
        """(height, width) [n, 2] of the images whose headers were read so far, and zeros."""
        return np.zeros((len(self.labels), 2), np.int64)

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(height, width) in pixels, [n, 2], from the files' headers, which are read once.

        Raises InputError for a file that is no image.
        """
        for index in np.unique(indices[self.measured[indices, 0] == 0]):
            self.measured[index] = read_size(self.path(index))
        return self.measured[indices]

    def fetch(self, indices: NDArray[np.int64], views: Views | None = None) -> Tensor:
        """Crops to whole pixels, resized with antialiasing; outside the image is black.

        An image that occurs more than once is decoded once. Raises InputError that names a file that cannot be read.
        """
        views = _checked(indices, views)
        found = np.empty((len(indices), self.image_size, self.image_size, 3), np.uint8)
        order = np.argsort(indices, kind="stable")
        for same in np.split(order, np.flatnonzero(np.diff(indices[order])) + 1) if len(order) else []:
            image = read_image(self.path(int(indices[same[0]])))
            for place in same:
                flip = bool(views.flips[place])
                part = _cropped(image, views.boxes[place], flip, self.image_size, self.look.filter)
                if views.changes is not None:
                    part = views.changes.coloured(part, place, *self._filled())
                found[place] = np.asarray(part)
        pixels = torch.from_numpy(found).permute(0, 3, 1, 2)
        images = _normalised(
            pixels.to(torch.float32, memory_format=torch.contiguous_format), self.look.mean, self.look.std
        )
        return images if views.changes is None else views.changes.erase(images)

    def _filled(self) -> tuple[tuple[int, int, int], Image.Resampling]:
        """What fills pixels that a rotation or shift uncovers, the mean colour, and how others are interpolated."""
        red, green, blue = (min(max(round(255 * mean), 0), 255) for mean in self.look.mean)
        resample = self.look.filter if self.look.filter in _AFFINE_FILTERS else Image.Resampling.BICUBIC
        return (red, green, blue), resample


def _checked(indices: NDArray[np.int64], views: Views | None) -> Views:
    if views is None:
        return whole(len(indices))
    if len(views) != len(indices):
        raise InputError(f"views must be as many as indices, {len(indices)}, not {len(views)}")
    return views


def _shifted(raw: Tensor, views: Views, size: int) -> Tensor:
    """Images [n, c, size, size] moved by whole pixels, zero outside; float32, 0 to 255."""
    offsets = np.rint(views.boxes[:, :2].astype(np.float64) * size)
    margin = int(np.abs(offsets).max().clip(0, size))
    start = torch.from_numpy(offsets.clip(-size, size).astype(np.int64)) + margin
    steps = torch.arange(size)
    columns = torch.where(torch.from_numpy(views.flips)[:, None], steps.flip(0), steps) + start[:, 1, None]
    rows = steps + start[:, 0, None]
    padded = torch.nn.functional.pad(raw, (margin,) * 4)
    batch = torch.arange(len(raw))[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).float()


def _sampled(raw: Tensor, views: Views, size: int) -> Tensor:
    """Boxes of images [n, c, h, w], bilinear between pixel centres, zero outside; float32 [n, c, size, size]."""
    centres = (torch.arange(size) + 0.5) / size
    boxes = torch.from_numpy(views.boxes)
    across = torch.where(torch.from_numpy(views.flips)[:, None], centres.flip(0), centres)
    x = 2 * (boxes[:, 1, None] + boxes[:, 3, None] * across) - 1
    y = 2 * (boxes[:, 0, None] + boxes[:, 2, None] * centres) - 1
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=3)
    return torch.nn.functional.grid_sample(raw.float(), grid, padding_mode="zeros", align_corners=False)


def _cropped(
    image: Image.Image, box: NDArray[np.float32], flip: bool, size: int, method: Image.Resampling
) -> Image.Image:
    """One view of size x size pixels. Cropped before it is resized: pixels outside the box have no influence."""
    top, left, height, width = box.astype(np.float64) * (image.height, image.width, image.height, image.width)
    first_row, first_column = round(top), round(left)
    last_row, last_column = max(round(top + height), first_row + 1), max(round(left + width), first_column + 1)
    part = image.crop((first_column, first_row, last_column, last_row))
    part = part.resize((size, size), method)
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else part


def _normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """From 0 to 255 to mean 0, deviation 1 of each channel, in place."""
    centre, spread = (torch.tensor(values, dtype=torch.float32)[:, None, None] * 255 for values in (mean, std))
    return images.sub_(centre).div_(spread)
