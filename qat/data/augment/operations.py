"""The fifteen operations of RandAugment on an RGB image, by magnitudes from 0 to 10 that make each of them stronger.

Cubuk et al., "RandAugment" (2020), with the ranges of timm's "increasing" set (``inc1`` in
timm/data/auto_augment.py), which DeiT was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import Image, ImageEnhance, ImageOps

__all__ = ["MOST_MAGNITUDE", "OPERATIONS", "Asked"]

MOST_MAGNITUDE = 10.0
_DEGREES, _SHEAR, _SHIFT, _ENHANCE = 30.0, 0.3, 0.45, 0.9  # at the largest magnitude; the third in sides of the image
_POSTERISED, _ADDED = 4, 110
_LEAST_FACTOR = 0.1  # of colour, contrast, brightness and sharpness


@dataclass(frozen=True)
class Asked:
    """How an operation is done: its magnitude, 0 to 10, whether in the other direction, what fills what is uncovered
    (red, green and blue, 0 to 255), and how pixels are interpolated.
    """

    magnitude: float
    negative: bool
    fill: tuple[int, int, int]
    resample: Image.Resampling

    def of(self, largest: float) -> float:
        """From 0 to ``largest``, or from 0 to minus that."""
        value = self.magnitude / MOST_MAGNITUDE * largest
        return -value if self.negative else value


def _affine(image: Image.Image, matrix: tuple[float, ...], asked: Asked) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=asked.resample, fillcolor=asked.fill)


def _rotate(image: Image.Image, asked: Asked) -> Image.Image:
    return image.rotate(asked.of(_DEGREES), resample=asked.resample, fillcolor=asked.fill)


def _posterise(image: Image.Image, asked: Asked) -> Image.Image:
    """Keeps 4 to 0 bits; none are black."""
    bits = _POSTERISED - int(asked.magnitude / MOST_MAGNITUDE * _POSTERISED)
    return ImageOps.posterize(image, bits) if bits else Image.new(image.mode, image.size)


def _solarise(image: Image.Image, asked: Asked) -> Image.Image:
    """Inverts values from a threshold of 256 to 0 on."""
    return ImageOps.solarize(image, 256 - min(256, int(asked.magnitude / MOST_MAGNITUDE * 256)))


def _solarise_add(image: Image.Image, asked: Asked) -> Image.Image:
    """Adds up to 110 to values below 128."""
    added = int(asked.magnitude / MOST_MAGNITUDE * _ADDED)
    table = [min(255, value + added) if value < 128 else value for value in range(256)]
    return image.point(table * 3)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[[Image.Image, Asked], Image.Image]:
    """By a factor from 1 up to 1.9 or down to 0.1."""
    return lambda image, asked: kind(image).enhance(max(_LEAST_FACTOR, 1 + asked.of(_ENHANCE)))


OPERATIONS: Mapping[str, Callable[[Image.Image, Asked], Image.Image]] = MappingProxyType(
    {
        "autocontrast": lambda image, _: ImageOps.autocontrast(image),
        "equalise": lambda image, _: ImageOps.equalize(image),
        "invert": lambda image, _: ImageOps.invert(image),
        "rotate": _rotate,
        "posterise": _posterise,
        "solarise": _solarise,
        "solarise_add": _solarise_add,
        "colour": _enhanced(ImageEnhance.Color),
        "contrast": _enhanced(ImageEnhance.Contrast),
        "brightness": _enhanced(ImageEnhance.Brightness),
        "sharpness": _enhanced(ImageEnhance.Sharpness),
        "shear_x": lambda image, asked: _affine(image, (1, asked.of(_SHEAR), 0, 0, 1, 0), asked),
        "shear_y": lambda image, asked: _affine(image, (1, 0, 0, asked.of(_SHEAR), 1, 0), asked),
        "translate_x": lambda image, asked: _affine(image, (1, 0, asked.of(_SHIFT) * image.width, 0, 1, 0), asked),
        "translate_y": lambda image, asked: _affine(image, (1, 0, 0, 0, 1, asked.of(_SHIFT) * image.height), asked),
    }
)
"""By name, in the order in which a draw chooses one."""
