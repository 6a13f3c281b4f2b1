"""A calibration on a Dask cluster whose workers are killed, whose scheduler is lost, or which has another version."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tests.faults.processes import TOKEN, Started
from tests.faults.trial import Reference, Trial
from tests.faults.worlds import ROOT, World

__all__ = ["clusters"]

_CHANGED = "rtl/spec/mac.py"
_DIFFERS = r"generator on the worker \S+ must be \w+, not \w+"
_PATIENCE = 60.0  # seconds until there is a worker
_DASK = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s",
    "DASK_DISTRIBUTED__ADMIN__LOG_FORMAT": "%(message)s",
}


def clusters(trial: Trial) -> None:
    """Workers are killed at drawn moments while nannies start others; the scheduler is killed, and the command is run
    again with another one; a worker has changed generators. Results are those of this machine alone.
    """
    reference = trial.reference()
    cases = (_killed_worker, _killed_worker, _lost_scheduler, _other_version)
    for number in range(4 * trial.count):  # a moment may be too late to kill anything
        if not trial.goes_on():
            break
        case = cases[number % len(cases)]
        if case(trial, reference):
            trial.tally.cases += 1
            trial.tally.ended(_named(case))
    if trial.tally.cases >= len(cases):
        for case in cases:
            if _named(case) not in trial.tally.ends:
                trial.wrong(f"{_named(case)}: it never came to that")


def _named(case: Callable[[Trial, Reference], bool]) -> str:
    return case.__name__.strip("_").replace("_", " ")


def _killed_worker(trial: Trial, reference: Reference) -> bool:
    """Whether one was killed while the command ran."""
    world = trial.world()
    with _cluster(world, nanny=True) as address:
        late = time.monotonic() + _PATIENCE
        while not _workers(world) and time.monotonic() < late:
            time.sleep(0.1)
        started = _start(trial, world, address)
        ended = started.wait(trial.draw.uniform(0, reference.seconds)) is not None
        workers = _workers(world)
        killed = not ended and bool(workers) and _kill(trial.draw.choice(workers))
        code = trial.end(started, 4 * reference.seconds)
        trial.finished(world, code, reference, "a killed worker of the cluster")
    return killed


def _lost_scheduler(trial: Trial, reference: Reference) -> bool:
    """Whether it was killed while the command ran."""
    world = trial.world()
    with _cluster(world, nanny=False) as address:
        started = _start(trial, world, address)
        ended = started.wait(trial.draw.uniform(0, reference.seconds)) is not None
        killed = not ended and _kill(int((world.place / "cluster" / "scheduler").read_text()))
        code = trial.end(started, 4 * reference.seconds)
        if code != 0:
            trial.refused(world, code, "a lost scheduler", re.escape(address))
    _whole(trial, world, reference, "a lost scheduler, with another one")
    return killed


def _other_version(trial: Trial, reference: Reference) -> bool:
    world = trial.world()
    other = world.place / "other"
    for name in ("siliquant", "hwmodel", "rtl", "sim"):
        shutil.copytree(ROOT / name, other / name)
    changed = other / _CHANGED
    changed.write_text(f"{changed.read_text()}\n_OTHER = 1\n")
    own_cache = {"SILIQUANT_CACHE_DIR": str(world.place / "other-cache")}
    with _cluster(world, nanny=False, path=other, more=own_cache) as address:
        code = trial.end(_start(trial, world, address), 4 * reference.seconds)
        trial.refused(world, code, "a worker of another version", _DIFFERS)
        if code != 2:
            trial.wrong(f"a worker of another version: ended with {code}, not 2")
    _whole(trial, world, reference, "workers of another version, with those of this one")
    return True


def _workers(world: World) -> list[int]:
    """Those that nannies have started: their children, which write other names over their command lines."""
    nannies = set(map(int, (world.place / "cluster" / "nannies").read_text().split()))
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((path / "stat").read_bytes().rpartition(b")")[2].split()[1])
            if parent in nannies and b"resource_tracker" not in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return sorted(found)


def _kill(pid: int) -> bool:
    """Whether there was such a process to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _whole(trial: Trial, world: World, reference: Reference, what: str) -> None:
    """Runs it on a cluster that nothing happens to."""
    with _cluster(world, nanny=False) as address:
        code = trial.end(_start(trial, world, address), 4 * reference.seconds)
        trial.finished(world, code, reference, what)


def _start(trial: Trial, world: World, address: str) -> Started:
    """Starts the command on a cluster."""
    words = [word for word in trial.job.words if word not in ("--jobs", "2")]
    job = replace(trial.job, words=(words[0], "--scheduler", address, *words[1:]))
    return trial.start(replace(world, job=job), _DASK)


@contextlib.contextmanager
def _cluster(world: World, *, nanny: bool, path: Path = ROOT, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a scheduler with two workers that import siliquant from ``path``. more: of their environment."""
    folder = world.place / "cluster"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    file = folder / "scheduler.json"
    environment = {
        **world.environment(_DASK),
        "PYTHONPATH": str(path),
        TOKEN: f"{world.place}-cluster",
        "TMPDIR": str(folder),
        **(more or {}),
    }
    dask = [sys.executable, "-m", "dask"]
    alike = ["--scheduler-file", str(file)]
    commands = [[*dask, "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", *alike]]
    worker = [*dask, "worker", *alike, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    commands += [[*worker, "--nanny" if nanny else "--no-nanny"]] * 2
    started = []
    try:
        for command in commands:
            with (folder / f"log{len(started)}").open("wb") as log:
                started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
            while not file.exists() and started[0].poll() is None:
                time.sleep(0.05)
        (folder / "scheduler").write_text(str(started[0].pid))
        (folder / "nannies").write_text(" ".join(str(each.pid) for each in started[1:]))
        yield str(json.loads(file.read_text())["address"])
    finally:
        for each in started:
            each.kill()
            each.wait()
        for pid in _processes(world):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _processes(world: World) -> list[int]:
    """The processes of the cluster."""
    found = []
    token = f"{TOKEN}={world.place}-cluster".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if token in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
    return found
