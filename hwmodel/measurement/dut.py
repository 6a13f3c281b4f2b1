"""One spec under measurement: generate, synthesise, check the mapped netlist, compute power; or look it up.

Every netlist behind a row has been simulated against the golden model of its spec, bit for bit, at every precision
that :func:`hwmodel.operands.stimulus.precisions_to_check` names.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from types import TracebackType
from typing import Any

from hwmodel.library import LibertyFiles, Library, LibraryCells, LibraryPower
from hwmodel.netlist import read_netlist
from hwmodel.operands import (
    StreamPlan,
    check_drained,
    check_sums,
    idle_after,
    make_core_stimulus,
    make_stimulus,
    precisions_to_check,
)
from hwmodel.placement import Placing, place
from hwmodel.power import (
    GLITCH_AWARE,
    PowerReport,
    SimulatorMissing,
    Waves,
    icarus_version,
    netlist_power,
    simulate,
    with_glitches,
)
from hwmodel.synthesis import Mapped, Workspace, read_back, recipe_named, search_of
from rtl.array import CoreSpec
from rtl.spec import MacSpec, Precision

from .row import SynthesisRow, make_row, placed_row, sha256_text, tool_versions
from .store import RowStore

__all__ = [
    "Bench",
    "DesignUnderTest",
    "Found",
    "best_powered",
    "find_row",
    "is_best",
    "power_data",
    "power_figures",
    "settled_power_uw",
    "stored",
    "weighed_power_uw",
]


@dataclass(frozen=True)
class Bench:
    """What a measurement is made with. fresh: synthesise again what the store has; jobs: recipes at a time.

    placing: netlists are placed, and their wires are those of the placement; None: those of the library, if any.
    """

    library: Library
    clock_mhz: float = 500.0
    effort: str = "normal"
    fresh: bool = False
    jobs: int | None = None
    placing: Placing | None = None


_FASTER_TRIES = 2
_GLITCH_CYCLES = 128  # of a run are simulated with delays; what they add to each net holds for the rest
_FEWEST_GLITCH_CYCLES = 16
_GLITCH_WORK = 400_000  # cells times cycles: large netlists, whose many nets average as well, get fewer cycles
_MOST_GLITCH_CELLS = 20_000  # Icarus takes many minutes for more


@dataclass(frozen=True)
class Found:
    """What is known of a spec at one clock: its row (area, timing), and a row with power for each operand stream."""

    row: SynthesisRow
    powered: Mapping[StreamPlan, SynthesisRow]


class DesignUnderTest:
    """A spec and its Verilog, generated and synthesised only when a row is missing; use it in a with statement.

    Netlists that do not depend on the clock are made once for all clocks asked for. screen: where the design has less
    than two pipeline stages, a clock that is far off is given up soon, since one more register is the better answer.
    """

    def __init__(self, spec: MacSpec | CoreSpec, bench: Bench, store: RowStore, *, screen: bool = True) -> None:
        self.spec = spec
        self._screen = screen and spec.pipeline_stages < 2
        self._bench = bench
        self._store = store
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> DesignUnderTest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @cached_property
    def verilog(self) -> str:
        """The whole source."""
        from rtl.verilog import numbered_verilog

        return numbered_verilog([self.spec])

    @cached_property
    def verilog_sha256(self) -> str:
        """Its hash, without generating it where it is remembered."""
        known = None if self._bench.fresh else self._store.verilog_of(self.spec)
        if known is None:
            known = sha256_text(self.verilog)
            self._store.remember_verilog(self.spec, known)
        return known

    def at(self, clock_mhz: float, plans: Sequence[StreamPlan]) -> Found:
        """The rows at one clock, from the store or measured now and kept there.

        Without OpenSTA there are areas only: timing and power fields are None. Raises SynthesisError where a tool
        fails and Mismatch where the netlist does not compute what the spec does.
        """
        known = None
        if not self._bench.fresh:
            known = stored(self.verilog_sha256, plans, self._bench, clock_mhz, self._store, screen=self._screen)
        missing = tuple(plan for plan in plans if known is None or plan not in known.powered)
        if known is not None and not missing:
            return known
        plain, mapped = self._netlist(clock_mhz, {plan.precision for plan in missing})
        row = plain
        if self._bench.placing is not None:
            row, mapped = placed_netlist(plain, mapped, self._bench, clock_mhz, self._checked)
            self._store.put_netlist(row.key, mapped.verilog)
        if known is not None and not of_one_netlist(row, known.row):  # its netlist was not kept, and is another now
            known, missing = None, tuple(plans)
        powered = dict(known.powered) if known else {}
        for plan in missing:
            powered[plan] = _powered(row, self.spec, plan, mapped, self._bench.library)
            self._store.put(powered[plan])
        for each in dict.fromkeys((plain.key, row.key)):  # last: where it is, the netlist was checked
            self._store.put(plain if each == plain.key else row)
        return Found(row if known is None else known.row, powered)

    def _netlist(self, clock_mhz: float, to_come: set[Precision]) -> tuple[SynthesisRow, Mapped]:
        """The netlist for a clock before any placement and its row, kept or synthesised now."""
        bench, known = self._bench, None
        if not bench.fresh:
            known = find_row(
                self.verilog_sha256, bench.library, clock_mhz, bench.effort, None, self._store, screen=self._screen
            )
        netlist = None if known is None else self._store.netlist(known.key)
        if known is not None and netlist is not None:
            return known, read_back(netlist, self.spec.name, bench.library, clock_mhz)
        row, mapped = self._synthesised(clock_mhz, known, to_come)
        self._store.put_netlist(row.key, mapped.verilog)
        return row, mapped

    def _checked(self, clock_mhz: float) -> tuple[SynthesisRow, Mapped]:
        """The netlist for another clock and its row, which is kept too."""
        row, mapped = self._netlist(clock_mhz, set())
        self._store.put(row)
        return row, mapped

    @cached_property
    def _workspace(self) -> Workspace:
        bench = self._bench
        return self._stack.enter_context(Workspace(self.verilog, self.spec.name, bench.library, jobs=bench.jobs))

    def _synthesised(
        self, clock_mhz: float, plain: SynthesisRow | None, to_come: set[Precision]
    ) -> tuple[SynthesisRow, Mapped]:
        """Synthesis and check; only the recipe of ``plain``, a row of the same design, where that is given."""
        spec, bench = self.spec, self._bench
        recipe = None if plain is None else recipe_named(plain.recipe)
        result = self._workspace.synthesise(clock_mhz, effort=bench.effort, recipe=recipe, screen=self._screen)
        for plan in _checks(spec):
            if plan.precision not in to_come:
                _simulated(spec, plan, result, bench.library)
        row = make_row(
            spec.design, spec.parameters, self.verilog, bench.library, clock_mhz, result, effort=bench.effort
        )
        return row, result


def stored(
    verilog_sha256: str,
    plans: Sequence[StreamPlan],
    bench: Bench,
    clock_mhz: float,
    store: RowStore,
    *,
    screen: bool = True,
) -> Found | None:
    """What the store has of a design at one clock: None, or its row and those of ``plans`` that are there. screen: as
    of :class:`DesignUnderTest`.
    """

    def find(activity: str | None) -> SynthesisRow | None:
        question = verilog_sha256, bench.library, clock_mhz, bench.effort, activity, store, bench.placing
        return find_row(*question, screen=screen)

    plain = find(None)
    if plain is None:
        return None
    if plain.minimum_period_ns is None:
        return Found(plain, dict.fromkeys(plans, plain))
    powered = {plan: find(str(plan)) for plan in plans}
    powered = {plan: row for plan, row in powered.items() if row is not None and of_one_netlist(row, plain)}
    best = {plan: best_powered(powered.get(plan), plain) for plan in plans}
    return Found(plain, {plan: row for plan, row in best.items() if row is not None})


def of_one_netlist(one: SynthesisRow, other: SynthesisRow) -> bool:
    """Whether two rows of a design at one clock are of the same netlist, as far as they tell."""
    first, second = (
        (row.recipe, row.area_um2, row.minimum_period_ns, row.histogram, row.wiring) for row in (one, other)
    )
    return first == second


def find_row(
    verilog_sha256: str,
    library: Library,
    clock_mhz: float,
    effort: str,
    activity: str | None,
    store: RowStore,
    placing: Placing | None = None,
    *,
    screen: bool = True,
) -> SynthesisRow | None:
    """A stored row, or None. It is of the same content of a Liberty file, and is given the name that this one has."""
    placed = None if placing is None else placing.text
    row = store.find(verilog_sha256, library.use_sha256, clock_mhz, effort, activity, placed, screen=screen)
    return None if row is None else replace(row, library=library.name)


def placed_netlist(
    row: SynthesisRow,
    mapped: Mapped,
    bench: Bench,
    clock_mhz: float,
    make: Callable[[float], tuple[SynthesisRow, Mapped]],
) -> tuple[SynthesisRow, Mapped]:
    """A netlist and its row with the wires of a placement.

    Where it meets the clock by the wire load and misses it with these, ``make`` makes one that is faster, by the wire
    load, by the ratio of its period with these wires to that by the wire load, up to _FASTER_TRIES times; the first
    that meets the clock is taken, the fastest where none does. Its recipe says how all of them were searched for.
    Raises as :func:`hwmodel.placement.place`.
    """
    assert bench.placing is not None
    found: list[tuple[SynthesisRow, Mapped]] = []
    search = ""
    while True:
        placed = place(mapped, bench.library, bench.placing, clock_mhz)
        wired = placed_row(row, placed, bench.placing, clock_mhz)
        found.append((wired, placed.mapped))
        search = search or search_of(row.recipe)
        if wired.meets_clock or not row.meets_clock or len(found) > _FASTER_TRIES:
            break
        assert row.minimum_period_ns is not None
        assert wired.minimum_period_ns is not None
        goal_mhz = wired.minimum_period_ns * clock_mhz / row.minimum_period_ns
        row, mapped = make(math.ceil(10 * goal_mhz) / 10)
    best, kept = found[-1] if wired.meets_clock else min(found, key=lambda each: each[0].minimum_period_ns or 0.0)
    return replace(best, recipe=best.recipe.removesuffix(search) + search), kept


def best_powered(row: SynthesisRow | None, plain: SynthesisRow) -> SynthesisRow | None:
    """A stored row with power where this machine finds no better one, else None.

    Power needs OpenSTA. Where there is none, no power can be found of an operand stream that is not kept, and
    ``plain``, the row without a stream, is the best there is.
    """
    if tool_versions()["opensta"] == "none":
        return row or plain
    return row if row is not None and is_best(row) else None


def is_best(row: SynthesisRow) -> bool:
    """Whether a row's power is the best this machine can find: with glitches, where it has Icarus and the netlist is
    not too large for it.
    """
    if row.power_uw is None:  # the library does not state what it takes
        return row.minimum_period_ns is not None
    if row.settled_uw is None:
        return icarus_version() is None
    return row.toggles == GLITCH_AWARE or row.cells > _MOST_GLITCH_CELLS or icarus_version() is None


def _powered(
    row: SynthesisRow, spec: MacSpec | CoreSpec, plan: StreamPlan, mapped: Mapped, library: Library
) -> SynthesisRow:
    words, waves = _simulated(spec, plan, mapped, library)
    if mapped.timing is None:
        return row
    figures = power_figures(waves, words, mapped, library, row.clock_mhz)
    return row.with_power(str(plan), **figures)


def power_figures(
    waves: Waves, words: Mapping[str, Sequence[int]], mapped: Mapped, library: Library, clock_mhz: float
) -> dict[str, Any]:
    """The power fields of a row from a zero-delay run of a timed netlist: glitches on top where Icarus is installed.

    None of them where the library does not state the power of every cell in it.
    """
    assert mapped.timing is not None
    timing = mapped.timing
    if library.no_power({instance.cell for instance in waves.netlist.instances}):
        return {}

    def report(run: Waves) -> PowerReport:
        return netlist_power(
            run,
            power_data(library.files),
            slews_ns=timing.slews_ns,
            loads_ff=timing.loads_ff,
            clock_mhz=clock_mhz,
            compressor_cells=tuple(cell.cell for cell in (library.full_adder, library.half_adder) if cell),
        )

    settled = found = report(waves)
    fewer = _GLITCH_WORK // max(1, len(waves.netlist.instances))
    cycles = min(_GLITCH_CYCLES, max(_FEWEST_GLITCH_CYCLES, fewer))
    if len(waves.netlist.instances) <= _MOST_GLITCH_CELLS:
        with contextlib.suppress(SimulatorMissing):
            period_ns = 1000.0 / clock_mhz
            found = report(
                with_glitches(waves, mapped.verilog, mapped.top, library, words, period_ns=period_ns, cycles=cycles,
                              spef=mapped.spef)
            )  # fmt: skip
    names = ("leakage_uw", "clock_uw", "internal_uw", "switching_uw", "power_uw", "energy_pj_per_cycle")
    figures: dict[str, Any] = {name: round(getattr(found, name), 9) for name in names}
    held, quiet_cycle = idle_after(words, waves.cycles - waves.counted_cycles)
    idle = simulate(waves.netlist, power_data(library.files).cells, held, count_from_cycle=quiet_cycle)
    return figures | {
        "idle_uw": round(report(idle).power_uw, 9),
        "toggles": found.activity_source,
        "settled_uw": round(settled.internal_uw + settled.switching_uw, 9),
    }


def _checks(spec: MacSpec | CoreSpec) -> list[StreamPlan]:
    """Short streams at every precision that is checked: sums of two steps and one product; of arrays as many steps as
    there are rows, at least two, and one product.
    """
    mac, steps = (spec.mac, max(2, spec.rows)) if isinstance(spec, CoreSpec) else (spec, 2)
    return [
        StreamPlan(precision, products=steps * mac.products_per_step(precision) + 1, cycles=48)
        for precision in precisions_to_check(mac)
    ]


def _simulated(
    spec: MacSpec | CoreSpec, plan: StreamPlan, mapped: Mapped, library: Library
) -> tuple[Mapping[str, Sequence[int]], Waves]:
    """Zero-delay simulation of the mapped netlist, its sums checked: words of its ports, and what its nets did."""

    def run(words: Mapping[str, Sequence[int]], first_full_cycle: int) -> Waves:
        netlist = read_netlist(mapped.netlist, spec.name)
        return simulate(netlist, power_data(library.files).cells, words, count_from_cycle=first_full_cycle)

    if isinstance(spec, CoreSpec):
        fed = make_core_stimulus(spec, plan)
        waves = run(fed.words, fed.first_full_cycle)
        check_drained(spec, plan, fed, waves.words("drain"))
        return fed.words, waves
    stimulus = make_stimulus(spec, plan)
    waves = run(stimulus.words, stimulus.first_full_cycle)
    check_sums(spec, plan, stimulus, waves.words("accumulator"), waves.words("out_valid"))
    return stimulus.words, waves


def settled_power_uw(row: SynthesisRow) -> float | None:
    """Power of a row without glitches; None where it has no power."""
    if row.settled_uw is None or row.leakage_uw is None or row.clock_uw is None:
        return None
    return row.leakage_uw + row.clock_uw + row.settled_uw


def weighed_power_uw(row: SynthesisRow) -> float | None:
    """The power by which forms and pipelinings are weighed: with glitches, or not known, since where Icarus is missing
    some rows of a design may lack them and others not.
    """
    return row.power_uw if row.toggles == GLITCH_AWARE else None


@cache
def power_data(files: LibertyFiles) -> LibraryPower:
    """Power tables of a library, read once."""
    return LibraryPower(LibraryCells(files.library()))
