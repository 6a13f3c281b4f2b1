"""Synthesis: Verilog to the smallest netlist of library cells that meets the clock.

Every design takes the same list of recipes (hwmodel.synthesis.recipes), each in a fresh Yosys process; OpenSTA
times every result, and the smallest that meets the clock is kept.  The same input gives the same
netlist.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from hwmodel.library import Library
from siliquant.files import scratch
from siliquant.inputs import InputError, positive_number, short
from siliquant.processes import cores

from .hybrid import Plan, Step, follow
from .mapping import elaborate, map_recipe, modules, name_netlist, netlist_area
from .recipes import AREA_SCRIPTS, SCREENED, SIZED, UNSCREENED, Recipe, path_start, rounds
from .selection import Netlist, select
from .sizing import apply, meet_clock
from .sta import OpenSta, Timing, ToolMissing, find_opensta

_PROMISING = 1.5  # of the period: what the fastest of the smallest netlists may take for faster ones to be tried
_SCREENED_ROUNDS = 2  # of recipes: without gates alone
_SIZED_AGAIN = 4  # netlists of a hybrid path
_STEPS_THAT_MEET = 3  # of a hybrid path: a faster netlist may be smaller


@dataclass(frozen=True)
class Candidate:
    """One recipe's result: its area and, where OpenSTA is installed, its minimum period."""

    recipe: str
    area_um2: float
    minimum_period_ns: float | None


@dataclass(frozen=True)
class Mapped:
    """A mapped netlist with what power needs of it.

    verilog: the netlist; netlist: the same as Yosys JSON, with names as OpenSTA sees them.
    timing: with slews and loads; None without OpenSTA.  spef: the wires it was timed with; None where those
    were the library's wire load, or none.
    """

    top: str
    verilog: str
    netlist: str
    timing: Timing | None
    spef: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Synthesis(Mapped):
    """The netlist kept, and what it was chosen from.  cells: cell name to count."""

    area_um2: float
    cells: Mapping[str, int]
    recipe: str
    meets_clock: bool | None
    candidates: tuple[Candidate, ...]


def read_back(verilog: str, top: str, library: Library, clock_mhz: float, *, clock: str = "clk") -> Mapped:
    """A mapped netlist that was kept, timed again.  Raises ValueError, SynthesisError, TimingError."""
    period_ns = 1000.0 / positive_number("clock_mhz", clock_mhz)
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(scratch("netlist")) / "mapped.v"
        path.write_text(verilog)
        netlist = name_netlist(top, path, library).read_text()
        opensta = _open(stack, library)
        timing = None
        if opensta is not None:
            opensta.load(path, top, period_ns, clock)
            timing = opensta.timing(details=True)
        return Mapped(top, verilog, netlist, timing)


def synthesise(
    verilog: str,
    top: str,
    library: Library,
    clock_mhz: float = 500.0,
    *,
    effort: str = "normal",
    jobs: int | None = None,
    recipe: Recipe | None = None,
    screen: bool = False,
    clock: str = "clk",
    progress: Callable[[str], None] | None = None,
) -> Synthesis:
    """Synthesise one design and keep its smallest netlist that meets the clock; else one nearly as fast as any.

    verilog: the whole source; top: its top module; clock: the name of the clock port. jobs: recipes worked on at a time
    (default: the processors). recipe: use only this one. screen: give up on a clock that the smallest netlists are far
    from, and leave gates alone out; the recipe of a result that misses the clock then ends in SCREENED where that cut
    the search short; without screen, that of what such a search would not have found ends in UNSCREENED. progress is
    called with each recipe's name when it is done. Without OpenSTA the smallest netlist of the area recipes is kept and
    timing is None. Raises ValueError, SynthesisError.
    """
    with Workspace(verilog, top, library, jobs=jobs, clock=clock, progress=progress) as workspace:
        return workspace.synthesise(clock_mhz, effort=effort, recipe=recipe, screen=screen)


