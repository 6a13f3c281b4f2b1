"""Where one command runs: folders of its own for everything it may write, and what is left in them afterwards."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.jobs import Job
from tests.faults.processes import TOKEN

__all__ = ["PRINTED", "ROOT", "World", "differences"]

ROOT = Path(__file__).resolve().parents[2]
PRINTED = "standard output"
"""The name of what a command prints, among its results."""
FOLDERS = ("tmp", "cache", "home", "work")
HALVES = re.compile(r"\.tmp$|^\.(building|aside)-")
"""Names of what is being written."""
_TIMES = re.compile(
    rb'"(date|seconds|samples_per_second|\w+_s|clock_seconds)": ?("[^"\n]*"|[-0-9.e+]+)|\d+(\.\d+)? s\b'
    rb"|\b(?:20\d\d-\d\d-\d\d)(T[\d:.+-]+)?"
)
"""What of results and output says when, and how long it took."""
_REASON = re.compile(rb'("kernels": ?"torch), (?:[^"\\\n]|\\.)*')
"""Why there are no compiled kernels: they are turned off in the run to compare with."""
_PASSED = ("SILIQUANT_PDK_DIR", "LANG", "MPLCONFIGDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class World:
    """A command in folders of its own. inputs: a folder that is only read."""

    job: Job
    place: Path
    inputs: Path

    @property
    def out(self) -> Path:
        """Its output folder; the command makes it."""
        return self.place / "out"

    def folder(self, name: str) -> Path:
        """One of FOLDERS."""
        return self.place / name

    def make(self, warm: Path | None = None) -> World:
        """Makes its folders anew. warm: a cache, of which it gets what the job names."""
        shutil.rmtree(self.place, ignore_errors=True)
        for name in FOLDERS:
            self.folder(name).mkdir(parents=True, mode=0o700)
        for name in self.job.warm if warm is not None else ():
            shutil.copytree(warm / name, self.folder("cache") / name)  # type: ignore[operator]
        return self

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Of its command."""
        return {
            **{name: os.environ[name] for name in _PASSED if name in os.environ},
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(self.folder("tmp")),
            "HOME": str(self.folder("home")),
            "SILIQUANT_CACHE_DIR": str(self.folder("cache")),
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
            TOKEN: str(self.place),
            **(more or {}),
        }

    def line(self) -> list[str]:
        """Its words."""
        return self.job.line(self.out, self.inputs)

    def command(self, python: str = sys.executable) -> list[str]:
        """As a process of its own takes it."""
        module = self.job.main.partition(":")[0].removesuffix(".main")
        return [python, "-m", module, *self.line()]

    def results(self) -> dict[str, str]:
        """What it wrote, and what it printed where that is a result, without times: sha256 by file. Logs and notes of
        the steps of a demonstration are none: they say how fast each was, and what was there before.
        """
        files = [path for path in _files(self.out) if path.relative_to(self.out).parts[0] not in ("logs", "steps")]
        found = {str(path.relative_to(self.out)): _content(path) for path in files}
        return {**found, PRINTED: _content(self.place / "stdout")} if self.job.printed else found

    def kept(self) -> set[str]:
        """The files of its cache."""
        home = self.folder("cache")
        return {str(path.relative_to(home)) for path in _files(home)}

    def left(self) -> list[str]:
        """What no run should leave: anything but results and the cache, and files that were begun."""
        found = [f"{path.relative_to(self.place)} is left" for name in ("tmp", "home", "work")
                 for path in sorted(self.folder(name).iterdir()) if not _is_trial(path)]  # fmt: skip
        halves = [path for name in ("out", "cache") for path in (self.place / name).rglob("*")]
        return found + [f"{path.relative_to(self.place)} is left" for path in halves if HALVES.search(path.name)]

    def said(self, stream: str = "stderr") -> str:
        """What the command wrote to a standard stream."""
        path = self.place / stream
        return path.read_text(errors="replace") if path.exists() else ""


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    """One line each of what is missing, more, or differs."""
    lines = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    lines += [f"{name} is more than there should be" for name in sorted(found.keys() - expected.keys())]
    return lines + [f"{name} differs" for name in sorted(expected) if found.get(name, expected[name]) != expected[name]]


def _is_trial(path: Path) -> bool:
    """Whether it is the file by which Python finds out whether a folder for temporary files can be written: it writes
    four bytes and removes it, and a kill may fall between.
    """
    return bool(re.fullmatch(r"[a-z0-9_]{8}", path.name)) and path.is_file() and path.read_bytes() in (b"", b"blat")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def _content(path: Path) -> str:
    """sha256 of a file without its times."""
    data = path.read_bytes() if path.exists() else b""
    if path.name == "metrics.csv":
        data = _without_times(data)
    elif path.suffix == ".pt":
        data = _tensors(data)
    elif path.suffix in ("", ".json", ".jsonl", ".html", ".csv", ".md", ".log"):
        data = _REASON.sub(rb"\1", _TIMES.sub(b"T", data))
    return hashlib.sha256(data).hexdigest()


def _tensors(checkpoint: bytes) -> bytes:
    """All tensors of a checkpoint of PyTorch. What lies beside them, which has times, is in the tables of metrics."""
    with zipfile.ZipFile(io.BytesIO(checkpoint)) as archive:
        names = [name for name in archive.namelist() if "/data/" in name]
        return b"".join(name.encode() + archive.read(name) for name in sorted(names))


def _without_times(table: bytes) -> bytes:
    """A table of metrics without the columns of seconds and of samples a second."""
    lines = [line.split(b",") for line in table.splitlines()]
    drop = {at for at, name in enumerate(lines[0]) if name in (b"seconds", b"samples_per_second")}
    return b"\n".join(b",".join(cell for at, cell in enumerate(line) if at not in drop) for line in lines)
