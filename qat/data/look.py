"""How images of a folder become a network's input: the part that is seen in tests, resizing, and normalisation.

A Hugging Face folder says it in preprocessor_config.json, one of timm in its config.json, a run in run.json. IMAGENET
is what DeiT, Swin and SReT were trained with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from qat.settings import IMAGENET_STATS
from siliquant.inputs import InputError, read_json, short

from .views import CentreCrop, CentrePart, Policy

__all__ = ["IMAGENET", "Look", "has_look", "look_of_record", "read_look"]

_MOST_BYTES = 1 << 20
_HUGGING_FACE = ("preprocessor_config.json", "processor_config.json")
_FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # in the order of Pillow's numbers
# Of processors whose files leave the numbers out.
_DEFAULTS = {"vit": ((0.5,) * 3, (0.5,) * 3), "deit": IMAGENET_STATS}
_STEPS = frozenset({"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"})


@dataclass(frozen=True)
class Look:
    """What is done to images of a folder.

    Args:
        mean, std: of red, green and blue, as fractions of white; each deviation above 0.
        resample: how images are resized: nearest, lanczos, bilinear, bicubic, box or hamming.
        resize_ratio: how much larger than the part that is seen an image is in tests: 256/224 is "resize to 256, crop
            224"; at least 1.
        stretch: whether all of the image is made a square before that part is cut out; else its shorter side counts.
        size: pixels a side that it was made for, or None for any.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str = "bicubic"
    resize_ratio: float = 256 / 224
    stretch: bool = False
    size: int | None = None

    def __post_init__(self) -> None:
        for name, values, low in (("mean", self.mean, -1e6), ("std", self.std, 1e-6)):
            if len(values) != 3 or not all(_is_number(value) and low <= value <= 1e6 for value in values):
                raise InputError(f"{name} must be three numbers from {low:g} to 1e6, not {short(values)}")
        if self.resample not in _FILTERS:
            raise InputError(f"resample must be one of {', '.join(_FILTERS)}, not {short(self.resample)}")
        if not (_is_number(self.resize_ratio) and 1 <= self.resize_ratio <= 16):
            raise InputError(f"resize_ratio must be a number from 1 to 16, not {short(self.resize_ratio)}")
        if self.size is not None and not (type(self.size) is int and 1 <= self.size <= 4096):
            raise InputError(f"size must be an integer from 1 to 4096 pixels, not {short(self.size)}")

    @property
    def filter(self) -> Image.Resampling:
        """Pillow's name of ``resample``."""
        return Image.Resampling[self.resample.upper()]

    @property
    def evaluation(self) -> Policy | None:
        """The views of test images; None: whole images."""
        if not self.stretch:
            return CentreCrop(self.resize_ratio)
        return None if self.resize_ratio == 1 else CentrePart(1 / self.resize_ratio)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Look:
        """What ``to_dict`` gave. Raises InputError."""
        known = set(cls.__dataclass_fields__)
        if set(values) != known or not isinstance(values["stretch"], bool):
            raise InputError(f"what is done to images must be given as {', '.join(sorted(known))}")
        mean, std = (_three(name, values[name]) for name in ("mean", "std"))
        return cls(**{**values, "mean": mean, "std": std})


def has_look(data: str) -> bool:
    """Whether a data set, by its name, is of images that are seen as a checkpoint says: folders alone."""
    return data.startswith("imagefolder:")


def look_of_record(about: Mapping[str, Any]) -> Look | None:
    """What a run did to images of folders, from what its record says of data; None where its data were others.

    Raises InputError.
    """
    look = about.get("look")
    if look is None:
        return None
    if not isinstance(look, dict):
        raise InputError(f"look must be an object, not {short(look)}")
    return Look.from_dict(look)


def read_look(source: Path) -> Look | None:
    """What a checkpoint's folder, or the folder that a file of weights lies in, says about images; None: nothing.

    Raises InputError that names the file where it says what cannot be done here.
    """
    folder = source if source.is_dir() else source.parent
    for name in _HUGGING_FACE:
        if (folder / name).exists():
            values = read_json(folder / name, _MOST_BYTES)
            if name == _HUGGING_FACE[1]:
                values = values.get("image_processor") if isinstance(values, dict) else values
                if values is None:
                    continue
            return _named(folder / name, values, _from_hugging_face)
    file = folder / "config.json"
    if file.exists():
        values = read_json(file, 16 << 20)
        if isinstance(values, dict) and "model_type" not in values and isinstance(values.get("pretrained_cfg"), dict):
            return _named(file, values["pretrained_cfg"], _from_timm)
    return None


