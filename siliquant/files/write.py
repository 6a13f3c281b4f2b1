"""How a file is written so that a kill leaves no half, and how a folder is held by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from siliquant.inputs import FileError, InputError
from siliquant.processes import owner

from .cache import cache_dir
from .temporary import FULL, full, sweep_beside

__all__ = ["alone", "cache_dir", "check_place", "filled", "save_atomically", "write_atomically"]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside `path` and rename: a reader sees the old file or the whole new one, whoever else writes.

    A link stays one: what it points to is written. Parent folders are made, and what killed writers left beside is
    removed. Raises FileError, naming the file, when the place cannot be written or is full, or holds something that is
    no regular file, such as a device.
    """
    data = content.encode() if isinstance(content, str) else content

    def save(stream: BinaryIO) -> None:
        stream.write(data)

    save_atomically(path, save)


def save_atomically(path: Path, save: Callable[[BinaryIO], None]) -> None:
    """As :func:`write_atomically`, of what ``save`` writes to a stream: for what is too large to hold in memory twice.
    Where the place is full the error is FileError, whatever ``save`` raised.
    """
    given, path = path, _target(path)
    beside = path.with_name(f".{path.name[:40]}.{owner()}.{os.urandom(4).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_beside(path.parent)
        try:
            with beside.open("xb") as stream:
                save(stream)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(path)
        except Exception as error:
            reason = None if isinstance(error, OSError) else full(beside.parent)
            if reason is not None:
                raise reason from error
            raise
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        advice = "; free some space, or write to another disk" if error.errno in FULL else ""
        raise FileError(f"cannot be written: {error.strerror or error}{advice}", file=given) from error


def _target(path: Path) -> Path:
    """The file that is to be replaced, links followed. Raises FileError where something else has its name."""
    try:
        target = path.resolve() if path.is_symlink() else path
        if target.exists() and not target.is_file():
            raise FileError("must be a regular file, or not be there, to be written", file=path)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot be written: {getattr(error, 'strerror', None) or error}", file=path) from error
    return target


def check_place(path: Path) -> None:
    """Finds out, before work is done for it, whether a file can be written; nothing is made or changed.

    Raises FileError, naming the file, as :func:`write_atomically`.
    """
    folder = _target(path).parent
    try:
        while not folder.exists() and not folder.is_symlink():  # it will be made
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"cannot be written: {reason}", file=path) from error


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Makes an output folder, and finds out before any work is done whether it can be written. Folders that were made
    for it and stay empty are removed. Raises OSError where it cannot be written.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        yield
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Holds an output folder for this process, as :func:`filled` makes it. ``what``: who else may have it.

    Raises InputError where another process has it, OSError where it cannot be written.
    """
    with filled(folder):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    raise InputError(f"{folder} is in use by another {what}; choose another --out, or wait") from None
                # Some network file systems lock no folders.
            yield
        finally:
            os.close(held)
