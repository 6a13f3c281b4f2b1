"""The images of a data set that cannot be read, found before work begins on them, and left out where that is asked for.

Which ones are left out is written into the record of a run, so that its data stay what they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch.utils.data import Dataset

from qat.files import check_image
from siliquant.inputs import InputError, printable
from siliquant.processes import cores

from .datasets import Data
from .images import FolderImages
from .loading import in_processes, worker_failed

__all__ = ["MOST_SKIPPED", "check_images", "checked", "cores", "without"]

MOST_SKIPPED = 1_000_000
"""Images that may be left out, at most."""
_CHUNK = 256  # images that a process checks at a time
_FEW = 4 * _CHUNK  # so few are checked in this process
_SHOWN = 3  # files that a message names
_NAMED = 20  # files that are left out, in lines of their own
_PARTS = ("train", "test")


def check_images(
    data: Data,
    *,
    skip: int | None = None,
    parts: Sequence[str] = _PARTS,
    processes: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Data, dict[str, list[str]]]:
    """The data without images that cannot be read, and the names of those by part ("train", "test").

    Of each file the header, the kind of pixels and the end are looked at, by as many processes as there are cores.
    With ``skip``, every image is decoded, so that none fails later, and up to so many in all are left out; None where
    the user has no such option, which is then not spoken of. ``report`` is told how many of how many are done. Data
    that are no folders of images are returned as they are. Raises InputError that names the first files where more than
    ``skip`` cannot be read, or a class would have none left.
    """
    most_skipped = skip or 0
    splits = {part: getattr(data, part) for part in parts if isinstance(getattr(data, part), FolderImages)}
    total, before = sum(len(split.labels) for split in splits.values()), 0
    faults: dict[str, dict[int, str]] = {}
    for part, split in splits.items():
        found = _faults(split, most_skipped > 0, processes, lambda done, before=before: report(before + done, total))  # type: ignore[misc]
        before += len(split.labels)
        if found:
            faults[part] = found
    sentences = [
        (printable(f"{splits[part].path(index)}"), sentence)
        for part, found in faults.items()
        for index, sentence in found.items()
    ]
    if len(sentences) > most_skipped:
        more = f", and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else ""
        most = 300 // min(len(sentences), _SHOWN)
        advice = "mend them" + ("" if skip is None else ", or leave them out with --skip-unreadable N")
        raise InputError(
            f"{'; '.join(_cut(path, sentence, most) for path, sentence in sentences[:_SHOWN])}{more}; "
            f"{len(sentences)} of {total} images cannot be read, and at most {most_skipped} may be: {advice}"
        )
    names = {part: [os.fsdecode(bytes(splits[part].names[index])) for index in found] for part, found in faults.items()}
    return without(data, names), names


def checked(
    data: Data,
    console: Console,
    *,
    skip: int | None = None,
    parts: Sequence[str] = _PARTS,
    processes: int | None = None,
) -> tuple[Data, dict[str, list[str]]]:
    """As :func:`check_images`, with a bar on a terminal, and a line for each of the first images that are left out."""
    from rich.progress import Progress

    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("reading images", total=None)
        kept, names = check_images(
            data, skip=skip, parts=parts, processes=processes,
            report=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    left_out = [f"{getattr(data, part).folder / name}" for part, each in names.items() for name in each]
    for name in left_out[:_NAMED]:
        console.print(
            printable(f"left out, since it cannot be read: {name}"), highlight=False, markup=False, soft_wrap=True
        )
    if len(left_out) > _NAMED:
        console.print(f"and {len(left_out) - _NAMED} more")
    return kept, names


def without(data: Data, names: Mapping[str, Sequence[str]]) -> Data:
    """The data without the images of those names, by part. Raises InputError where a class would have none left."""
    for part, left_out in names.items():
        split = getattr(data, part, None)
        if not left_out or not isinstance(split, FolderImages):
            continue
        gone = {os.fsencode(name) for name in left_out}
        kept = np.array([bytes(name) not in gone for name in split.names])
        empty = set(split.labels.tolist()) - set(split.labels[kept].tolist())
        if empty:
            raise InputError(f"{split.folder / data.classes[min(empty)]} must hold an image that can be read")
        left = split.take(np.flatnonzero(kept))
        data = replace(data, train=left) if part == "train" else replace(data, test=left)
    return data


def _faults(split: FolderImages, whole: bool, processes: int | None, report: Callable[[int], None]) -> dict[int, str]:
    """What is wrong with an image, by its index, in order; the sizes of the others are kept by ``split``."""
    found: dict[int, str] = {}
    chunks = [np.arange(first, min(first + _CHUNK, len(split.labels))) for first in range(0, len(split.labels), _CHUNK)]
    count = 0 if len(split.labels) <= _FEW else min(processes or cores(), 64, len(chunks))
    done = 0
    for chunk, (sizes, sentences) in zip(chunks, _checked(_Files(split, whole), chunks, count), strict=True):
        split.measured[chunk] = sizes
        found |= sentences
        done += len(chunk)
        report(done)
    return found


def _checked(files: _Files, chunks: list[NDArray[np.int64]], processes: int) -> Iterator[Any]:
    if processes <= 1:
        yield from map(files.__getitem__, chunks)
        return
    with worker_failed():
        yield from in_processes(files, chunks, processes)


class _Files(Dataset[Any]):
    """Sizes [n, 2] of the images of a chunk, 0 where one cannot be read, and why."""

    def __init__(self, split: FolderImages, whole: bool) -> None:
        self.split, self.whole = split, whole

    def __getitem__(self, chunk: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[int, str]]:
        sizes, sentences = np.zeros((len(chunk), 2), np.int64), {}
        for place, index in enumerate(chunk.tolist()):
            try:
                sizes[place] = check_image(self.split.path(index), whole=self.whole)
            except InputError as error:
                sentences[index] = str(error)
        return sizes, sentences


def _cut(path: str, sentence: str, most: int) -> str:
    """The sentence, which begins with the path, with the end of the path where not all has room."""
    room = most * 3 // 4
    if len(sentence) <= most:
        return sentence
    where, rest = path if len(path) <= room else f"...{path[3 - room :]}", sentence.removeprefix(path)
    left = most - len(where)
    return where + (rest if len(rest) <= left else f"{rest[: left - 3]}...")