def _named(file: Path, values: Any, make: Any) -> Look:
    if not isinstance(values, dict):
        raise InputError(f"must hold a JSON object, not {type(values).__name__}", file=file)
    try:
        found: Look = make(values)
    except InputError as error:
        raise InputError(error.sentence, file=file) from None
    return found


def _from_hugging_face(values: Mapping[str, Any]) -> Look:
    steps = {name: value for name, value in values.items() if name.startswith("do_")}
    for name, value in steps.items():
        if not isinstance(value, bool | None):
            raise InputError(f"{name} must be true or false, not {short(value)}")
        if value and name not in _STEPS:
            raise InputError(f"{name} must be false: only {', '.join(sorted(_STEPS))} are done to images here")
    if steps.get("do_resize") is False:
        raise InputError("do_resize must be true: images of a folder have many sizes")
    kind = str(values.get("image_processor_type") or values.get("feature_extractor_type") or "").lower()
    default = next((numbers for name, numbers in _DEFAULTS.items() if kind.startswith(name)), (None, None))
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    if steps.get("do_normalize") is not False:
        mean, std = (
            _three(name, values.get(name, other))
            for name, other in zip(("image_mean", "image_std"), default, strict=True)
        )
    factor = values.get("rescale_factor", 1 / 255) if steps.get("do_rescale") is not False else 1.0
    if not (_is_number(factor) and 1e-6 <= factor <= 1e6):
        raise InputError(f"rescale_factor must be a number from 1e-6 to 1e6, not {short(factor)}")
    scale = 255 * factor  # (factor * pixel - mean) / std of pixels from 0 to 255
    if not math.isclose(scale, 1, rel_tol=1e-9):
        mean, std = (tuple(number / scale for number in each) for each in (mean, std))
    number = values.get("resample", 2 if kind.startswith("vit") else 3)
    if type(number) is not int or not 0 <= number < len(_FILTERS):
        raise InputError(f"resample must be an integer from 0 to {len(_FILTERS) - 1}, not {short(number)}")
    return Look(mean, std, _FILTERS[number], *_geometry(values, crop=bool(steps.get("do_center_crop"))))


def _geometry(values: Mapping[str, Any], *, crop: bool) -> tuple[float, bool, int]:
    """resize_ratio, stretch and size of a Hugging Face processor."""
    size = values.get("size", 224)
    edge = size.get("shortest_edge") if isinstance(size, dict) else None
    stretch = edge is None
    whole = _side("size", edge if edge is not None else size)
    if "crop_pct" in values and values["crop_pct"] is not None:
        share = values["crop_pct"]
        if not (_is_number(share) and 1 / 16 <= share <= 1):
            raise InputError(f"crop_pct must be a number from 0.0625 to 1, not {short(share)}")
        return 1 / share, stretch, whole
    if not crop:
        return 1.0, stretch, whole
    seen = _side("crop_size", values.get("crop_size", whole))
    if seen > whole:
        raise InputError(f"crop_size must be at most size, {whole}, not {seen}")
    return whole / seen, stretch, seen


def _from_timm(values: Mapping[str, Any]) -> Look:
    mean, std = _three("mean", values.get("mean")), _three("std", values.get("std"))
    shape, share = values.get("input_size"), values.get("crop_pct", 0.875)
    if not isinstance(shape, list) or len(shape) != 3 or shape[1] != shape[2]:
        raise InputError(f"input_size must be [3, pixels, pixels], not {short(shape)}")
    if not (_is_number(share) and 1 / 16 <= share <= 1):
        raise InputError(f"crop_pct must be a number from 0.0625 to 1, not {short(share)}")
    mode = values.get("crop_mode", "center")
    if mode not in ("center", "squash"):
        raise InputError(f"crop_mode must be center or squash, not {short(mode)}")
    return Look(mean, std, values.get("interpolation", "bicubic"), 1 / share, mode == "squash", shape[1])


def _side(name: str, value: Any) -> int:
    """Pixels of a square side, given as a number or as height and width."""
    if isinstance(value, dict) and value.get("height") == value.get("width"):
        value = value.get("height")
    if type(value) is not int or not 1 <= value <= 4096:
        raise InputError(f"{name} must be of a square of 1 to 4096 pixels a side, not {short(value)}")
    return value


def _three(name: str, value: Any) -> tuple[float, ...]:
    values = [value] * 3 if _is_number(value) else value
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(map(_is_number, values)):
        raise InputError(f"{name} must be three numbers, not {short(value)}")
    return tuple(float(number) for number in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


IMAGENET = Look(*IMAGENET_STATS)
"""Of the networks that were trained as DeiT: mean and deviation of ImageNet's channels, bicubic, 256/224."""
