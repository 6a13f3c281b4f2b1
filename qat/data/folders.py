"""Folders of labelled images, DIR/CLASS/FILE: which classes and files there are, and what is amiss with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qat.files import SUFFIXES
from siliquant.inputs import FileError, InputError, short

from .images import FolderImages
from .look import IMAGENET, Look

__all__ = ["class_names", "open_folder"]

_SHOWN = 5  # names in a message
# Images by their endings, of formats that are not read: to leave them away would be to train on less without a word.
_OTHER_IMAGES = frozenset({".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".tga", ".psd", ".svg", ".eps", ".dcm"})


def class_names(folder: Path) -> tuple[str, ...]:
    """The sorted names of the class folders in ``folder``; names that begin with a dot are none.

    Raises InputError where there are none, and for a link that leads nowhere: without it, labels would move.
    """
    found = []
    for entry in _entries(folder, "a folder with one folder for each class"):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 (an entry, not a Path)
            raise FileError(f"is a link to {short(os.readlink(entry.path))}, which does not exist", file=entry.path)  # noqa: PTH115
        if entry.is_dir():
            found.append(entry.name)
    if not found:
        holds = f" but {listed}" if (listed := _listed(folder)) else ""
        raise InputError(f"{folder} must hold one folder for each class, but it holds none{holds}")
    return tuple(sorted(found))


def open_folder(folder: Path, classes: Sequence[str], image_size: int, look: Look = IMAGENET) -> FolderImages:
    """The images of ``folder``/CLASS/FILE, sorted by class and name; a label is the place of its class in ``classes``.

    Raises InputError for a class folder without images or that is not among ``classes``.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    names, labels = [], []
    for name in class_names(folder):
        if name not in numbers:
            raise InputError(f"{folder / name} is a class that the training images do not have")
        files = sorted(_image_files(folder / name))
        if not files:
            raise InputError(f"{folder / name} must hold images, but it holds none{_instead(folder / name)}")
        names += [os.fsencode(f"{name}/{file}") for file in files]
        labels += [numbers[name]] * len(files)
    return FolderImages(folder, np.array(names), np.array(labels, np.int64), image_size, look)


def _image_files(folder: Path) -> list[str]:
    found = []
    for entry in _entries(folder, "a folder of images"):
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 (an entry, not a Path)
        if entry.name.startswith("."):
            continue
        if suffix in _OTHER_IMAGES:
            raise FileError(f"must be an image of a kind that is read: {', '.join(SUFFIXES)}", file=entry.path)
        if suffix in SUFFIXES:
            found.append(entry.name)
    return found


def _entries(folder: Path, what: str) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        holds = _listed(folder.parent)
        there = f"; {folder.parent} holds {holds}" if holds and not os.path.lexists(folder) else ""
        raise FileError(f"{folder} must be {what}, but it is not a folder{there}")
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise FileError(error.strerror or "cannot be read", file=folder) from None


def _instead(folder: Path) -> str:
    """What a folder of images holds that are none."""
    holds = _listed(folder)
    return f" but {holds}; read are files in the folder itself that end in {', '.join(SUFFIXES)}" if holds else ""


def _listed(folder: Path) -> str:
    try:
        with os.scandir(folder) as entries:
            return _some(sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries))
    except OSError:
        return ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(short(name, 40).strip("'") for name in names[:_SHOWN]) + more
