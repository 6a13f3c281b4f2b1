"""A full disk: where temporary files go, where the cache is, and where results go, each in turn."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.leftovers import DISK
from tests.faults.trial import Reference, Trial
from tests.faults.worlds import World

__all__ = ["disks", "may_mount"]

PLACES = ("tmp", "cache", "out")
_FULL = r"no space left|is not kept|going on without|free some|cannot be written|too large"
_PAGE = 4096


def disks(trial: Trial) -> None:
    """Gives one folder after the other a disk of its own that is too small, by an amount that is drawn: the command
    says so in a line and ends with 2, or goes on without that folder and gives the same results. With
    space it then works.
    """
    reference = trial.reference()
    while trial.goes_on():
        place = PLACES[trial.tally.cases % len(PLACES)]
        pages = max(reference.sizes.get(place, 1 << 20) // _PAGE, 4)
        size = _PAGE * trial.draw.choice((1, 2, trial.draw.randint(2, pages), trial.draw.randint(2, pages)))
        world = trial.world()
        with _disk(world.place / place, size) as grow:
            code = _on_full_disk(trial, world, reference, f"{place} of {size >> 10} KiB")
            grow()
            expected = reference
            if trial.otherwise(world):
                if code == 0 and trial.job.resume is not None:  # it is done, and stays what it is
                    plain = trial.without_kernels(world)
                    expected = replace(plain, kept=plain.kept | reference.kept)
                else:  # a part without kernels and a part with them would be like neither
                    _empty(world.out)
            trial.again(world, expected, f"a full {place} of {size >> 10} KiB")


def _on_full_disk(trial: Trial, world: World, reference: Reference, what: str) -> int | None:
    started = trial.start(world)
    code = trial.end(started, reference.seconds)
    trial.tally.cases += 1
    place = what.partition(" ")[0]
    if code == 0:
        trial.tally.ended(f"{place}: went on")
        trial.same(world, reference, what)
    else:
        trial.tally.ended(f"{place}: said so")
        trial.refused(world, code, what, _FULL)
        if code != 2:
            trial.wrong(f"{what}: ended with {code}, not 2")
    trial.differ(world.left(), what)
    return code


def _empty(folder: Path) -> None:
    """It may be a disk, which stays."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def _disk(folder: Path, size: int) -> Iterator[object]:
    """A disk of so many bytes at a folder; gives the function that makes it large."""
    folder.mkdir(exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", DISK, str(folder))
    try:
        yield lambda: _call("mount", "-o", "remount,size=1g", str(folder))
    finally:
        _call("umount", "-l", str(folder))


def may_mount(folder: Path) -> bool:
    """Whether this user may make disks."""
    try:
        with _disk(folder, 1 << 16):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
