"""The user's cache: what was computed before is taken again only where nobody else can have changed it.

A file is used when it is a regular file with one name, belongs to this user, cannot be written by group or others, nor
can the folders above it up to the cache folder, and has the content that was kept: a small file ends with a line of its
sha256 (:func:`keep`, :func:`kept`), a folder of built things has a record of theirs (:mod:`siliquant.files.builds`).
All else counts as missing and is made again, and one line on standard error says so. Where nothing can be kept,
everything goes on without, and one line says that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from siliquant.inputs import SiliquantError, printable
from siliquant.processes import owner

from .temporary import lasting, sweep_beside

__all__ = [
    "NotTrusted",
    "cache_dir",
    "keep",
    "kept",
    "kept_file",
    "kept_json",
    "read_trusted",
    "root",
    "say_made_again",
    "say_not_kept",
]

_SEAL = re.compile(rb"\n# sha256 ([0-9a-f]{64})\n\Z")
_SEAL_BYTES = 75
# For this process and those it starts: one line is enough, and what they find they find once.
_SAID = "SILIQUANT_CACHE_SAID"
_SPARE = "SILIQUANT_CACHE_SPARE"
_OURS = re.compile(r"rows|features|liberty|proofs|mutants|agreements|gates|sim|source|packaged|qat-kernels|mnist5k-.*")
_HOMELESS = Path("/nonexistent/.cache/siliquant")


class NotTrusted(SiliquantError):  # noqa: N818 (it says what is known of the file)
    """Why a file or folder in the cache is not used, as a phrase."""


def cache_dir() -> Path:
    """Where the cache is to be: $SILIQUANT_CACHE_DIR, else $XDG_CACHE_HOME/siliquant, else ~/.cache/siliquant.

    It may be a folder that cannot be made: below /nonexistent for a user without a home folder.
    """
    chosen = os.environ.get("SILIQUANT_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "siliquant"
    try:
        return Path.home().absolute() / ".cache" / "siliquant"
    except RuntimeError:
        return _HOMELESS


def root() -> Path:
    """The cache folder, made, for this user alone; where that cannot be, a folder that lasts as long as this process,
    and one line on standard error says why.
    """
    wanted = cache_dir()
    found = _ready(wanted)
    if isinstance(found, Path):
        return found
    say_not_kept(found)
    return _session()


@lru_cache(maxsize=64)
def _ready(folder: Path) -> Path | str:
    """A cache folder as it is to be used, or the reason why not."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        real = folder.resolve(strict=True)
        about = real.stat()
        if about.st_uid != os.geteuid():
            return f"{real} belongs to another user"
        if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            if about.st_mode & stat.S_ISVTX or not _is_ours(real):
                return f"others may write to {real}"
            real.chmod(0o700)
        if not os.access(real, os.R_OK | os.W_OK | os.X_OK) or os.statvfs(real).f_flag & os.ST_RDONLY:
            return f"{real} cannot be written"
    except (OSError, RuntimeError, ValueError) as error:
        return f"{folder}: {getattr(error, 'strerror', None) or error}"
    return real


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds what a cache does and nothing else, so that it may be made private."""
    names = [entry.name for entry in folder.iterdir() if not entry.name.endswith((".tmp", ".lock"))]
    return bool(names) and all(_OURS.fullmatch(name) for name in names)


def _session() -> Path:
    """A folder of this process and those it starts, in place of the cache."""
    spare = os.environ.get(_SPARE)
    found = _ready(Path(spare)) if spare else None
    if not isinstance(found, Path):
        found = lasting("cache")
        os.environ[_SPARE] = str(found)
    return found


def keep(path: Path, content: str | bytes, home: Path, *, sync: bool = True) -> bool:
    """Keeps some bytes in a file of the cache ``home``, sealed; whether that was possible. Where not, one line says so.

    Two processes may write the same file: a reader sees one of both, whole. Without ``sync`` a machine that loses power
    may lose it: milliseconds are saved, for what is soon made again.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        write_private(path, data + seal(data), home, sync=sync)
    except OSError as error:
        say_not_kept(f"{path}: {error.strerror or error}")
        return False
    return True


