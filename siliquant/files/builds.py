"""Folders of built things in the cache: made once for a key, whole or absent, and used only as they were made.

A folder has a record of the sha256 of its files, which is looked at whenever it is used (:func:`built`). Machine code
is loaded from the very bytes that were looked at (:func:`load`): no change of the file afterwards, and no file system
that forbids programs, matters.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from siliquant.processes import owner

from . import cache
from .cache import NotTrusted
from .temporary import lasting, scratch, sweep_beside, sweep_built

__all__ = ["RECORD", "built", "digest_of", "load", "private_copy"]

RECORD = ".record"
"""The file of a built folder that has the sha256 of every other one."""
_KEEP_DAYS = 30


def digest_of(key: object) -> str:
    """24 digits that stand for a key of JSON types."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def built(place: str, make: Callable[[Path], None]) -> Path:
    """The folder ``place`` ("sim/array-0123") of the cache, as ``make`` filled it now or in an earlier run.

    ``make`` gets an empty folder outside the cache, whose files are copied when it is done: a killed or failed run
    leaves nothing that another could take. Processes that ask for the same place at once wait for one of them. What is
    not as it was made, or can be written by others, is made again, and one line on standard error says so. Where the
    cache cannot be written the folder lasts as long as this process.
    """
    home = cache.root()
    folder = home / place
    if _state(folder) is None:
        _touch(folder)
        return folder
    spares = _spares(os.getpid())
    if place in spares:
        return spares[place]
    try:
        cache.private_folder(folder.parent, home)
        lock = _open_lock(folder.with_name(f".{folder.name}.lock"))
    except OSError as error:
        cache.say_not_kept(f"{folder}: {error.strerror or error}")
        with scratch("build") as beside:
            make(beside)
            spares[place] = _spare(beside, folder.name)
        return spares[place]
    with _locked(lock):
        reason = _state(folder)
        if reason is None:
            return folder
        if reason:
            cache.say_made_again(folder, reason)
        with scratch("build") as beside:
            make(beside)
            try:
                _install(beside, folder)
            except OSError as error:
                cache.say_not_kept(f"{folder}: {error.strerror or error}")
                spares[place] = _spare(beside, folder.name)
                return spares[place]
        _remove_old(folder.parent)
    return folder


def private_copy(folder: Path, target: Path) -> Path:
    """A copy of a built folder in ``target``, which must not exist, of the bytes that were looked at.

    Raises NotTrusted where the folder is not as it was made.
    """
    target.mkdir(mode=0o700)
    for name, (content, mode) in _contents(folder).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    return target


def load(path: Path) -> ctypes.CDLL:
    """A shared library of a built folder, loaded once a process. Raises NotTrusted, OSError where it is none."""
    content = _contents(path.parent)[path.name][0]
    return _loaded(hashlib.sha256(content).hexdigest(), path.name, content)


@lru_cache(4096)
def _loaded(digest: str, name: str, content: bytes) -> ctypes.CDLL:
    try:
        number = os.memfd_create(name)
    except (AttributeError, OSError):  # no Linux, or forbidden: a file that nobody else can write
        copy = lasting("library") / f"{digest}-{name}"
        copy.write_bytes(content)
        return ctypes.CDLL(str(copy))
    # It stays open: the loader takes two libraries for one where their paths are equal, and a number that was closed
    # comes again.
    with os.fdopen(os.dup(number), "wb") as stream:
        stream.write(content)
    return ctypes.CDLL(f"/proc/self/fd/{number}")


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a built folder with its mode. Raises NotTrusted; FileNotFoundError where there is no folder."""
    home = _home_of(folder)
    cache.check_folders(folder, home)
    try:
        record = json.loads(cache.unsealed_content(cache.read_trusted(folder / RECORD, home)))
        wanted, place = dict(record["files"]), record["place"]
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        raise NotTrusted("it has no record of what was made") from None
    if place != folder.name:
        raise NotTrusted("it was made in another place")
    found = {}
    for name in _files(folder):
        if name not in wanted:
            raise NotTrusted(f"{name} was not made with it")
        path = folder / name
        content = cache.read_trusted(path, home)
        if hashlib.sha256(content).hexdigest() != wanted[name]:
            raise NotTrusted(f"{name} is damaged")
        found[name] = content, 0o700 if os.access(path, os.X_OK) else 0o600
    if missing := sorted(wanted.keys() - found.keys()):
        raise NotTrusted(f"{missing[0]} is missing")
    return found


def _home_of(folder: Path) -> Path:
    """The cache folder above, or the folder itself where it lies elsewhere."""
    home = cache.root()
    return home if folder.is_relative_to(home) else folder


def _files(folder: Path) -> list[str]:
    names = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path.relative_to(folder)) for path in names if path != folder / RECORD)


def _state(folder: Path) -> str | None:
    """None where the folder can be used, "" where there is none, else why it cannot be used."""
    try:
        _contents(folder)
    except NotTrusted as reason:
        return str(reason)
    except (FileNotFoundError, NotADirectoryError):
        return "" if not os.path.lexists(folder) else "it is no folder of built things"
    except OSError as error:
        return error.strerror or str(error)
    return None


@lru_cache(maxsize=4)
def _spares(_: int) -> dict[str, Path]:
    """The folders of this process that the cache could not take, by their place."""
    return {}


def _spare(made: Path, name: str) -> Path:
    """A copy of what was made that lasts as long as this process."""
    _record(made, name)
    return shutil.copytree(made, lasting("built") / name)


def _record(folder: Path, place: str) -> None:
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _files(folder)}
    content = json.dumps({"place": place, "files": files}, indent=1, sort_keys=True).encode()
    (folder / RECORD).write_bytes(content + cache.seal(content))


def _install(made: Path, folder: Path) -> None:
    """Copies what was made beside its place, and puts it there in one step."""
    sweep_beside(folder.parent)
    sweep_built(folder.parent)
    beside = folder.with_name(f".building-{owner()}-{os.urandom(4).hex()}")
    _record(made, folder.name)
    try:
        beside.mkdir(mode=0o700)
        for name in (*_files(made), RECORD):
            target = beside / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(made / name, target)
            target.chmod(0o700 if os.access(made / name, os.X_OK) else 0o600)
            with target.open("rb") as stream:
                os.fsync(stream.fileno())
        if os.path.lexists(folder):
            _remove(folder)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        cache.remove_folder(path)


def _open_lock(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


@contextmanager
def _locked(lock: int) -> Iterator[None]:
    try:
        with suppress(OSError):  # where a file system has no locks both make it, and one is kept
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _touch(folder: Path) -> None:
    with suppress(OSError):
        os.utime(folder)


def _remove_old(home: Path) -> None:
    """Removes what nobody asked for in a month, and what an older version was killed at."""
    with suppress(OSError):
        for path in list(home.iterdir()):
            if path.suffix == ".lock":  # one that is held would be made a second time
                continue
            with suppress(OSError):  # another process was quicker
                if path.lstat().st_mtime < time.time() - _KEEP_DAYS * 86400:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
