"""Compiles the kernels once for this machine and loads them; without a compiler there are none, and that is no error.

The kernels are linked to the very OpenMP runtime that torch has loaded, whatever its name: two runtimes would keep two
pools of threads, each spinning on the cores the other needs.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import torch  # loads its OpenMP runtime, which must come first

from siliquant.files import NotTrusted, built, load
from siliquant.inputs import FileError, ToolError
from siliquant.processes import EndedBySignalError, OutOfTimeError, processor, run_program

__all__ = ["COMPILE_FLAGS", "Status", "library", "status", "torch_openmp"]

COMPILE_FLAGS = (
    "-std=gnu11",
    "-O3",
    "-march=native",
    "-fopenmp",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",  # a fused multiply-add rounds once where torch rounds twice
    "-fno-math-errno",
    "-fno-trapping-math",
)
_LINK_FLAGS = ("-shared", "-Wl,--no-undefined")
_SECONDS = 120


@dataclass(frozen=True)
class Status:
    """Whether the kernels run, and what they are or why there are none.

    available: :func:`library` has an answer; reason: why not, one phrase, empty where they run; compiler: the first
    line of its version, empty where none was asked; path: the shared object, None where there is none.
    """

    available: bool
    reason: str
    compiler: str
    path: Path | None


def library() -> ctypes.CDLL | None:
    """The compiled kernels, None where they cannot be had (:func:`status` says why). Compiles at first use; no errors.

    SILIQUANT_NATIVE=0 turns them off. CC chooses the compiler, else cc, gcc or clang is taken.
    """
    return _loaded()[0]


def status() -> Status:
    """What :func:`library` found, for the records of a training run."""
    return _loaded()[1]


def torch_openmp() -> str | None:
    """The path of the OpenMP runtime that torch runs on; None where there is none or the system does not tell.

    Other packages may have brought theirs into the process, so what counts is where torch's own symbol lies.
    """
    try:
        used = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).omp_get_max_threads
    except (OSError, AttributeError):
        return None
    address = ctypes.cast(used, ctypes.c_void_p).value or 0
    return next((path for start, end, path in _mapped() if start <= address < end), None)


def _mapped() -> list[tuple[int, int, str]]:
    """The files in this process's memory: first address, the one past the last, path."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(/.*)$", maps, re.MULTILINE)
    return [(int(start, 16), int(end, 16), path) for start, end, path in found]


def _openmp_runtimes() -> set[str]:
    return {path for _, _, path in _mapped() if re.match(r"lib(gomp|iomp5|omp)\b.*\.so", Path(path).name)}


@cache
def _loaded() -> tuple[ctypes.CDLL | None, Status]:
    compiler = ""
    try:
        if os.environ.get("SILIQUANT_NATIVE") == "0":
            raise _UnavailableError("SILIQUANT_NATIVE=0 turns them off")
        command = _compiler()
        compiler = _output([*command, "--version"]).partition("\n")[0]
        path = _built(command, compiler)
        before = _openmp_runtimes()
        kernels = load(path)
        if before and (added := _openmp_runtimes() - before):
            raise _UnavailableError(f"they would bring an OpenMP runtime of their own: {', '.join(sorted(added))}")
    except (FileError, EndedBySignalError) as error:  # nobody may wonder why training is slow
        print(f"siliquant: going on without compiled kernels, at a fraction of the speed: {error}", file=sys.stderr)
        return None, Status(False, " ".join(str(error).split()), compiler, None)
    except (ToolError, NotTrusted, OSError, ValueError, subprocess.SubprocessError) as error:
        return None, Status(False, " ".join(str(error).split()), compiler, None)
    return kernels, Status(True, "", compiler, path)


class _UnavailableError(ToolError):
    """The reason why there are no kernels."""


def _compiler() -> list[str]:
    chosen = os.environ.get("CC")
    for name in [chosen] if chosen else ["cc", "gcc", "clang"]:
        command = shlex.split(name)
        if command and shutil.which(command[0]):
            return command
    raise _UnavailableError(f"CC={chosen} is no program" if chosen else "there is no C compiler: cc, gcc or clang")


def _built(command: list[str], version: str) -> Path:
    """The shared object in the cache, made where it is missing or is not as it was made."""
    source = resources.files(__package__).joinpath("kernels.c").read_bytes()
    openmp = torch_openmp() or "-fopenmp"  # without one of torch the compiler's own
    flags = [*COMPILE_FLAGS, *_LINK_FLAGS, openmp]
    parts = [source.decode(), *flags, *command, version, torch.__version__, processor()]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def make(folder: Path) -> None:
        (folder / "kernels.c").write_bytes(source)
        _output([*command, *COMPILE_FLAGS, "-c", "kernels.c", "-o", "kernels.o"], folder)
        _output([*command, *_LINK_FLAGS, "kernels.o", openmp, "-lm", "-o", "kernels.so"], folder)
        for name in ("kernels.c", "kernels.o"):
            (folder / name).unlink()

    return built(f"qat-kernels/{key}", make) / "kernels.so"


def _output(command: list[str], folder: Path | None = None) -> str:
    """Runs a compiler, in a folder that takes its temporary files too, and gives what it printed.

    Raises _UnavailableError with its first complaint where it fails.
    """
    env = None if folder is None else {**os.environ, "TMPDIR": "."}
    try:
        done = run_program(command, cwd=folder, env=env, timeout=_SECONDS)
    except OutOfTimeError:
        raise _UnavailableError(f"{command[0]} took more than {_SECONDS} s") from None
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        first = next((line for line in complaint if "error" in line.lower()), complaint[0])
        raise _UnavailableError(f"{command[0]} failed: {first}")
    return done.stdout
