"""Runs every fault on every command, keeps each outcome as it is there, and makes the record of all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

from siliquant.files import write_atomically
from siliquant.inputs import InputError
from siliquant.processes import end_with_parent
from tests.faults.clocks import clocks
from tests.faults.clusters import clusters
from tests.faults.disks import disks, may_mount
from tests.faults.jobs import JOBS, Job, write_network
from tests.faults.kills import kills
from tests.faults.memory import memory
from tests.faults.processes import fork, preload
from tests.faults.streams import streams
from tests.faults.tools import tools
from tests.faults.trial import Trial
from tests.faults.worlds import World
from tests.faults.writers import writers

__all__ = ["FAULTS", "FORKED", "campaign", "known_outcomes"]

FAULTS: Mapping[str, Callable[[Trial], None]] = {
    "kill": kills, "disk": disks, "writers": writers, "clock": clocks, "streams": streams, "memory": memory,
    "tools": tools, "cluster": clusters,
}  # fmt: skip
"""What is done to each command, by name."""
FORKED = frozenset({"kill", "disk", "writers"})
"""Faults in which commands are copies of a process that has loaded their modules: then all their time is work."""


def campaign(
    seed: int, count: int, seconds: float, only: Sequence[str], faults: Sequence[str], out: Path, *, fresh: bool = False
) -> dict[str, Any]:
    """The outcome of each fault and command, and prints a line each; what is kept in ``out`` is not done again."""
    named = {job.name: job for job in JOBS}
    if unknown := [name for name in (*only, *faults) if name not in named and name not in FAULTS]:
        raise InputError(f"commands are {', '.join(named)}, and faults {', '.join(FAULTS)}; {unknown[0]!r} is neither")
    jobs = [named[name] for name in only] or list(JOBS)
    found: dict[str, Any] = {}
    # Not a TemporaryDirectory: copies of this process would remove it as they end.
    home = Path(tempfile.mkdtemp(prefix="siliquant-faults-")).resolve()
    try:
        for job in jobs:
            for fault in faults:
                if not _applies(fault, job, home):
                    continue
                kept = out / f"{fault}-{job.name}.json"
                if kept.exists() and not fresh and (known := json.loads(kept.read_text()))["seed"] == seed:
                    found[f"{fault} {job.name}"] = known
                    continue
                inputs = _inputs(out / "inputs", job)
                outcome = _tried(job, fault, seed, count, seconds, inputs, home / "trial")
                known = {"fault": fault, "command": job.name, "seed": seed, **outcome}
                write_atomically(kept, json.dumps(known, indent=1) + "\n")
                found[f"{fault} {job.name}"] = known
                ends = ", ".join(f"{count} {end}" for end, count in outcome["ends"].items())
                print(f"{fault} {job.name}: {outcome['cases']} cases, {len(outcome['found'])} found, "
                      f"{outcome['seconds']:.0f} s ({ends})", flush=True)  # fmt: skip
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return found


def known_outcomes(out: Path) -> list[dict[str, Any]]:
    """All that is kept in ``out``, in the order of commands and faults."""
    order = [(job.name, fault) for job in JOBS for fault in FAULTS]
    found = [json.loads(path.read_text()) for path in out.glob("*-*.json")]
    return sorted(found, key=lambda each: order.index((each["command"], each["fault"])))


def _applies(fault: str, job: Job, home: Path) -> bool:
    """Whether a fault can happen to a command here: disks want a user who may make them."""
    return (fault != "cluster" or job.name == "calibrate") and (fault != "disk" or may_mount(home / "disk"))


def _tried(job: Job, fault: str, seed: int, count: int, seconds: float, inputs: Path, home: Path) -> dict[str, Any]:
    """The tally of one, made in a process of its own, which loads what the command does."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    begun = time.monotonic()
    path = home / "tally.json"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            end_with_parent()
            draw = Random(f"{seed} {fault} {job.name}")
            trial = Trial(
                job, inputs, home, draw, count, forked=fault in FORKED, warm=inputs / "cache", seconds=seconds
            )
            if trial.forked:
                os.environ["OMP_NUM_THREADS"] = "1"  # read when libraries are loaded
                _preload(trial)
            FAULTS[fault](trial)
            path.write_text(json.dumps(asdict(trial.tally)))
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    try:
        os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    if not path.exists():
        raise InputError(f"{fault} of {job.name} could not be tried: see above")
    tally: dict[str, Any] = json.loads(path.read_text())
    return {**tally, "seconds": round(time.monotonic() - begun, 1)}


def _preload(trial: Trial) -> None:
    """Loads the modules that a run of the command has loaded in the end."""
    world = trial.world()
    names = world.place / "modules.json"
    module, _, function = trial.job.main.partition(":")
    _LISTED.update(call=(module, function), names=names)
    started = fork("tests.faults.campaign:_listed", world.line(), world.folder("work"), world.environment(),
                   streams=world.place)  # fmt: skip
    code = started.wait(600)
    assert code == 0, f"{trial.job.name} must succeed, and ended with {code}: {world.said()[-2000:]}"
    preload(json.loads(names.read_text()))


_LISTED: dict[str, Any] = {}


def _listed() -> None:
    """Runs a command and writes which modules are loaded then."""
    module, function = _LISTED["call"]
    try:
        getattr(__import__(module, fromlist=["x"]), function)()
    finally:
        _LISTED["names"].write_text(json.dumps([name for name in sys.modules if name != "__main__"]))


def _inputs(folder: Path, wanted: Job) -> Path:
    """The folder of what a job reads: a network, a run of it, its integers; and a cache that was used."""
    folder = folder.resolve()
    if not wanted.warm and not any("INPUTS" in word for word in wanted.words):
        return folder
    if not (folder / "network").exists():
        write_network(folder / "network")
    named = {job.name: job for job in JOBS}
    for name, target in (("train", "run"), ("export", "integers"), *((("report", "report"),) if wanted.warm else ())):
        if (folder / target).exists():
            continue
        job = replace(named[name], warm=())
        world = World(job, folder / "made", folder).make()
        code = Trial(job, folder, folder, Random(0), 0, forked=False).start(world).wait(600)
        assert code == 0, world.said()
        shutil.copytree(world.folder("cache"), folder / "cache", dirs_exist_ok=True)
        world.out.rename(folder / target)
    return folder