def kept(path: Path, home: Path, *, unsealed: bool = False) -> bytes | None:
    """What :func:`keep` wrote, without its seal; None where there is nothing, or nothing to be trusted.

    unsealed: content without a seal is given too; the caller finds out what is damaged.
    """
    try:
        content = read_trusted(path, home)
        return content if unsealed and not _SEAL.search(content) else unsealed_content(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        say_made_again(path, error.strerror or str(error))
    except NotTrusted as reason:
        say_made_again(path, str(reason))
    return None


def kept_json(path: Path, home: Path, fits: Callable[[Any], bool]) -> Any:
    """What :func:`keep` wrote, as JSON; None where there is nothing, or nothing to be trusted that ``fits``: an earlier
    version may have kept other fields.
    """
    content = kept(path, home)
    if content is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(content)
        if fits(found):
            return found
    say_made_again(path, "it is of another version")
    return None


def kept_file(path: Path, content: bytes, home: Path) -> Path:
    """A file with that content for other programs to read: in the cache, or where that cannot be, in a folder of this
    process.
    """
    try:
        write_private(path, content, home)
        return path
    except OSError as error:
        say_not_kept(f"{path}: {error.strerror or error}")
        spare = _session() / path.name
        spare.write_bytes(content)
        return spare


def seal(data: bytes) -> bytes:
    """The line that ends a file of that content."""
    return f"\n# sha256 {hashlib.sha256(data).hexdigest()}\n".encode()


def unsealed_content(content: bytes) -> bytes:
    """The content of a sealed file. Raises NotTrusted where the seal is missing or of another content."""
    data = content[:-_SEAL_BYTES]
    if b"\n# sha256 " not in content[-_SEAL_BYTES:]:
        raise NotTrusted("it is damaged, or of an older version")
    if not _SEAL.search(content[-_SEAL_BYTES:]) or not content.endswith(seal(data)):
        raise NotTrusted("it is damaged")
    return data


def read_trusted(path: Path, home: Path) -> bytes:
    """The bytes of a file that only this user can have written. Raises OSError, and NotTrusted with the reason."""
    check_folders(path.parent, home)
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if path.is_symlink():
            raise NotTrusted("it is a link") from None
        raise
    with os.fdopen(number, "rb") as stream:
        about = os.fstat(stream.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise NotTrusted("it is no regular file")
        if about.st_nlink > 1:
            raise NotTrusted("it has another name")
        _check_mode(about)
        return stream.read()


def check_folders(folder: Path, home: Path) -> None:
    """Raises NotTrusted where a folder from ``folder`` up to ``home`` is a link or may be changed by others."""
    for each in (folder, *folder.parents):
        about = each.stat() if each == home else each.lstat()
        if not stat.S_ISDIR(about.st_mode):
            raise NotTrusted(f"{each.name} is no folder")
        try:
            _check_mode(about)
        except NotTrusted as reason:
            raise NotTrusted(str(reason).replace("it ", f"the folder {each.name} ", 1)) from None
        if each == home:
            return


def _check_mode(about: os.stat_result) -> None:
    if about.st_uid != os.geteuid():
        raise NotTrusted("it belongs to another user")
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise NotTrusted("it can be written by others")


def write_private(path: Path, data: bytes, home: Path, *, sync: bool = True) -> None:
    """Writes a file of the cache whole, for this user alone. Raises OSError."""
    private_folder(path.parent, home)
    sweep_beside(path.parent)
    beside = path.with_name(f".{path.name[:40]}.{owner()}.{os.urandom(4).hex()}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            stream.write(data)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def private_folder(folder: Path, home: Path) -> None:
    """Makes a folder of the cache, and those above it up to ``home``, for this user alone; what is in the way, a link
    or a folder that others may write, is set aside. Raises OSError.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in reversed([one for one in (folder, *folder.parents) if one != home and one.is_relative_to(home)]):
        try:
            check_folders(each, home)
        except NotTrusted:
            set_aside(each)
        except FileNotFoundError:
            pass
        else:
            continue
        with contextlib.suppress(FileExistsError):  # another process was quicker
            each.mkdir(mode=0o700)


def set_aside(path: Path) -> None:
    """Removes what is not to be trusted. A folder of this user that others may write stays and becomes private: what
    is in it is looked at one by one. Raises OSError.
    """
    about = path.lstat()
    if stat.S_ISDIR(about.st_mode):
        if about.st_uid == os.geteuid():
            path.chmod(0o700)
            return
        path.rename(path.with_name(f".aside-{owner()}-{os.urandom(4).hex()}"))
        return
    path.unlink()


def remove_folder(path: Path) -> None:
    """Removes a folder of the cache: its name is free at once, whatever is in it. Raises OSError."""
    aside = path.with_name(f".aside-{owner()}-{os.urandom(4).hex()}")
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def say_made_again(path: Path, reason: str) -> None:
    """One line: what is in the cache is not used, and why."""
    _say(f"siliquant: {path} is not used and made again: {reason}")


def say_not_kept(reason: str) -> None:
    """One line, once in this process and those it starts: the cache is gone on without."""
    if os.environ.get(_SAID):
        return
    os.environ[_SAID] = "1"
    _say(f"siliquant: going on without a cache ({reason}); SILIQUANT_CACHE_DIR names a folder for it")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(printable(text), file=sys.stderr)
