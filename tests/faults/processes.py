"""Starting a command, finding every process that it started, and ending them without warning."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from types import ModuleType

from siliquant.processes import end_with_parent

__all__ = ["TOKEN", "Started", "family", "fork", "kill_family", "lost", "preload", "start", "workers"]

TOKEN = "SILIQUANT_FAULTS"
"""In the environment of a command and all that it starts: which run they belong to."""
_WATCHER = b"watcher.py"


class Started:
    """A command that runs. token: of its environment."""

    def __init__(self, pid: int, token: str) -> None:
        self.pid, self.token, self.code = pid, token, None
        self.begun = time.monotonic()
        self.seconds = 0.0

    code: int | None

    def wait(self, seconds: float) -> int | None:
        """Its exit code, negative for a signal; None where it has not ended after so long."""
        end = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.seconds = time.monotonic() - self.begun
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                return None
            else:
                time.sleep(0.005)
        return self.code


def start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], *, streams: Path, shell: str = ""
) -> Started:
    """Starts a program. streams: the folder that gets stdout and stderr. shell: what a shell has after it instead."""
    words = ["sh", "-c", f'{{ "$@" {shell}' if "|" in shell else f'exec "$@" {shell}', "sh", *command]
    words = words if shell else list(command)
    with (streams / "stdout").open("wb") as out, (streams / "stderr").open("wb") as err:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
    process.returncode = 0  # it is waited for here
    return Started(process.pid, environment[TOKEN])


def fork(call: str, line: Sequence[str], folder: Path, environment: Mapping[str, str], *, streams: Path) -> Started:
    """Starts "module:function" in a copy of this process, which has all its modules loaded already."""
    pid = os.fork()
    if pid:
        return Started(pid, environment[TOKEN])
    code = 70
    try:
        os.setsid()
        end_with_parent()
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            path = os.devnull if number == 0 else str(streams / name)
            os.dup2(os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        tempfile.tempdir = None
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.modules["__main__"] = ModuleType("__main__")
        sys.argv = ["siliquant", *line]
        code = _called(call)
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter ends
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _called(call: str) -> int:
    module, _, name = call.partition(":")
    try:
        getattr(importlib.import_module(module), name)()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 70
    return 0


def preload(names: Sequence[str]) -> None:
    """Loads modules, where they can be."""
    for name in names:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def family(started: Started) -> dict[int, bytes]:
    """The command line of every process of a command that runs, by number: those that have its token, and theirs."""
    parents, found = {}, {}
    token = f"{TOKEN}={started.token}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (path / "stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] in (b"Z", b"X"):
                continue
            pid = int(path.name)
            parents[pid] = int(fields[1])
            if (
                pid == started.pid
                or int(fields[3]) == started.pid
                or token in (path / "environ").read_bytes().split(b"\0")
            ):
                found[pid] = (path / "cmdline").read_bytes()
    while more := {pid for pid, parent in parents.items() if parent in found} - found.keys():
        found |= dict.fromkeys(more, b"")
    return found


def workers(started: Started) -> list[int]:
    """The processes that work for a command: not itself, and not what waits for its end."""
    found = family(started)
    return sorted(pid for pid, line in found.items() if pid != started.pid and _WATCHER not in line)


def kill_family(started: Started) -> None:
    """Ends a command and all that it started at once, so that none of them can do anything about it."""
    stopped: set[int] = set()
    while more := family(started).keys() - stopped:
        for pid in more:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= more
    for pid in stopped:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def kill_worker(started: Started, draw: Random) -> str | None:
    """Ends one process that works for a command; what it was, None where there is none."""
    found = family(started)
    chosen = [pid for pid, line in sorted(found.items()) if pid != started.pid and _WATCHER not in line]
    if not chosen:
        return None
    pid = draw.choice(chosen)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
    return found[pid].replace(b"\0", b" ").decode(errors="replace")[:100]


def lost(started: Started, seconds: float) -> list[str]:
    """What still runs of a command that ended, so long afterwards; it is ended then."""
    end = time.monotonic() + seconds
    while found := family(started):
        if time.monotonic() > end:
            kill_family(started)
            return [f"process left: {line.replace(bytes(1), b' ').decode(errors='replace')[:120]}"
                    for line in found.values()]  # fmt: skip
        time.sleep(0.05)
    return []
