"""What is done to the pixels of views that are cut out: RandAugment and random erasing, from drawn numbers alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from siliquant.inputs import InputError

from .operations import MOST_MAGNITUDE, OPERATIONS, Asked

__all__ = ["DRAWS", "Changes"]

_LAYERS, _OF_LAYER = 2, 5  # operations one after the other, and draws of each
_PROBABILITY = 0.5  # of each of them
_DEVIATION = 0.5  # of magnitudes
_TRIES = 10  # rectangles that are tried
_AREAS = (0.02, 1 / 3)  # of a rectangle, as a share of the image's
_ASPECTS = (0.3, 1 / 0.3)
DRAWS = _LAYERS * _OF_LAYER + 1 + 4 * _TRIES + 2
"""Numbers that decide everything about one view."""


@dataclass(frozen=True, eq=False)
class Changes:
    """Of n views. ``draws`` float64 [n, DRAWS], from 0 to below 1.

    ``rand_augment``: magnitude of RandAugment, 0 to 10, or None; two operations an image, each done half of the time,
    with magnitudes of deviation 0.5 (timm's ``rand-mM-mstd0.5-inc1``). ``erasing``: probability that a rectangle
    becomes noise (Zhong et al., "Random Erasing", 2020, as timm does it in its mode ``pixel``). Raises ValueError.
    """

    draws: NDArray[np.float64]
    rand_augment: float | None = None
    erasing: float = 0.0

    def __post_init__(self) -> None:
        if self.draws.ndim != 2 or self.draws.shape[1] != DRAWS:
            raise InputError(f"draws must be of shape [n, {DRAWS}], not {list(self.draws.shape)}")
        if self.rand_augment is not None and not 0 <= self.rand_augment <= MOST_MAGNITUDE:
            raise InputError(f"rand_augment must be from 0 to {MOST_MAGNITUDE:g}, not {self.rand_augment}")
        if not 0 <= self.erasing <= 1:
            raise InputError(f"erasing must be a share from 0 to 1, not {self.erasing}")

    def __getitem__(self, chosen: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Changes:
        """Those of the chosen views."""
        return Changes(self.draws[chosen], self.rand_augment, self.erasing)

    def coloured(
        self, image: Image.Image, place: int, fill: tuple[int, int, int], resample: Image.Resampling
    ) -> Image.Image:
        """The RGB image of view ``place`` after RandAugment."""
        if self.rand_augment is None:
            return image
        for chosen, applied, first, second, sign in self.draws[place, : _LAYERS * _OF_LAYER].reshape(_LAYERS, -1):
            if applied >= _PROBABILITY:
                continue
            normal = math.sqrt(-2 * math.log1p(-first)) * math.cos(2 * math.pi * second)
            magnitude = min(max(self.rand_augment + _DEVIATION * normal, 0.0), MOST_MAGNITUDE)
            operation = list(OPERATIONS.values())[int(chosen * len(OPERATIONS))]
            image = operation(image, Asked(magnitude, bool(sign < 0.5), fill, resample))
        return image

    def erase(self, images: Tensor) -> Tensor:
        """Normalised images [n, c, h, w], of which some get a rectangle of normal noise in place."""
        if not self.erasing:
            return images
        for image, drawn in zip(images, self.draws[:, _LAYERS * _OF_LAYER :], strict=True):
            if drawn[0] < self.erasing and (box := _rectangle(drawn[1:-2], *image.shape[1:])) is not None:
                top, left, height, width = box
                seed = int(drawn[-2] * 2**32) << 31 | int(drawn[-1] * 2**31)
                noise = torch.randn(len(image), height, width, generator=torch.Generator().manual_seed(seed))
                image[:, top : top + height, left : left + width] = noise
        return images


def _rectangle(drawn: NDArray[np.float64], high: int, wide: int) -> tuple[int, int, int, int] | None:
    """Top, left, height and width of the first rectangle that is smaller than the image; None where none is."""
    low, top = (math.log(aspect) for aspect in _ASPECTS)
    for area, aspect, down, right in drawn.reshape(_TRIES, 4):
        target = (_AREAS[0] + area * (_AREAS[1] - _AREAS[0])) * high * wide
        ratio = math.exp(low + aspect * (top - low))
        height, width = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < height < high and 0 < width < wide:
            return int(down * (high - height + 1)), int(right * (wide - width + 1)), height, width
    return None
