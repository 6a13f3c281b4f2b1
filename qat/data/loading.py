"""Batches of a split, fetched in order by this process or by several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from siliquant.inputs import InputTypeError, SiliquantError, ToolError
from siliquant.processes import cores, end_with_parent

from .images import FolderImages, ImageSplit
from .text import TextSplit
from .views import Views

__all__ = ["batches", "in_processes", "worker_count", "worker_failed"]

_MOST_WORKERS = 8  # of the default: more wait for the disk, and each holds batches in memory


def worker_count(split: ImageSplit | TextSplit, wanted: int | None, device: torch.device, processes: int = 1) -> int:
    """Processes that load samples of ``split``: as many as are wanted, else the cores that are left, at most 8.

    ``processes`` train on this machine, each with an equal share of its cores. On a GPU a process needs one core for
    itself, and at least one process loads; on the CPU it needs as many as PyTorch has threads. What is in memory is
    loaded by the process itself.
    """
    if wanted is not None:
        return wanted
    if not isinstance(split, FolderImages):
        return 0
    share = max(cores() // processes, 1)
    left = max(share - 1, 1) if device.type == "cuda" else share - torch.get_num_threads()
    return min(max(left, 0), _MOST_WORKERS)


def batches(
    split: ImageSplit | TextSplit,
    plan: Iterable[tuple[NDArray[np.int64], Views | None]],
    workers: int = 0,
    *,
    pinned: bool = False,
) -> Iterator[Any]:
    """``split.fetch(*entry)`` of every entry of ``plan``, in order, by ``workers`` processes or, with 0, in this one.

    ``pinned``: what processes load lies in memory that a GPU copies from by itself. What is yielded does not depend on
    either. The global random state is left alone. Raises InputError that names
    a file that cannot be read, and ToolError where a process ends by itself.
    """
    fetched = _Fetched(split)
    if workers == 0:
        found: Iterable[Any] = (fetched[entry] for entry in plan)
    else:
        found = in_processes(fetched, plan, workers, pinned=pinned)
    return _unwrapped(found)


def in_processes(dataset: Dataset[Any], plan: Iterable[Any], processes: int, *, pinned: bool = False) -> Iterable[Any]:
    """``dataset[entry]`` of every entry of ``plan``, in order, by so many processes, at least 1, which end with this
    one. The global random state is left alone.
    """
    generator = torch.Generator()  # seeds the processes, which draw nothing
    return DataLoader(
        dataset, batch_size=None, sampler=plan, num_workers=processes, generator=generator,
        worker_init_fn=end_with_parent, pin_memory=pinned,
    )  # fmt: skip


def _unwrapped(found: Iterable[Any]) -> Iterator[Any]:
    with worker_failed():
        for each in found:
            # Raised in a process of its own, it would have a traceback as its text.
            if isinstance(each, SiliquantError):
                raise each
            yield each


@contextmanager
def worker_failed() -> Iterator[None]:
    """Turns the death of a process that loads images into ToolError."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, SiliquantError) or "DataLoader worker" not in str(error):
            raise
        raise ToolError(
            "a process that loads images ended by itself, perhaps for lack of memory: try fewer workers"
        ) from None


class _Fetched(Dataset[Any]):
    """A batch for an entry of a plan."""

    def __init__(self, split: ImageSplit | TextSplit) -> None:
        self.split = split

    def __getitem__(self, entry: tuple[NDArray[np.int64], Views | None]) -> Any:
        try:
            return self._fetch(*entry)
        except SiliquantError as error:
            return error
        except MemoryError:
            return ToolError("loading images needs more memory than there is: try fewer workers or a smaller batch")

    def _fetch(self, indices: NDArray[np.int64], views: Views | None) -> Any:
        if isinstance(self.split, TextSplit):
            if views is not None:
                raise InputTypeError("views must be None, since texts have no views")
            return self.split.fetch(indices)
        return self.split.fetch(indices, views)
