"""kill -9 at random moments: of the command, of it with all it started, or of one process that works for it."""

from __future__ import annotations

import os
import signal

from tests.faults.processes import Started, kill_family, kill_worker
from tests.faults.trial import Reference, Trial
from tests.faults.worlds import World, differences

__all__ = ["KILLED", "KINDS", "kills"]

KINDS = ("command", "all", "worker")
_CHAIN = 4
"""A run is killed up to so many times in a row, before it may end."""
KILLED = r"\b(kill(ed|s)?|signal|ended|died|lost|terminated|(?-i:SIG[A-Z]{3,}))\b"
"""What a command says that lost a process, in whole words: intended has ended in it."""


def kills(trial: Trial) -> None:
    """Kills ``trial.count`` times, at moments drawn evenly over the time of an undisturbed run. A run that was killed
    is begun again, and perhaps killed again; in the end it must give the same results and leave nothing.
    """
    reference = trial.reference()
    world = trial.world()
    trial.again(world, reference, "nothing")
    while trial.goes_on():
        world, told = trial.world(), []
        for _ in range(trial.draw.randint(1, _CHAIN)):
            told.append(_killed(trial, world, reference))
            if told[-1] is None or not trial.goes_on():
                break
        if told[-1] is not None:
            trial.again(world, reference, ", ".join(filter(None, told)))


def _killed(trial: Trial, world: World, reference: Reference) -> str | None:
    """Runs a command and kills at a moment: what and when. None where it ended well all the same."""
    moment, kind = trial.draw.uniform(0, reference.seconds), trial.draw.choice(KINDS)
    started = trial.start(world)
    if started.wait(moment) is not None:
        trial.finished(world, started.code, reference, "nothing")
        trial.gone(started)
        return None
    told = f"kill of {kind} at {moment:.2f} s"
    trial.tally.cases += 1
    if kind == "worker":
        what = kill_worker(started, trial.draw)
        if what is not None:
            return _without_worker(trial, world, started, reference, f"{told} ({what})")
    trial.tally.ended(kind if kind != "worker" else "command")
    if kind == "all":
        kill_family(started)
    else:
        os.kill(started.pid, signal.SIGKILL)
    started.wait(10)
    trial.gone(started, told)
    return told


def _without_worker(trial: Trial, world: World, started: Started, reference: Reference, told: str) -> str | None:
    """A command that lost a process ends, well or with a sentence that says so."""
    code = trial.end(started, reference.seconds)
    ends = "went on" if code == 0 else "ended by a signal" if code is not None and code < 0 else "said so"
    trial.tally.ended(f"worker, {ends}")
    if code == 0:
        trial.finished(world, code, reference, told)
        return None
    trial.refused(world, code, told, KILLED)
    trial.differ([line for line in differences(world.results(), reference.results) if "differs" in line
                  and "standard output" not in line and trial.job.resume is None], told)  # fmt: skip
    return told
