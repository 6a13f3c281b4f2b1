"""Requantisation units measured by the flow of the MACs: generate, synthesise, check the netlist, compute power.

Every netlist behind a row has been simulated against the golden model of its spec, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hwmodel.netlist import read_netlist
from hwmodel.operands import RequantPlan, check_outputs, requant_stimulus
from hwmodel.power import simulate
from hwmodel.synthesis import Mapped, Recipe, recipe_named, synthesise, try_stages
from rtl.mac import UniformSpec
from rtl.requant import LoadableSpec, PartialSumSpec, ThresholdSpec

from .dut import (
    Bench,
    best_powered,
    find_row,
    of_one_netlist,
    placed_netlist,
    power_data,
    power_figures,
    weighed_power_uw,
)
from .row import SynthesisRow, attempt_of_row, make_row, sha256_text
from .store import RowStore

__all__ = ["LARGE_FROM", "Unit", "UnitMeasurement", "UnitTrial", "choose_unit", "known_unit", "measure_unit"]


LARGE_FROM = 6  # bits from which thresholds take the quick recipes only; for each head, mapping exceeds 15 minutes


@dataclass(frozen=True)
class Unit:
    """One unit to measure, for codes of ``bits`` bits, beside the MAC whose accumulators it takes."""

    bits: int
    spec: LoadableSpec
    mac: UniformSpec

    @property
    def plan(self) -> RequantPlan:
        """The stream that its power is for."""
        return RequantPlan(self.bits)

    @property
    def is_large(self) -> bool:
        """Whether it is one of thresholds of many bits: a recipe takes minutes."""
        return isinstance(self.spec, ThresholdSpec) and self.bits >= LARGE_FROM

    @property
    def stages(self) -> range:
        """Pipeline registers that are tried, fewest first; a large one is made with one, and no other."""
        return range(1, 2) if self.is_large else range(3)

    @property
    def screened(self) -> bool:
        """Whether a clock that is far off is given up soon, as of MAC designs."""
        return self.spec.pipeline_stages < 2 and not self.is_large

    def effort(self, effort: str) -> str:
        """The recipes for it: a large one takes only the quick ones."""
        return "quick" if self.is_large else effort


@dataclass(frozen=True)
class UnitTrial:
    """One spec synthesised: its row (area, timing) and the row with power."""

    spec: LoadableSpec
    row: SynthesisRow
    powered: SynthesisRow


@dataclass(frozen=True)
class UnitMeasurement:
    """The trial of the chosen pipelining, and all trials."""

    chosen: UnitTrial
    tried: tuple[UnitTrial, ...]


def choose_unit(unit: Unit, bench: Bench, store: RowStore | None = None) -> UnitMeasurement:
    """The best pipelining of the unit that meets the clock, by the rule of hwmodel.synthesis.stages.

    Raises SynthesisError where a tool fails and Mismatch where the netlist does not compute what the spec does.
    """
    rows = store or RowStore()
    found = _choose(unit, lambda unit: measure_unit(unit, bench, rows))
    assert found is not None
    return found


def known_unit(unit: Unit, bench: Bench, store: RowStore) -> UnitMeasurement | None:
    """What :func:`choose_unit` would give, from the store alone; None where a row is missing."""

    def find(unit: Unit) -> UnitTrial | None:
        digest = store.verilog_of(unit.spec)
        return _stored(unit, digest, bench, store)[0] if digest else None

    return _choose(unit, find)


def measure_unit(unit: Unit, bench: Bench, store: RowStore) -> UnitTrial:
    """The rows of one spec, from the store or measured now and kept there. Raises as :func:`choose_unit`."""
    from rtl.verilog import numbered_verilog

    verilog = numbered_verilog([unit.spec])
    digest = sha256_text(verilog)
    found, plain = (None, None) if bench.fresh else _stored(unit, digest, bench, store)
    if found is None:
        if bench.placing is not None and not bench.fresh:
            plain = _stored(unit, digest, replace(bench, placing=None), store)[1]
        found = _synthesised(unit, verilog, plain, bench)
        for row in (found.row, found.powered):
            store.put(row)
    store.remember_verilog(unit.spec, digest)
    return found


def _choose(unit: Unit, find: Callable[[Unit], UnitTrial | None]) -> UnitMeasurement | None:
    def trial(stages: int) -> UnitTrial | None:
        return find(replace(unit, spec=replace(unit.spec, pipeline_stages=stages)))

    found = try_stages(
        unit.stages, trial, lambda each: attempt_of_row(each.row), lambda each: weighed_power_uw(each.powered)
    )
    return None if found is None else UnitMeasurement(*found)


def _stored(
    unit: Unit, verilog_sha256: str, bench: Bench, store: RowStore
) -> tuple[UnitTrial | None, SynthesisRow | None]:
    """The trial where all its rows are stored, and its row without power where that is."""
    effort = unit.effort(bench.effort)

    def find(activity: str | None) -> SynthesisRow | None:
        question = verilog_sha256, bench.library, bench.clock_mhz, effort, activity, store, bench.placing
        return find_row(*question, screen=unit.screened)

    plain = find(None)
    if plain is None:
        return None, None
    if plain.minimum_period_ns is None:
        return UnitTrial(unit.spec, plain, plain), plain
    found = find(str(unit.plan))
    powered = best_powered(None if found is None or not of_one_netlist(found, plain) else found, plain)
    return (None if powered is None else UnitTrial(unit.spec, plain, powered)), plain


def _synthesised(unit: Unit, verilog: str, plain: SynthesisRow | None, bench: Bench) -> UnitTrial:
    spec, library, effort = unit.spec, bench.library, unit.effort(bench.effort)

    def make(clock_mhz: float, recipe: Recipe | None = None) -> tuple[SynthesisRow, Mapped]:
        result = synthesise(
            verilog, spec.name, library, clock_mhz, effort=effort, jobs=bench.jobs, recipe=recipe, screen=unit.screened
        )
        return make_row(spec.design, spec.parameters, verilog, library, clock_mhz, result, effort=effort), result

    known = None if plain is None else recipe_named(plain.recipe)
    row, mapped = make(bench.clock_mhz, known)
    if bench.placing is not None:
        row, mapped = placed_netlist(row, mapped, bench, bench.clock_mhz, make)
    return UnitTrial(spec, row, _powered(row, unit, mapped, bench))


def _powered(row: SynthesisRow, unit: Unit, result: Mapped, bench: Bench) -> SynthesisRow:
    """Checks the netlist on the stream; the row with the power of it."""
    data = power_data(bench.library.files)
    stimulus = requant_stimulus(unit.spec, unit.plan)
    waves = simulate(
        read_netlist(result.netlist, unit.spec.name), data.cells, stimulus.words,
        count_from_cycle=stimulus.first_full_cycle,
    )  # fmt: skip
    output = "total" if isinstance(unit.spec, PartialSumSpec) else "code"
    check_outputs(unit.spec, unit.plan, stimulus, waves.words(output), waves.words("out_valid"))
    if result.timing is None:
        return row
    figures = power_figures(waves, stimulus.words, result, bench.library, bench.clock_mhz)
    return row.with_power(str(unit.plan), **figures)
