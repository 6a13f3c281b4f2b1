"""How every other program is started: in a process group of its own, and so that nothing of it outlives this process.

A program may start others (make its compilers, Yosys its ABC), and what ends this process may be ``kill -9``, after
which it can do nothing. So every program gets this process's mark in its environment, which its children inherit, and
a small process waits for the end of this one, then kills whatever has the mark and removes what it left in the folder
for temporary files (:mod:`siliquant.processes.watcher`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from siliquant.inputs import PackageMissing, ToolError, missing_package, no_package

from .owners import owner
from .watcher import MARK

__all__ = [
    "TEMPORARY_HERE",
    "EndedBySignalError",
    "OutOfTimeError",
    "cores",
    "end_with_parent",
    "ended_by_signal",
    "environment",
    "kill_program",
    "mark",
    "run_program",
    "start_program",
]

TEMPORARY_HERE: Mapping[str, str] = {"TMPDIR": ".", "TMP": ".", "TEMP": "."}
"""For the environment of a program whose temporary files shall lie in its working folder: no blank or quote of a path
reaches the shells that some start, and what they leave goes with the folder."""
_WATCHER = Path(__file__).with_name("watcher.py")
_NO_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'$", re.MULTILINE)
_KILLED_INSIDE = re.compile(
    r"^.*(?:Killed signal terminated program|terminated with signal \d+|unable to execute command: Killed|"
    r"\*\*\* \[.*\] (?:Killed|Error 137)).*$",
    re.MULTILINE,
)
"""What gcc, its linker, clang and make say where a program was killed that they had started."""
_SHADOWS = Path(__file__).resolve().with_name("shadows.py")


class EndedBySignalError(ToolError):
    """A program did not end by itself: it was killed, as a machine does that has no memory left, or it crashed."""


class OutOfTimeError(ToolError):
    """A program took longer than it may."""


def cores() -> int:
    """The processor cores that this process may use; all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_program(
    command: Sequence[str | Path],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    **options: Any,
) -> subprocess.Popen[str]:
    """Starts a program that ends with this process; arguments and errors as of subprocess.Popen, in text.

    Where output of the program is no longer wanted, end it with :func:`kill_program`.
    """
    with Path(os.devnull).open("rb") as nothing:  # subprocess opens it for writing too, which some machines forbid
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=environment(env),
            stdin=nothing if stdin == subprocess.DEVNULL else stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            errors="replace",
            start_new_session=True,
            **options,
        )


def run_program(
    command: Sequence[str | Path],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] | None = subprocess.DEVNULL,
    stdout: int | IO[Any] | None = subprocess.PIPE,
    stderr: int | IO[Any] | None = subprocess.PIPE,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; when that takes longer than ``timeout`` seconds, or this process is interrupted, it is
    killed with all of its process group. What it started in a session of its own ends with this process.

    Raises OSError, OutOfTimeError, and EndedBySignalError where it was killed or crashed, or says so of a program that
    it had started: what it left is no answer then; PackageMissing where a module of ours lacks one.
    """
    with start_program(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr) as process:
        try:
            said, complaints = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            kill_program(process)
            raise OutOfTimeError(f"{command[0]} did not finish in {error.timeout:g} s") from None
        except BaseException:
            kill_program(process)
            raise
    if process.returncode < 0:
        raise EndedBySignalError(
            _how_it_ended(command, process.returncode, (said if stderr == subprocess.STDOUT else complaints) or "")
        )
    inside = _KILLED_INSIDE.search(f"{complaints or ''}\n{said or ''}") if process.returncode else None
    if inside is not None:
        raise EndedBySignalError(f"{_named(command)} failed: {inside[0].strip()[-200:]}")
    missing = _NO_MODULE.search(complaints or said or "") if process.returncode else None
    if missing is not None and str(_SHADOWS) in map(str, command):
        package = missing_package(ModuleNotFoundError(name=missing[1]))
        if package is not None:
            raise PackageMissing(no_package(package))
    return subprocess.CompletedProcess(list(command), process.returncode, said, complaints)


def _named(command: Sequence[str | Path]) -> str:
    """A program as an error names it; a module of ours that Python runs by its name."""
    if Path(command[0]).name.startswith("python") and str(_SHADOWS) in map(str, command):
        return str(command[list(map(str, command)).index(str(_SHADOWS)) + 1])
    return Path(command[0]).name


def ended_by_signal(returncode: int) -> str:
    """How a program ended that a signal did end, as "was killed (SIGKILL)"; empty where none did."""
    if returncode >= 0:
        return ""
    number = -returncode
    name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
    return f"was killed ({name}), as when no memory is left" if number == signal.SIGKILL else f"crashed ({name})"


def _how_it_ended(command: Sequence[str | Path], returncode: int, said: str) -> str:
    how = ended_by_signal(returncode)
    last = next((line.strip()[-200:] for line in reversed(said.splitlines()) if line.strip()), "")
    return f"{_named(command)} {how}{last and ': '}{last}"


def kill_program(process: subprocess.Popen[str]) -> None:
    """Ends a program and all of its process group, at once. What it started in a session of its own is left to the
    watcher, which ends it with this process; where the program is one of this package, with the program.
    """
    if process.returncode is None:  # else the number may be another's by now
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """``env`` (default: that of this process) with the mark."""
    return {**(os.environ if env is None else env), **mark()}


def mark() -> dict[str, str]:
    """The mark, for the environment of a program that a library starts for this process."""
    _watch()
    return {MARK: owner()}


def end_with_parent(_: int = 0) -> None:
    """In a process that was forked to work for another one: has Linux kill it when that one ends, however it does."""
    if sys.platform.startswith("linux"):
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGKILL))


class _Watch:
    """The end of the pipe that the watcher waits on; nobody else has it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pipe: int | None = None

    def forget(self) -> None:
        """In a forked child: the watcher must see the end of the parent, and the child needs one of its own."""
        if self.pipe is not None:
            os.close(self.pipe)
        self.lock, self.pipe = threading.Lock(), None


_WATCH = _Watch()
os.register_at_fork(after_in_child=_WATCH.forget)


def _temporary() -> str:
    """The folder for temporary files; an empty text where none can be written."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return ""


def _watch() -> None:
    """Starts the watcher, once a process; where none can be started programs go on without."""
    with _WATCH.lock:
        if _WATCH.pipe is not None:
            return
        reading, writing = os.pipe()
        try:
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WATCHER), owner(), _temporary()],
                stdin=reading,
                stdout=reading,  # it says nothing
                stderr=reading,
                cwd="/",
                env={name: value for name, value in os.environ.items() if name != MARK},  # another's watcher spares it
                start_new_session=True,
            ).returncode = 0  # it is never waited for: it outlives this process by some moments
        except OSError:
            os.close(writing)
            writing = -1
        finally:
            os.close(reading)
        _WATCH.pipe = None if writing < 0 else writing
