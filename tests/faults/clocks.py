"""A clock that was wrong: files of the future in the cache and the output folder, and a clock that jumps back."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.faults.trial import Reference, Trial
from tests.faults.worlds import World

__all__ = ["clock_library", "clocks"]

KINDS = ("files of the future", "files of 1970", "a clock that jumps back", "a clock that jumps ahead")
_YEARS = 10
_FILE = "CLOCK_FILE"
_LIBRARY = f'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long shift(void) {{
    const char *name = getenv("{_FILE}");
    FILE *file = name ? fopen(name, "r") : NULL;
    long seconds = 0;
    if (file) {{
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }}
    return seconds;
}}
int clock_gettime(clockid_t clock, struct timespec *now) {{
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return result;
}}
int gettimeofday(struct timeval *now, void *zone) {{
    struct timespec found;
    int result = clock_gettime(CLOCK_REALTIME, &found);
    if (!result) *now = (struct timeval){{found.tv_sec, found.tv_nsec / 1000}};
    return result;
}}
time_t time(time_t *now) {{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}}
'''
"""Shifts the clock of the day by the seconds in a file, and leaves the one that counts from the start alone."""


def clocks(trial: Trial) -> None:
    """Runs it where all files of an earlier run are ten years too new or as old as time, and under a clock that jumps
    by days while it runs: same results, no negative times, no hang.
    """
    reference = trial.reference()
    library = clock_library(trial.home)
    while trial.goes_on():
        kind = KINDS[trial.tally.cases % len(KINDS)]
        world = trial.world()
        trial.tally.cases += 1
        trial.tally.ended(kind)
        if "files" in kind:
            _with_times(trial, world, reference, kind, future="future" in kind)
        else:
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
    more = {"LD_PRELOAD": str(library), _FILE: str(file)}
    started = trial.start(world, more)
    if started.wait(moment) is None:
        _set(file, -3 if "back" in kind else 3)
    trial.finished(world, trial.end(started, 3 * reference.seconds), reference, f"{kind} at {moment:.2f} s")


def _set(file: Path, days: int) -> None:
    beside = file.with_name("clock.new")
    beside.write_text(f"{days * 86400}\n")
    beside.replace(file)


def clock_library(folder: Path) -> Path:
    """The library that gives programs another clock, built in ``folder``. (libfaketime makes every time.sleep of Python
    3.11 and later fail: it does not know a sleep to a moment of the clock that counts from the start.)
    """
    source, library = folder / "clock.c", folder / "clock.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source.write_text(_LIBRARY)
        subprocess.run(
            ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True, capture_output=True
        )
    return library
