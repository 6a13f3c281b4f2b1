"""What every fault is tried with: an undisturbed run to compare with, and what must hold of a command that ended."""

from __future__ import annotations

import math
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.jobs import Job
from tests.faults.processes import Started, fork, kill_family, lost, start
from tests.faults.worlds import PRINTED, World, differences

__all__ = ["Reference", "Tally", "Trial"]

_MADE_AGAIN = "is not used and made again"
_TRACES = re.compile(r"Traceback \(most recent|Exception ignored|Exception in thread|a fault of siliquant itself")
_CODES = (0, 1, 2)
_OTHERWISE = "going on without compiled kernels"  # whose sums have other last bits
_MOST_FOUND = 10


@dataclass
class Tally:
    """What was tried of one fault and command. ends: how often it ended in which way; found: what is wrong, a line
    each.
    """

    cases: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    def ended(self, how: str) -> None:
        """Counts one more that ended so."""
        self.ends[how] = self.ends.get(how, 0) + 1


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: what it wrote and kept, its seconds, and how much it wrote where (bytes by folder)."""

    results: Mapping[str, str]
    kept: frozenset[str]
    seconds: float
    sizes: Mapping[str, int]


@dataclass
class Trial:
    """One command under one fault. count: cases, at most. seconds: after the undisturbed run,
    after which no case begins (until: by time.monotonic).
    patience: seconds that a command may take however short it is; lasting: that what it started may outlive it.
    """

    job: Job
    inputs: Path
    home: Path
    draw: Random
    count: int
    forked: bool = True
    warm: Path | None = None
    patience: float = 400.0
    lasting: float = 15.0
    seconds: float = math.inf
    until: float = math.inf
    tally: Tally = field(default_factory=Tally)
    plain: Reference | None = None
    report: Callable[[str], None] = print

    def goes_on(self) -> bool:
        """Whether there is to be another case."""
        tally = self.tally
        return tally.cases < self.count and len(tally.found) < _MOST_FOUND and time.monotonic() < self.until

    def begin(self) -> None:
        """Cases are counted and timed from now on."""
        self.until = time.monotonic() + self.seconds

    def world(self) -> World:
        """A new one, always of the same name, so that output that names a file is the same."""
        return World(self.job, self.home / "world", self.inputs).make(self.warm)

    def start(self, world: World, more: Mapping[str, str] | None = None, shell: str = "") -> Started:
        """Starts the command; as a process from a shell where it is not forked, or needs one."""
        environment, folder = world.environment(more), world.folder("work")
        if self.forked and not shell and more is None:
            return fork(self.job.main, world.line(), folder, environment, streams=world.place)
        return start(world.command(), folder, environment, streams=world.place, shell=shell)

    def end(self, started: Started, seconds: float = 0.0, *, alone: bool = True) -> int | None:
        """Its exit code. None, and a finding, where it hangs; it is killed then. alone: nothing of it may be left."""
        code = started.wait(self.patience + 10 * seconds)
        if code is None:
            self.wrong("no end")
            kill_family(started)
            started.wait(10)
        if alone:
            self.gone(started)
        return code

    def gone(self, started: Started, what: str = "") -> None:
        """Nothing of a command that ended still runs."""
        for line in lost(started, self.lasting):
            self.wrong(f"{what}{what and ': '}{line}")

    def reference(self) -> Reference:
        """Runs it undisturbed. Raises AssertionError where that fails."""
        world = self.world()
        started = self.start(world)
        code = self.end(started)
        assert code == 0, f"{self.job.name} must succeed undisturbed, and ended with {code}: {world.said()[-2000:]}"
        sizes = {name: _size(world.place / name) for name in ("out", "cache")}
        found = Reference(world.results(), frozenset(world.kept()), started.seconds, sizes)
        self.differ(world.left(), "undisturbed")
        self.begin()
        return found

    def again(self, world: World, reference: Reference, what: str) -> None:
        """Runs it once more, undisturbed: it must end well, with the same results, and nothing may be left."""
        started = self.start(world)
        code = self.end(started, reference.seconds)
        self.finished(world, code, reference, f"again after {what}")

    def finished(self, world: World, code: int | None, reference: Reference, what: str) -> None:
        """What must hold after a run to the end."""
        if code != 0:
            self.wrong(f"{what}: ended with {code}: {world.said()[-600:]}")
            return
        self.same(world, reference, what)
        more = sorted(world.kept() - reference.kept)  # what is done already may need less of the cache
        self.differ([f"cache: {name} is more than there should be" for name in more], what)
        self.differ(world.left(), what)
        self.undamaged(world, what)

    def same(
        self, world: World, reference: Reference, what: str, *, printed: bool = True, silent: bool = False
    ) -> None:
        """Its results are those of the undisturbed run; where it said that it has no kernels, of one without them.
        printed: what it printed is there, too, and compared. silent: it may have none and not say so, as where there
        is no compiler.
        """
        found = world.results()
        plain = self.otherwise(world) or (silent and found != reference.results)
        expected = self.without_kernels(world).results if plain else reference.results
        if not printed:
            found, expected = ({name: each[name] for name in each if name != PRINTED} for each in (found, expected))
        self.differ(differences(found, expected), what)

    def otherwise(self, world: World) -> bool:
        """Whether it said that it works without kernels."""
        return _OTHERWISE in world.said()

    def without_kernels(self, world: World) -> Reference:
        """An undisturbed run without compiled kernels, at the same place; what is there is put back afterwards."""
        if self.plain is None:
            aside = self.home / "aside"
            world.place.rename(aside)
            try:
                other = self.world()
                started = self.start(other, {"SILIQUANT_NATIVE": "0"})
                code = self.end(started)
                assert code == 0, f"{self.job.name} must succeed without kernels, and ended with {code}: {other.said()}"
                self.plain = Reference(other.results(), frozenset(other.kept()), started.seconds, {})
            finally:
                shutil.rmtree(world.place, ignore_errors=True)
                aside.rename(world.place)
        return self.plain

    def undamaged(self, world: World, what: str) -> None:
        """It found nothing in the cache that was not whole."""
        if _MADE_AGAIN in world.said():
            self.wrong(f"{what}: the cache was damaged: {world.said()[-300:]}")

    def refused(self, world: World, code: int | None, what: str, sentence: str) -> None:
        """A command that could not do its work says so in a line, which has ``sentence`` (a regular expression)."""
        said = world.said()
        if code not in _CODES or _TRACES.search(said):
            self.wrong(f"{what}: ended with {code}: {said[-600:]}")
        elif not re.search(sentence, said, re.IGNORECASE):
            self.wrong(f"{what}: ended with {code} and did not say {sentence!r}: {said[-400:]}")

    def silent(self, world: World, what: str) -> None:
        """Nobody saw a traceback."""
        if _TRACES.search(world.said() + world.said("stdout")):
            self.wrong(f"{what}: a traceback: {world.said()[-600:]}")

    def differ(self, lines: Sequence[str], what: str) -> None:
        """Notes the first of some differences."""
        if lines:
            self.wrong(f"{what}: {'; '.join(lines[:4])}")

    def wrong(self, line: str) -> None:
        """Notes what is wrong."""
        self.tally.found.append(line)
        self.report(f"  {self.job.name}: {line}")


def _size(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())
