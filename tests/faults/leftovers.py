"""What a campaign that was killed leaves: disks, and processes that belong to its commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from siliquant.files import sweep
from siliquant.processes.owners import OWNER, is_gone
from tests.faults.processes import TOKEN

__all__ = ["DISK", "clear", "clear_old"]

DISK = "siliquant-faults"
"""The name of a disk, in the list of those that are mounted; folders of campaigns begin with it."""


def clear(home: Path) -> None:
    """Ends what belongs to commands below a folder, and takes away disks there."""
    _clear(lambda place: place.is_relative_to(home))


def clear_old() -> None:
    """The same for all campaigns whose process is gone, and removes their folders."""
    _clear(_is_old)
    sweep()


def _is_old(place: Path) -> bool:
    for folder in (place, *place.parents):
        found = OWNER.search(folder.name) if folder.name.startswith(DISK) else None
        if found is not None:
            return is_gone(found, folder)
    return False


def _clear(mine: Callable[[Path], bool]) -> None:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            for entry in (path / "environ").read_bytes().split(b"\0"):
                name, _, value = entry.partition(b"=")
                if name == TOKEN.encode() and int(path.name) != os.getpid() and mine(Path(os.fsdecode(value))):
                    os.kill(int(path.name), signal.SIGKILL)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            device, place = line.split(" ")[:2]
            if device == DISK and mine(Path(place)):
                subprocess.run(["umount", "-l", place], check=False, capture_output=True)
