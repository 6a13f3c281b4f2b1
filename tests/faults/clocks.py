"""A clock that was wrong: files of the future in the cache and the output folder, and a clock that jumps back."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.faults.trial import Reference, Trial
from tests.faults.worlds import World

__all__ = ["clocks", "faketime_library"]

KINDS = ("files of the future", "files of 1970", "a clock that jumps back", "a clock that jumps ahead")
_YEARS = 10


def clocks(trial: Trial) -> None:
    """Runs it where all files of an earlier run are ten years too new or as old as time, and under a clock that jumps
    by days while it runs: same results, no negative times, no hang.
    """
    reference = trial.reference()
    library = faketime_library()
    kinds = KINDS if library is not None else KINDS[:2]
    while trial.goes_on():
        kind = kinds[trial.tally.cases % len(kinds)]
        world = trial.world()
        trial.tally.cases += 1
        trial.tally.ended(kind)
        if "files" in kind:
            _with_times(trial, world, reference, kind, future="future" in kind)
        else:
            assert library is not None
            _jumping(trial, world, reference, kind, library)
        for path in world.out.rglob("*.json*"):
            if '_s": -' in path.read_text(errors="replace") or 'seconds": -' in path.read_text(errors="replace"):
                trial.wrong(f"{kind}: negative times in {path.name}")


def _with_times(trial: Trial, world: World, reference: Reference, kind: str, *, future: bool) -> None:
    """A whole run, all of whose files then have other times; then one of a new output folder beside them."""
    trial.again(world, reference, f"nothing, before {kind}")
    stamp = time.time() + _YEARS * 365 * 86400 if future else 0.0
    for path in (world.place, *world.place.rglob("*")):
        os.utime(path, (stamp, stamp), follow_symlinks=False)
    trial.again(world, reference, f"{kind}, and its own results")
    shutil.rmtree(world.out, ignore_errors=True)
    trial.again(world, reference, f"{kind}, and no results")


def _jumping(trial: Trial, world: World, reference: Reference, kind: str, library: Path) -> None:
    """A run during which the clock of the machine jumps; that which counts seconds since the start goes on."""
    file = world.place / "clock"
    moment = trial.draw.uniform(0, 2 * reference.seconds)
    _set(file, 0)
    more = {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    started = trial.start(world, more)
    if started.wait(moment) is None:
        _set(file, -3 if "back" in kind else 3)
    trial.finished(world, trial.end(started, 3 * reference.seconds), reference, f"{kind} at {moment:.2f} s")


def _set(file: Path, days: int) -> None:
    beside = file.with_name("clock.new")
    beside.write_text(f"{days:+d}d\n")
    beside.replace(file)


def faketime_library() -> Path | None:
    """The library that gives programs another clock; None where it is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None
