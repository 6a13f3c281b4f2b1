"""Views of images: which part of an image is seen and whether it is mirrored, drawn without any state.

Every draw is a pure function of (seed, epoch, index of the image, number of the crop), so that it does not matter
which process draws it, when, or beside which other images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from siliquant.inputs import InputError, InputTypeError

from .augment import DRAWS, Changes

__all__ = [
    "CentreCrop",
    "CentrePart",
    "Changed",
    "Policy",
    "RandomResizedCrop",
    "Shift",
    "ShiftAndFlip",
    "Views",
    "concatenate",
    "philox",
    "uniforms",
    "whole",
]

# Streams of random numbers: no two purposes may share draws.
VIEW_STREAM, ORDER_STREAM, REPLAY_STREAM, SPLIT_STREAM, CHANGE_STREAM = range(5)
_TRIES = 10  # boxes tried before the central fallback, as in the usual ImageNet sampling
_BLOCKS = 1 << 16  # blocks of four words that one stream has for one sample


@dataclass(frozen=True, eq=False)
class Views:
    """Parts of n images: ``boxes`` float32 [n, 4], ``flips`` bool [n] (mirrored left to right after the crop).

    A box is (top, left, height, width) in fractions of the image's height and width. It may reach outside 0 to 1;
    what lies outside the image is zero (black). ``changes`` are those of the pixels of each view. Raises ValueError for
    other shapes.
    """

    boxes: NDArray[np.float32]
    flips: NDArray[np.bool_]
    changes: Changes | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or self.flips.shape != self.boxes.shape[:1]:
            raise InputError(
                f"views must have boxes of shape [n, 4] and flips of shape [n], not {list(self.boxes.shape)} "
                f"and {list(self.flips.shape)}"
            )
        if self.changes is not None and len(self.changes.draws) != len(self):
            raise InputError(f"changes must be as many as views, {len(self)}, not {len(self.changes.draws)}")

    def __len__(self) -> int:
        return len(self.flips)

    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Views:
        """The chosen views, by slice, mask or indices."""
        changes = None if self.changes is None else self.changes[chosen]
        return Views(self.boxes[chosen], self.flips[chosen], changes)


def whole(n: int) -> Views:
    """n times the whole image, not mirrored."""
    return Views(np.tile(np.array([0, 0, 1, 1], np.float32), (n, 1)), np.zeros(n, np.bool_))


def concatenate(parts: Sequence[Views]) -> Views:
    """The views of all parts, one after the other, without changes of their pixels."""
    return Views(np.concatenate([part.boxes for part in parts]), np.concatenate([part.flips for part in parts]))


class Policy(Protocol):
    """How views are drawn."""

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """One view for each of ``indices`` [n]; ``crop`` numbers the views of one image in one epoch.

        ``sizes`` [n, 2] are the images' (height, width) in pixels.
        """
        ...


@dataclass(frozen=True)
class Shift:
    """Shifts by whole pixels, -pixels to +pixels in each direction with equal probability, never mirrored.

    ``size`` is the height and width of the images in pixels. What is shifted in is black.
    """

    pixels: int
    size: int

    def __post_init__(self) -> None:
        _check_integer("size", self.size, 1, 1 << 16)
        _check_integer("pixels", self.pixels, 0, self.size)

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """One shift an image; ``sizes`` is not looked at."""
        drawn = uniforms(seed, epoch, indices, crop, 2)
        offsets = np.floor(drawn * (2 * self.pixels + 1)) - self.pixels
        boxes = np.concatenate([offsets / self.size, np.ones_like(offsets)], axis=1)
        return Views(boxes.astype(np.float32), np.zeros(len(indices), np.bool_))


@dataclass(frozen=True)
class ShiftAndFlip:
    """What ``base`` sees (None: the whole image), shifted by -pixels to +pixels of ``size`` a side in each direction
    with equal probability, and mirrored half of the time: of images of that size, padding and a random crop, as for
    CIFAR.
    """

    base: Policy | None
    pixels: int
    size: int

    def __post_init__(self) -> None:
        _check_integer("size", self.size, 1, 1 << 16)
        _check_integer("pixels", self.pixels, 0, self.size)

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """One shift an image."""
        seen = whole(len(indices)) if self.base is None else self.base.sample(seed, epoch, indices, crop, sizes)
        drawn = uniforms(seed, epoch, indices, crop, 3)
        offsets = (np.floor(drawn[:, :2] * (2 * self.pixels + 1)) - self.pixels) / self.size
        boxes = seen.boxes.astype(np.float64)
        boxes[:, :2] += offsets * boxes[:, 2:]
        return Views(boxes.astype(np.float32), drawn[:, 2] < 0.5)


@dataclass(frozen=True)
class Changed:
    """What ``base`` sees (None: the whole image), with changes of its pixels as ``augment.Changes`` has them."""

    base: Policy | None
    rand_augment: float | None
    erasing: float

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """One view an image."""
        seen = whole(len(indices)) if self.base is None else self.base.sample(seed, epoch, indices, crop, sizes)
        draws = uniforms(seed, epoch, indices, crop, DRAWS, CHANGE_STREAM)
        return Views(seen.boxes, seen.flips, Changes(draws, self.rand_augment, self.erasing))


@dataclass(frozen=True)
class RandomResizedCrop:
    """A box of random area and aspect ratio at a random place, mirrored half of the time where ``flip`` is set.

    ``scale`` is the range of the area as a fraction of the image's, ``ratio`` the range of width / height (drawn
    uniformly in its logarithm). A box that does not fit is drawn again, ten times in all; then it is the largest
    central one whose aspect ratio is in range (Szegedy et al. 2015, as torchvision does it). Sides are whole pixels.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise InputError(f"scale must be two numbers with 0 < low <= high <= 1, not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise InputError(f"ratio must be two numbers with 0 < low <= high, not {self.ratio}")

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """One box an image."""
        n = len(indices)
        drawn = uniforms(seed, epoch, indices, crop, 4 * (_TRIES + 1))
        tries = drawn[:, 4:].reshape(n, _TRIES, 4)
        high, wide = (sizes[:, axis, None].astype(np.float64) for axis in (0, 1))
        area = (self.scale[0] + tries[..., 0] * (self.scale[1] - self.scale[0])) * high * wide
        low, top = np.log(self.ratio)
        aspect = np.exp(low + tries[..., 1] * (top - low))
        width, height = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
        fits = (width > 0) & (width <= wide) & (height > 0) & (height <= high)
        tops = np.floor(tries[..., 2] * (high - height + 1))
        lefts = np.floor(tries[..., 3] * (wide - width + 1))
        first = fits.argmax(axis=1)
        taken = np.stack([tops, lefts, height, width], axis=2)[np.arange(n), first]
        pixels = np.where(fits.any(axis=1)[:, None], taken, self._central(high[:, 0], wide[:, 0]))
        boxes = pixels / np.concatenate([high, wide, high, wide], axis=1)
        return Views(boxes.astype(np.float32), drawn[:, 0] < (0.5 if self.flip else 0))

    def _central(self, high: NDArray[np.float64], wide: NDArray[np.float64]) -> NDArray[np.float64]:
        """The fallback [n, 4] in pixels."""
        width = np.maximum(np.minimum(wide, np.rint(high * self.ratio[1])), 1)
        height = np.maximum(np.minimum(high, np.rint(wide / self.ratio[0])), 1)
        return np.stack([(high - height) // 2, (wide - width) // 2, height, width], axis=1)


@dataclass(frozen=True)
class CentreCrop:
    """The central square of 1 / ``resize_ratio`` of the shorter side: 256/224 is "resize to 256, crop 224"."""

    resize_ratio: float = 256 / 224

    def __post_init__(self) -> None:
        if not 1 <= self.resize_ratio < math.inf:
            raise InputError(f"resize_ratio must be a number of at least 1, not {self.resize_ratio}")

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """The same square whatever the seed, epoch and crop."""
        measured = sizes.astype(np.float64)
        extent = (measured.min(axis=1) / self.resize_ratio)[:, None] / measured
        boxes = np.concatenate([(1 - extent) / 2, extent], axis=1)
        return Views(boxes.astype(np.float32), np.zeros(len(indices), np.bool_))


@dataclass(frozen=True)
class CentrePart:
    """The central ``share`` of the height and of the width, 0 to 1: what is seen is stretched to a square."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"share must be a number above 0 and at most 1, not {self.share}")

    def sample(
        self, seed: int, epoch: int, indices: NDArray[np.int64], crop: int | NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> Views:
        """The same part whatever the seed, epoch, crop and size."""
        box = np.array([(1 - self.share) / 2] * 2 + [self.share] * 2, np.float32)
        return Views(np.tile(box, (len(indices), 1)), np.zeros(len(indices), np.bool_))


def uniforms(
    seed: int, epoch: int, indices: ArrayLike, crop: ArrayLike, count: int, stream: int = VIEW_STREAM
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), [n, count], multiples of 2^-32: row i depends on its own index and crop alone.

    ``seed`` is from 0 to 2^64 - 1; ``epoch``, ``indices`` [n] and ``crop`` (one or [n]) are from 0 to 2^32 - 1.
    Raises ValueError for others.
    """
    _check_integer("seed", seed, 0, (1 << 64) - 1)
    _check_integer("epoch", epoch, 0, (1 << 32) - 1)
    rows, crops = np.broadcast_arrays(np.atleast_1d(np.asarray(indices, np.int64)), np.asarray(crop, np.int64))
    for name, values in (("indices", rows), ("crop", crops)):
        if values.size and (values.min() < 0 or values.max() >= 1 << 32):
            raise InputError(f"{name} must be from 0 to {(1 << 32) - 1}, not {values.min()} to {values.max()}")
    blocks = np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(stream * _BLOCKS)
    counter = np.empty((4, len(rows), len(blocks)), np.uint64)
    counter[0], counter[1] = blocks, rows.astype(np.uint64)[:, None]
    counter[2], counter[3] = crops.astype(np.uint64)[:, None], epoch
    words = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    return words.transpose(1, 2, 0).reshape(len(rows), -1)[:, :count] / 2.0**32


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox4x32-10 (Salmon et al. 2011): ``counter`` [4, ...] of 32-bit words to as many random 32-bit words.

    NumPy's own Philox makes one stream an object; this one is vectorised over counters.
    """
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    first, second = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    a, b, c, d = counter
    for turn in range(10):
        k0 = np.uint64((key[0] + turn * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = np.uint64((key[1] + turn * 0xBB67AE85) & 0xFFFFFFFF)
        p, q = a * first, c * second
        a, b, c, d = (q >> shift) ^ b ^ k0, q & low, (p >> shift) ^ d ^ k1, p & low
    return np.stack([a, b, c, d])


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(f"{name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value}")
