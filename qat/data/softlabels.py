"""A teacher's soft labels of many views of every image, as files: written so that a kill loses little, read in place.

A folder holds manifest.json and one .npy file for a range of images and a range of crops, with one record a crop: the
box and flip of the view, the top probabilities and their classes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qat.files import guarded
from siliquant.files import write_atomically
from siliquant.inputs import InputError, json_object, member, open_regular, read_text, short

from .images import ImageSplit
from .views import Views

__all__ = ["Settings", "Shard", "SoftLabelStore", "file_sha256", "fill_store", "records", "stored_views"]

FORMAT = 1
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 256 << 20
"""Bytes of the largest manifest."""
MOST_SHARD_BYTES = 64 << 30
"""Bytes of the largest shard."""
MOST_IMAGES = (1 << 32) - 1
"""Images of a store."""
MOST_CROPS = 99_999
"""Crops of an image: their numbers have five digits in the names of files."""
MOST_TOP_K = 1 << 12
"""Probabilities that are kept of a crop."""
_MOST_SIDE = 64.0  # of a box, and how far from the image it may lie, in sides of the image
MOST_TOTAL = 1.01
"""The top probabilities of a crop together, at most: each is rounded."""
_OPEN_FILES = 256  # shards kept mapped at a time: every one holds a file descriptor


@dataclass(frozen=True)
class Settings:
    """What the labels of a store are of; a store with other settings is another store.

    ``data`` and ``fingerprint`` say which images, ``teacher`` and ``teacher_sha256`` which labels. ``box_type`` is
    float16 or float32. Raises ValueError.
    """

    data: str
    fingerprint: str
    images: int
    classes: int
    top_k: int
    seed: int
    policy: str
    teacher: str
    teacher_sha256: str
    box_type: str = "float16"
    images_per_shard: int = 1024

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 1 << 16:
            raise InputError(f"classes must be an integer from 2 to {1 << 16}, not {self.classes}")
        if not 1 <= self.top_k <= self.classes:
            raise InputError(f"top_k must be an integer from 1 to {self.classes}, the classes, not {self.top_k}")
        if self.top_k > MOST_TOP_K:
            raise InputError(f"top_k must be at most {MOST_TOP_K}, not {self.top_k}")
        if not 0 <= self.seed < 1 << 64:
            raise InputError(f"seed must be from 0 to 2^64 - 1, not {short(self.seed)}")
        if self.box_type not in ("float16", "float32"):
            raise InputError(f"box_type must be float16 or float32, not {short(self.box_type)}")
        for name, most in (("images", MOST_IMAGES), ("images_per_shard", MOST_IMAGES)):
            value = getattr(self, name)
            if value < 1:
                raise InputError(f"{name} must be an integer of at least 1, not {value}")
            if value > most:
                raise InputError(f"{name} must be at most {most}, not {short(value)}")

    @property
    def record(self) -> np.dtype[np.void]:
        """One crop: packed, little-endian."""
        number = "u1" if self.classes <= 1 << 8 else "<u2"
        box = "<f2" if self.box_type == "float16" else "<f4"
        return np.dtype([("box", box, (4,)), ("flip", "u1"), ("probability", "<f2", (self.top_k,)),
                         ("class", number, (self.top_k,))])  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """The crops first_crop to end_crop - 1 of the images first_image to end_image - 1, in one file."""

    first_image: int
    end_image: int
    first_crop: int
    end_crop: int

    @property
    def file(self) -> str:
        """Its name in the folder."""
        return f"images-{self.first_image:08d}-crops-{self.first_crop:05d}.npy"

    @property
    def shape(self) -> tuple[int, int]:
        """Images, crops."""
        return self.end_image - self.first_image, self.end_crop - self.first_crop

    @property
    def crops(self) -> int:
        """Records in the file."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class _Manifest:
    """Settings, the ranges of crops that were asked for one after the other, and the checksums of finished files."""

    settings: Settings
    ranges: tuple[tuple[int, int], ...]
    finished: Mapping[str, str]

    def shards(self, crops: tuple[int, int]) -> list[Shard]:
        """The shards of one range of crops."""
        step, n = self.settings.images_per_shard, self.settings.images
        return [Shard(first, min(first + step, n), *crops) for first in range(0, n, step)]

    def all_shards(self) -> list[Shard]:
        return [shard for crops in self.ranges for shard in self.shards(crops)]

    def write(self, folder: Path) -> None:
        size = self.settings.record.itemsize
        content: dict[str, Any] = {"format": FORMAT, **asdict(self.settings), "crops": self.ranges[-1][1]}
        content |= {"bytes_per_crop": size, "mb_per_million_crops": size * 1_000_000 / 1e6}
        content["shards"] = [
            {
                "file": shard.file,
                "images": [shard.first_image, shard.end_image],
                "crops": [shard.first_crop, shard.end_crop],
                "sha256": self.finished.get(shard.file),
                "status": "finished" if shard.file in self.finished else "missing",
            }
            for shard in self.all_shards()
        ]
        write_atomically(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def fill_store(
    folder: Path,
    settings: Settings,
    crops: int,
    make: Callable[[Shard], NDArray[np.void]],
    report: Callable[[str, int], None] = lambda what, crops: None,
) -> int:
    """Makes what is missing of the store in ``folder`` until it has ``crops`` crops an image; returns its bytes.

    ``make`` returns the records [images, crops] of a shard, which must be a function of the shard alone. Finished
    shards are verified and kept, also those of fewer crops an image. ``report`` is told ("kept" or "made", crops) of
    every shard. Raises ValueError where the store has other settings or more crops, or a finished file has changed.
    """
    if crops < 1:
        raise InputError(f"crops must be an integer of at least 1, not {crops}")
    if crops > MOST_CROPS:
        raise InputError(f"crops must be at most {MOST_CROPS}, not {short(crops)}")
    known = _read_manifest(folder) if (folder / MANIFEST).exists() else None
    manifest = _extended(folder, known, settings, crops)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
        leftover.unlink(missing_ok=True)
    finished = dict(manifest.finished)
    for shard in manifest.all_shards():
        if shard.file in finished and (folder / shard.file).exists():
            _verify(folder, shard, finished[shard.file])
            report("kept", shard.crops)
    manifest.write(folder)
    total = 0
    for shard in manifest.all_shards():
        path = folder / shard.file
        if shard.file not in finished or not path.exists():
            found = make(shard)
            if found.dtype != settings.record or found.shape != shard.shape:
                raise InputError(f"{shard.file} must have records of shape {shard.shape}, not {found.shape}")
            content = io.BytesIO()
            np.save(content, found, allow_pickle=False)
            write_atomically(path, content.getvalue())
            finished[shard.file] = hashlib.sha256(content.getvalue()).hexdigest()
            _Manifest(settings, manifest.ranges, finished).write(folder)
            report("made", shard.crops)
        total += path.stat().st_size
    return total


def stored_views(views: Views, box_type: str) -> Views:
    """The views as they will be read back: boxes rounded to ``box_type``, those inside their image kept inside."""
    kind = np.dtype(box_type)
    boxes = views.boxes.astype(kind)
    start, extent = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    exact = views.boxes.astype(np.float64)
    out = (start + extent > 1) & (exact[:, :2] + exact[:, 2:] <= 1 + 1e-6)
    room = (1 - start).astype(kind)
    room = np.where(room.astype(np.float64) > 1 - start, np.nextafter(room, kind.type(0)), room)
    boxes[:, 2:] = np.where(out, room, boxes[:, 2:])
    return Views(boxes.astype(np.float32), views.flips)


def records(
    settings: Settings, views: Views, probabilities: NDArray[np.float32], classes: NDArray[np.int64]
) -> NDArray[np.void]:
    """Records [n] of n crops; ``probabilities`` and ``classes`` are [n, top_k]."""
    found = np.empty(len(views), settings.record)
    found["box"], found["flip"] = views.boxes, views.flips
    found["probability"], found["class"] = probabilities, classes
    return found


@dataclass(frozen=True, eq=False)
class SoftLabelStore:
    """Soft labels on disk, mapped into memory: ``crops`` views of each of ``settings.images`` images."""

    folder: Path
    settings: Settings
    ranges: tuple[tuple[int, int], ...]
    _mapped: dict[str, NDArray[np.void]] = field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls, folder: Path, split: ImageSplit | None = None, classes: int | None = None, *, verify: bool = True
    ) -> SoftLabelStore:
        """The store in ``folder``, of those crops of which every shard is finished.

        Raises ValueError where it is not a store, is of other images than ``split`` or of another number of
        ``classes``, has no crops finished, or, unless ``verify`` is False, where a shard is not what was written.
        """
        manifest = _read_manifest(folder)
        settings = manifest.settings
        if split is not None and settings.fingerprint != split.fingerprint:
            raise InputError(
                f"{folder} has soft labels of other images: those of {settings.data} with fingerprint "
                f"{settings.fingerprint[:12]}, not {split.fingerprint[:12]}"
            )
        if classes is not None and settings.classes != classes:
            raise InputError(f"{folder} has soft labels of {settings.classes} classes, not {classes}")
        ranges: list[tuple[int, int]] = []
        for crops in manifest.ranges:
            if any(shard.file not in manifest.finished for shard in manifest.shards(crops)):
                break
            ranges.append(crops)
        if not ranges:
            missing = sum(shard.file not in manifest.finished for shard in manifest.all_shards())
            raise InputError(
                f"{folder} is not finished, {missing} of {len(manifest.all_shards())} shards are missing: "
                "make its soft labels again to go on"
            )
        if verify:
            for crops in ranges:
                for shard in manifest.shards(crops):
                    _verify(folder, shard, manifest.finished[shard.file])
        return cls(folder, settings, tuple(ranges))

    @property
    def crops(self) -> int:
        """Crops of each image."""
        return self.ranges[-1][1]

    def views(self, indices: NDArray[np.int64], crops: NDArray[np.int64]) -> Views:
        """The views that the teacher saw, exactly: crop number ``crops[i]`` of image ``indices[i]``."""
        found = self._records(indices, crops)
        return Views(found["box"].astype(np.float32), found["flip"].astype(np.bool_))

    def probabilities(self, indices: NDArray[np.int64], crops: NDArray[np.int64]) -> NDArray[np.float32]:
        """The teacher's probabilities, float32 [n, classes], with marginal smoothing.

        What the stored top probabilities leave to 1 is shared evenly over the other classes (Shen and Xing 2022).
        Where rounding makes them more than 1, or they are all the classes, they are divided by their sum.
        """
        found = self._records(indices, crops)
        top = found["probability"].astype(np.float64)
        total = top.sum(axis=1, keepdims=True)
        others = self.settings.classes - self.settings.top_k
        rest = np.maximum(1 - total, 0) if others else np.zeros_like(total)
        smoothed = np.repeat(rest / max(others, 1), self.settings.classes, axis=1)
        np.put_along_axis(smoothed, found["class"].astype(np.int64), top * ((1 - rest) / total), axis=1)
        return smoothed.astype(np.float32)

    def _records(self, indices: NDArray[np.int64], crops: NDArray[np.int64]) -> NDArray[np.void]:
        for name, values, end in (("indices", indices, self.settings.images), ("crops", crops, self.crops)):
            if values.size and not (values.min() >= 0 and values.max() < end):
                raise InputError(f"{name} must be from 0 to {end - 1}, not {values.min()} to {values.max()}")
        found = np.empty(len(indices), self.settings.record)
        step = self.settings.images_per_shard
        for first_crop, end_crop in self.ranges:
            inside = (crops >= first_crop) & (crops < end_crop)
            for number in np.unique(indices[inside] // step):
                first = int(number) * step
                shard = Shard(first, min(first + step, self.settings.images), first_crop, end_crop)
                here = inside & (indices // step == number)
                part = self._map(shard)[indices[here] - first, crops[here] - first_crop]
                check_records(self.settings, part, self.folder / shard.file)
                found[here] = part
        return found

    def _map(self, shard: Shard) -> NDArray[np.void]:
        if shard.file not in self._mapped:
            if len(self._mapped) >= _OPEN_FILES:
                self._mapped.clear()
            path = self.folder / shard.file
            open_regular(path, MOST_SHARD_BYTES).close()
            with guarded(f"{path} is not a shard that can be read"):
                content = np.load(path, mmap_mode="r", allow_pickle=False)
            if content.dtype != self.settings.record or content.shape != shard.shape:
                raise InputError(f"{self.folder / shard.file} is not a shard of this store")
            self._mapped[shard.file] = content
        return self._mapped[shard.file]


def check_records(settings: Settings, found: NDArray[np.void], file: Path) -> None:
    """Raises InputError, which names the file, for records that no teacher's labels of views can be."""
    box, probability, label = (found[name].astype(np.float64) for name in ("box", "probability", "class"))
    total, ordered = probability.sum(axis=-1), np.sort(label, axis=-1)
    for holds, wanted in (
        (np.abs(box) <= _MOST_SIDE, f"boxes from {-_MOST_SIDE:g} to {_MOST_SIDE:g} sides of their image"),
        (box[..., 2:] > 0, "boxes of a height and width above 0"),
        (found["flip"] <= 1, "flips of 0 or 1"),
        ((probability >= 0) & (probability <= 1), "probabilities from 0 to 1"),
        ((total > 0) & (total <= MOST_TOTAL), "probabilities of a crop that are above 0 and at most 1 together"),
        (label < settings.classes, f"classes from 0 to {settings.classes - 1}"),
        (np.diff(ordered, axis=-1) > 0, "each class once in a crop"),
    ):
        if not bool(holds.all()):
            raise InputError(f"must hold {wanted}: make the soft labels again", file=file)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal."""
    open_regular(path, MOST_SHARD_BYTES).close()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verify(folder: Path, shard: Shard, expected: str) -> None:
    path = folder / shard.file
    if not path.exists():
        raise InputError(f"{path} is missing: make the soft labels again to go on")
    found = file_sha256(path)
    if found != expected:
        raise InputError(
            f"{path} is not what was written: its SHA-256 is {found[:12]}, not {expected[:12]}; "
            "delete it and make the soft labels again"
        )


def _extended(folder: Path, known: _Manifest | None, settings: Settings, crops: int) -> _Manifest:
    """The manifest of the store with ``crops`` crops an image."""
    if known is None:
        return _Manifest(settings, ((0, crops),), {})
    for name in (each.name for each in fields(Settings)):
        before, now = getattr(known.settings, name), getattr(settings, name)
        if before != now:
            raise InputError(f"{folder} was made with {name} {before}, not {now}: choose another folder")
    end = known.ranges[-1][1]
    if crops < end:
        raise InputError(f"{folder} has {end} crops an image, so crops must be at least {end}, not {crops}")
    return known if crops == end else _Manifest(settings, (*known.ranges, (end, crops)), known.finished)


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} must be a folder of soft labels with a {MANIFEST}, but it has none")
    try:
        return _manifest_of(json_object(read_text(path, MOST_MANIFEST_BYTES)))
    except InputError as error:
        raise InputError(f"{path} is not a manifest that can be read: {error.sentence}") from None


def _manifest_of(content: Mapping[str, Any]) -> _Manifest:
    if member(content, "format", int) != FORMAT:
        raise InputError(f"its format must be {FORMAT}, not {short(content['format'])}")
    kinds: dict[str, type] = {"int": int, "str": str}
    settings = Settings(**{each.name: member(content, each.name, kinds[str(each.type)]) for each in fields(Settings)})
    shards = member(content, "shards", list)
    finished: dict[str, str] = {}
    ranges: dict[tuple[int, int], None] = {}
    for shard in shards:
        if not isinstance(shard, dict):
            raise InputError(f"each of its shards must be an object, not {short(shard)}")
        crops = member(shard, "crops", list)
        if len(crops) != 2 or not all(type(crop) is int and 0 <= crop <= MOST_CROPS for crop in crops):
            raise InputError(f"crops of a shard must be two integers from 0 to {MOST_CROPS}, not {short(crops)}")
        ranges[crops[0], crops[1]] = None
        if member(shard, "status", str) == "finished":
            finished[member(shard, "file", str)] = member(shard, "sha256", str)
    found = tuple(ranges)
    if not found or [first for first, _ in found] != [0, *(end for _, end in found[:-1])]:
        raise InputError(f"its ranges of crops must follow each other from 0, not {short(found)}")
    if any(first >= end for first, end in found):
        raise InputError(f"its ranges of crops must not be empty, not {short(found)}")
    manifest = _Manifest(settings, found, finished)
    expected = len(found) * -(-settings.images // settings.images_per_shard)
    if len(shards) != expected:
        raise InputError(f"it must list {expected} shards, not {len(shards)}")
    for entry, shard in zip(shards, manifest.all_shards(), strict=True):
        wanted = {"file": shard.file, "images": [shard.first_image, shard.end_image],
                  "crops": [shard.first_crop, shard.end_crop]}  # fmt: skip
        for name, value in wanted.items():
            if name in entry and entry[name] != value:
                raise InputError(f"{name} of its shard {short(shard.file)} must be {value}, not {short(entry[name])}")
    size = settings.record.itemsize
    for name, number in (("crops", found[-1][1]), ("bytes_per_crop", size)):
        if content.get(name, number) != number:
            raise InputError(f"its {name} must be {number}, as its shards have it, not {short(content[name])}")
    names = {shard.file for shard in manifest.all_shards()}
    if extra := sorted(finished.keys() - names):
        raise InputError(f"its files must be those of its shards, not {short(extra[0])}")
    return manifest
