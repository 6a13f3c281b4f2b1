"""Where siliquant keeps what it may compute again, and how it writes a file so that a kill leaves no half."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder: $SILIQUANT_CACHE_DIR, else $XDG_CACHE_HOME/siliquant, else ~/.cache/siliquant."""
    chosen = os.environ.get("SILIQUANT_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "siliquant"


def write_atomically(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write beside `path` and rename: a reader sees the old file or the whole new one, whoever else writes.

    Parent folders are made.  Without ``sync`` a machine that loses power may leave an empty file: milliseconds are
    saved, for what is made again where it is damaged.  Raises OSError when the place cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with beside.open("xb") as stream:
            stream.write(data)
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
