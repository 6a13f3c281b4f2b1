"""One image file as 8-bit RGB: which files are read, how large they may be, and how other pixels become these."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from siliquant.inputs import FileError, InputError, open_regular

from .weights import first_line

__all__ = ["MOST_IMAGE_BYTES", "MOST_PIXELS", "SUFFIXES", "check_image", "read_image", "read_size"]

MOST_PIXELS = 1 << 26
"""Pixels of the largest image, 8192 x 8192: the largest of ImageNet has 61 million."""
MOST_IMAGE_BYTES = 512 << 20
"""Bytes of the largest image file."""
SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff",
            ".webp")  # fmt: skip
"""Endings of image files, in small letters."""
# Those alone: Pillow has readers of formats that call other programs, such as PostScript's.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_CONVERTED = frozenset({"1", "L", "P", "RGB", "RGBA", "RGBX", "LA", "PA", "CMYK", "YCbCr"})
_TAILS = (12, 1 << 16)  # bytes at the end of a file that are looked at: those of a whole file, and with what follows it
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF


def read_image(path: Path) -> Image.Image:
    """The image as RGB, 8 bits a channel, as torchvision's loader has it where that is right.

    Grey, palette, CMYK and YCbCr are converted, transparency is left away, the first picture of several is taken, and
    the orientation in EXIF data is not applied. Grey pixels of 16 bits are divided by 257, so that white stays white;
    of coloured ones Pillow takes the upper 8 bits. Raises InputError that names the file: of other numbers (float,
    signed, 32 bits), whose range nothing says, of Lab colours, and of what cannot be read or is too large.
    """
    with _opened(path) as (image, _):
        return _rgb(image, path)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels from the file's header. Raises InputError as :func:`read_image`."""
    with _opened(path) as (image, _):
        return image.height, image.width


def check_image(path: Path, *, whole: bool = False) -> tuple[int, int]:
    """(height, width) after a look at header, kind of pixels and end of the file; with ``whole`` it is decoded.

    A file whose end is not that of its format is decoded too, to see whether it was cut short. Raises InputError as
    :func:`read_image`.
    """
    with _opened(path) as (image, stream):
        _check_mode(image, path)
        size = image.height, image.width
        complete = _ends_well(image.format, stream)
    if whole or not complete:
        read_image(path)
    return size


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """The image with its header read, of a file and a size that are allowed, and that file."""
    try:
        stream = open_regular(path, MOST_IMAGE_BYTES)
    except FileError as error:
        link = f" (a link to {os.readlink(path)})" if path.is_symlink() else ""  # noqa: PTH115 (bytes that are no text)
        raise FileError(f"{path} is not an image that can be read: {error.sentence}{link}") from None
    with stream, _translated(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its size, which is checked here, and of odd metadata
        with Image.open(stream, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InputError(
                    f"must have at most {MOST_PIXELS} pixels, not {image.width} x {image.height}", file=path
                )
            yield image, stream


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """What Pillow raises, as InputError: of broken files its readers have every kind of exception."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path} is not an image that can be read: {_kind_of(path)}") from None
    except Image.DecompressionBombError:
        raise InputError(f"must have at most {MOST_PIXELS} pixels, and has far more", file=path) from None
    except Exception as error:
        raise InputError(f"{path} is not an image that can be read: {first_line(error)}") from None


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    _check_mode(image, path)
    if image.mode == "RGB":
        image.load()
        return image.copy()
    if image.mode.startswith("I"):
        return _from_16_bits(image).convert("RGB")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA").convert("RGB")  # the colours, whatever their opacity
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Grey of 8 bits. TIFF may have fewer bits in its words, and white as 0."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (16,))[0]
    white = (1 << bits) - 1
    pixels = np.minimum(np.asarray(image).astype(np.uint32), white)
    grey = (pixels * 255 + white // 2) // white
    return Image.fromarray((255 - grey if tags.get(_PHOTOMETRIC) == 0 else grey).astype(np.uint8))


def _check_mode(image: Image.Image, path: Path) -> None:
    """Raises InputError for pixels of which nothing says what is black and what is white."""
    if image.mode in _CONVERTED or image.mode.startswith("I;16"):
        return
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # 16 bits, in words of 32
        return
    if image.mode in ("I", "F"):
        what = "floating-point" if image.mode == "F" else "signed or 32-bit"
        raise InputError(
            f"must have pixels of 8 bits, or unsigned ones of 16, but has {what} ones, whose white nothing says: "
            "save it with 8 bits",
            file=path,
        )
    raise InputError(f"must be a grey or RGB image, but has pixels of kind {image.mode}: save it as RGB", file=path)


def _ends_well(kind: str | None, stream: BinaryIO) -> bool:
    """Whether the end of the file is that of its format: cheap, and a file that was cut short has none."""
    size = stream.seek(0, io.SEEK_END)
    if kind == "WEBP":
        stream.seek(4)
        return int.from_bytes(stream.read(4), "little") + 8 <= size
    for length in _TAILS:
        stream.seek(max(size - length, 0))
        if _is_end(kind, stream.read(length)):
            return True
    return False


def _is_end(kind: str | None, tail: bytes) -> bool:
    if kind in ("JPEG", "MPO"):
        return tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda")  # a preview inside has an end too
    if kind == "PNG":
        return b"IEND" in tail
    if kind == "GIF":
        return tail.rstrip(b"\0").endswith(b";")
    return False  # the others are decoded, which for pixels as they are is cheap


def _kind_of(path: Path) -> str:
    """Of a file that no reader knows: what it is."""
    with open_regular(path, MOST_IMAGE_BYTES) as stream:
        head = stream.read(64)
    if not head:
        return "it is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS, not the file itself"
    return f"it has no {', '.join(_FORMATS)} in a form that Pillow reads"
