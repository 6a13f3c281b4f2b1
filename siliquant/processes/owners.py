"""Which process made a temporary thing, in its name, so that a later run can tell whether that process is gone.

A name holds PID-START-WHERE: the process, when it started (clock ticks since the machine did), and eight digits of the
machine and its space of process numbers, as a folder may be shared by several machines and containers.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from functools import cache, lru_cache
from pathlib import Path

__all__ = ["OWNER", "is_gone", "owner"]

OWNER = re.compile(r"(?P<pid>\d{1,10})-(?P<start>\d{1,20})-(?P<where>[0-9a-f]{8})")
"""What :func:`owner` gives, inside a name."""
_FOREIGN_SECONDS = 7 * 86400.0  # after which what another machine made is left over


def owner() -> str:
    """This process as PID-START-WHERE."""
    return _owner(os.getpid())


@lru_cache(maxsize=4)
def _owner(pid: int) -> str:
    return f"{pid}-{_start_of(pid) or 0}-{_where()}"


def is_gone(found: re.Match[str], path: Path) -> bool:
    """Whether the process in the name of ``path``, where OWNER was found, is gone: ended, or its number another one's.

    Of another machine's processes nothing is known: what they made is left over when nobody touched it for a week.
    """
    if found["where"] != _where():
        try:
            return path.lstat().st_mtime < time.time() - _FOREIGN_SECONDS
        except OSError:
            return False
    return _start_of(int(found["pid"])) != int(found["start"])


def _start_of(pid: int) -> int | None:
    """When a process started, in clock ticks; None where there is none, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, ValueError, IndexError):
        return 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        pass
    return 0


@cache
def _where() -> str:
    parts = []
    for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        try:
            parts.append(Path(path).read_text())
        except (OSError, UnicodeDecodeError):
            continue
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append(os.uname().nodename)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
