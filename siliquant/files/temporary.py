"""Folders for what is needed while something runs: gone when it ends, and after a kill when the next run begins.

They lie in the folder for temporary files (TMPDIR, else /tmp) as siliquant-KIND-PID-START-WHERE-XXXX, so that a later
run can tell whose process is gone (:mod:`siliquant.processes.owners`) and remove what it left.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from siliquant.inputs import FileError, ToolError
from siliquant.processes import OWNER, is_gone, mark, owner

__all__ = [
    "FULL",
    "full",
    "lasting",
    "raise_if_full",
    "scratch",
    "sweep",
    "sweep_beside",
    "sweep_built",
    "torch_folder",
]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The numbers of errors that say that no more can be written."""
# Exactly what is made here, in siliquant.files.write and in siliquant.files.builds: what anybody else calls a file
# must not match.
_NAME = re.compile(rf"siliquant-[a-z]+-{OWNER.pattern}-[a-z0-9_]{{8}}")
_BESIDE = re.compile(rf"\..{{1,40}}\.{OWNER.pattern}\.[0-9a-f]{{8}}\.tmp")
_BUILT = re.compile(rf"\.(building|aside)-{OWNER.pattern}-[0-9a-f]{{8}}")


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """A new empty folder of this process alone, removed at the end; ``kind``: small letters, part of its name.

    Raises FileError where no folder can be made there, and where the disk is full while it is used: then also for a
    program that fails, whatever it says.
    """
    folder = _made(kind)
    try:
        yield folder
    except OSError as error:
        if error.errno in FULL and (error.filename is None or str(error.filename).startswith(str(folder))):
            raise _full(folder, error) from error
        raise
    except ToolError as error:  # a program may say anything where it could not write
        if (reason := full(folder)) is not None:
            raise _full(folder, reason) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def lasting(kind: str) -> Path:
    """A new empty folder that is removed when this process ends. Raises FileError where none can be made."""
    folder = _made(kind)
    _removed_at_end(folder)
    return folder


def torch_folder() -> None:
    """Names the folder in which PyTorch keeps what it compiles, for this process and those it starts, unless the user
    did. PyTorch makes it below TMPDIR when transformers are imported and never removes it: this one goes at the end.
    """
    with contextlib.suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"siliquant-torch-{owner()}-{os.urandom(4).hex()}"
        if os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder)) == str(folder):
            _removed_at_end(folder)


def _removed_at_end(folder: Path) -> None:
    maker = os.getpid()

    def remove() -> None:
        if os.getpid() == maker:  # a forked child is not the owner
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


def _made(kind: str) -> Path:
    try:
        root = tempfile.gettempdir()
        _sweep_once(root)
        mark()  # the watcher removes it, should this process be killed
        return Path(tempfile.mkdtemp(prefix=f"siliquant-{kind}-{owner()}-", dir=root)).resolve()
    except OSError as error:
        where = os.environ.get("TMPDIR") or "/tmp"
        sentence = f"no temporary folder can be made there ({error.strerror or error}); set TMPDIR to a folder that can"
        raise FileError(f"{sentence} be written and has space", file=where) from error


def full(folder: Path) -> OSError | None:
    """Why a folder takes no other file of a mebibyte, where its disk is full or the user may write no more."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(1 << 20))
            stream.flush()
    except OSError as error:
        return OSError(error.errno, error.strerror) if error.errno in FULL else None
    return None


def raise_if_full(error: Exception) -> None:
    """Raises FileError where an error came of a full disk: whatever ran then is not at fault. A program may say
    anything where it could not write, so of one that failed it is asked whether temporary files have space now.
    """
    inside = Path(tempfile.gettempdir()) / "any"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            if isinstance(error, FileError):
                raise error
            raise _full(inside, cause) from error
        cause = cause.__cause__
    if isinstance(error, ToolError) and (reason := full(inside.parent)) is not None:
        raise _full(inside, reason) from error


def _full(folder: Path, error: OSError) -> FileError:
    where = Path(error.filename).name if error.filename else "a temporary file"
    advice = "free some, or set TMPDIR to a folder on another disk"
    return FileError(f"{error.strerror} for {where}; {advice}", file=folder.parent)


@lru_cache(maxsize=16)
def _sweep_once(root: str) -> None:
    sweep(Path(root))


def sweep(root: Path | None = None) -> None:
    """Removes the scratch folders of this user whose processes are gone; ``root``: where (default: TMPDIR or /tmp)."""
    place = root or Path(os.environ.get("TMPDIR") or "/tmp")
    _remove(place, _NAME)


@lru_cache(maxsize=4096)
def sweep_beside(folder: Path) -> None:
    """Removes, once a process, files that killed writers left in a folder: ``.NAME.PID-START-WHERE.XXXXXXXX.tmp``."""
    _remove(folder, _BESIDE, folders=False)


@lru_cache(maxsize=4096)
def sweep_built(folder: Path) -> None:
    """Removes, once a process, what killed builds left in a folder of the cache: ``.building-PID-START-WHERE-XXXXXXXX``
    and ``.aside-...``.
    """
    _remove(folder, _BUILT)


def _remove(place: Path, pattern: re.Pattern[str], *, folders: bool = True) -> None:
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            found = pattern.fullmatch(entry.name)
            if found is None or not is_gone(found, Path(entry.path)):
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if folders:
                        shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink()