class Workspace:
    """One design while it is synthesised, for one clock or several: use it in a with statement.

    Netlists of recipes that do not look at the clock are made once and serve every clock; the result for a clock is
    the same whatever other clocks came before.  Arguments and errors as of :func:`synthesise`.
    """

    def __init__(
        self,
        verilog: str,
        top: str,
        library: Library,
        *,
        jobs: int | None = None,
        clock: str = "clk",
        progress: Callable[[str], None] | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", top, re.ASCII):
            raise InputError(f"top must be a plain Verilog module name, not {short(top)}")
        if jobs is not None and jobs < 1:
            raise InputError(f"jobs must be at least 1, not {jobs}")
        self._verilog, self._top, self._library, self._clock = verilog, top, library, clock
        self._jobs = jobs or cores()
        self._progress = progress
        self._stack = contextlib.ExitStack()
        self._mapped: dict[tuple[Recipe, float | None], Netlist] = {}
        self._paths: dict[Recipe, tuple[list[Step], Iterator[Step]]] = {}

    def __enter__(self) -> Workspace:
        if self._library.unmappable is not None:
            raise self._library.unmappable.error()
        with contextlib.ExitStack() as stack:
            self._folder = stack.enter_context(scratch("synth"))
            self._checkpoint: Path | None = None
            self._opensta = _open(stack, self._library)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)  # a full disk is found by the folder that saw the error

    def synthesise(
        self,
        clock_mhz: float = 500.0,
        *,
        effort: str = "normal",
        recipe: Recipe | None = None,
        screen: bool = False,
    ) -> Synthesis:
        """The netlist for one clock; see :func:`synthesise`."""
        period_ns = 1000.0 / positive_number("clock_mhz", clock_mhz)
        library, opensta = self._library, self._opensta
        has_adder = library.full_adder is not None
        groups = ((recipe,),) if recipe else rounds(effort, has_adder)
        found: list[Netlist] = []
        best: Netlist | None = None
        search = ""
        for number, chosen in enumerate(groups):
            far = number == 1 and not any(netlist.within(_PROMISING, period_ns) for netlist in found)
            if number == _SCREENED_ROUNDS or far:
                search = SCREENED if screen else UNSCREENED
            if search == SCREENED:
                break
            new = self._netlists([one for one in chosen if one.adders != "hybrid"], period_ns)
            if opensta is None and new:
                best = min(new, key=lambda netlist: netlist.area_um2)
                break
            found += self._timed(new, period_ns)
            for path in (one for one in chosen if one.adders == "hybrid"):
                found += self._on_path(path, period_ns)
            best = select(self._timer, found, self._top, library, period_ns, self._clock)
            if best.final_slack_ns >= 0 and (best.sizing is None or chosen[0].script not in AREA_SCRIPTS):
                break
        assert best is not None  # every effort has recipes
        return self._finish(best, found, period_ns, search)

    def _netlists(self, chosen: Sequence[Recipe], period_ns: float) -> list[Netlist]:
        """Fresh netlists of some recipes, mapped now or before."""
        if self._checkpoint is None:
            self._checkpoint = elaborate(self._folder, self._verilog, self._top)
        keys = [(recipe, period_ns if recipe.target else None) for recipe in chosen]
        missing = [key for key in keys if key not in self._mapped]
        with ThreadPoolExecutor(self._jobs) as pool:
            work = {
                key: pool.submit(self._map, key[0], period_ns, len(self._mapped) + i) for i, key in enumerate(missing)
            }
            self._mapped.update((key, future.result()) for key, future in work.items())
        return [replace(self._mapped[key]) for key in keys]

    def _timed(self, netlists: Sequence[Netlist], period_ns: float) -> Sequence[Netlist]:
        """The same with their slacks."""
        for netlist in netlists:
            self._load(netlist, period_ns)
            netlist.slack_ns = self._timer.slack_ns()
        return netlists

    @property
    def _timer(self) -> OpenSta:
        """OpenSTA. Raises ToolMissing."""
        if self._opensta is None:
            find_opensta()
        assert self._opensta is not None
        return self._opensta

    def _load(self, netlist: Netlist, period_ns: float) -> None:
        self._timer.load(netlist.path, self._top, period_ns, self._clock)

    def _on_path(self, recipe: Recipe, period_ns: float) -> list[Netlist]:
        """The netlists of a hybrid path up to some that meet the clock; the path is followed once for all clocks.

        They are as sized for the periods of the path, those nearest to that of the clock also for it.
        """
        if recipe not in self._paths:
            start = self._netlists([path_start(recipe)], period_ns)[0]
            arguments = self._timer, self._library, self._top, self._clock, start
            self._paths[recipe] = [], follow(*arguments, lambda plan, number: self._planned(recipe, plan, number))
        steps, more = self._paths[recipe]
        walked: list[Step] = []
        met = 0
        for step in itertools.chain(tuple(steps), _kept(more, steps)):
            walked.append(step)
            met += step.sized_period_ns <= period_ns
            if met == _STEPS_THAT_MEET:
                break
        found = [step.sized(period_ns) for step in walked]
        nearest = sorted(found, key=lambda netlist: abs(netlist.final_slack_ns))[:_SIZED_AGAIN]
        for netlist in [replace(netlist, sizing=None) for netlist in nearest]:
            self._load(netlist, period_ns)
            netlist.sizing = meet_clock(self._timer, self._library)
            found.append(netlist)
        return found

    def _planned(self, recipe: Recipe, plan: Plan, number: int) -> Netlist:
        assert self._checkpoint is not None
        place = self._folder / f"{recipe.name}-{number}"
        names = modules(self._verilog)
        found = map_recipe(place, self._checkpoint, self._top, names, self._library, recipe, plan.period_ns, plan)
        if self._progress:
            self._progress(f"{recipe.name}, {1000 / plan.period_ns:.0f} MHz")
        return found

    def _map(self, recipe: Recipe, period_ns: float, number: int) -> Netlist:
        assert self._checkpoint is not None
        place = self._folder / f"{number}-{recipe.name}"
        found = map_recipe(place, self._checkpoint, self._top, modules(self._verilog), self._library, recipe, period_ns)
        if self._progress:
            self._progress(recipe.name)
        return found

    def _finish(self, best: Netlist, found: Sequence[Netlist], period_ns: float, search: str) -> Synthesis:
        chosen = self._folder / "chosen.v"
        shutil.copyfile(best.path, chosen)
        apply(chosen, best.replaced)
        named = name_netlist(self._top, chosen, self._library)
        timing = None
        if self._opensta is not None:
            self._opensta.load(chosen, self._top, period_ns, self._clock)
            timing = self._opensta.timing(details=True)
        area_um2, cells = netlist_area(named, self._top, self._library)
        return Synthesis(
            top=self._top,
            verilog=chosen.read_text(),
            netlist=named.read_text(),
            area_um2=area_um2,
            cells=cells,
            recipe="".join([best.recipe, SIZED * bool(best.replaced), search]),
            timing=timing,
            meets_clock=timing.meets_clock if timing else None,
            candidates=tuple(
                Candidate(n.recipe, n.area_um2, None if n.slack_ns is None else period_ns - n.slack_ns) for n in found
            ),
        )


def _kept(steps: Iterator[Step], kept: list[Step]) -> Iterator[Step]:
    """Steps as they are made, each kept."""
    for step in steps:
        kept.append(step)
        yield step


def _open(stack: contextlib.ExitStack, library: Library) -> OpenSta | None:
    """OpenSTA with the library, None where it is not installed. Raises InputError where cells would take no time."""
    try:
        opensta = stack.enter_context(OpenSta(library))
    except ToolMissing:
        return None
    if library.untimed is not None:
        raise library.untimed.error()
    return opensta
