"""The rows of a spec at one clock, and the pipelining and form that are best there; measured or looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hwmodel.operands import StreamPlan
from hwmodel.synthesis import Attempt, try_trials, weighed_precision
from rtl.spec import MacSpec, Precision

from .dut import Bench, DesignUnderTest, stored, weighed_power_uw
from .row import SynthesisRow, attempt_of_row
from .store import RowStore

__all__ = ["MacTrial", "Measurement", "choose", "known", "measure"]


@dataclass(frozen=True)
class MacTrial:
    """One spec synthesised: its row (area, timing) and a row with power for every precision asked for."""

    spec: MacSpec
    row: SynthesisRow
    powered: Mapping[Precision, SynthesisRow]


@dataclass(frozen=True)
class Measurement:
    """The trial of the chosen pipelining and form, and all trials."""

    chosen: MacTrial
    tried: tuple[MacTrial, ...]


def choose(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore | None = None) -> Measurement:
    """The pipelining and form of ``spec`` with the least product of area and power that meet the clock; the fastest
    where none does.

    The number of stages grows by the rule of hwmodel.synthesis.stages. Raises as :func:`measure`.
    """
    rows, wanted = store or RowStore(), _with_weighed(spec, precisions)
    found = _choose(spec, lambda spec: measure(spec, wanted, bench, rows))
    assert found is not None
    return found


def known(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> Measurement | None:
    """What :func:`choose` would give, from the store alone; None where a row is missing. Generates no Verilog."""

    wanted = _with_weighed(spec, precisions)

    def find(spec: MacSpec) -> MacTrial | None:
        digest = store.verilog_of(spec)
        return _stored(spec, digest, wanted, bench, store) if digest else None

    return _choose(spec, find)


def measure(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> MacTrial:
    """The rows of one spec, from the store or measured now and kept there.

    Without OpenSTA there are areas only: timing and power fields are None. Raises SynthesisError where a tool fails
    and Mismatch where the netlist does not compute what the spec does.
    """
    plans = {precision: StreamPlan(precision) for precision in precisions}
    with DesignUnderTest(spec, bench, store) as dut:
        found = dut.at(bench.clock_mhz, tuple(plans.values()))
    return MacTrial(spec, found.row, {precision: found.powered[plan] for precision, plan in plans.items()})


def _choose(spec: MacSpec, find: Callable[[MacSpec], MacTrial | None]) -> Measurement | None:
    found = try_trials(spec, range(3), find, _look, _power_uw)
    return None if found is None else Measurement(*found)


def _with_weighed(spec: MacSpec, precisions: Sequence[Precision]) -> tuple[Precision, ...]:
    """The precisions asked for, and that by whose power forms are chosen."""
    return tuple(dict.fromkeys((*precisions, weighed_precision(spec))))


def _look(trial: MacTrial) -> Attempt:
    return attempt_of_row(trial.row)


def _power_uw(trial: MacTrial) -> float | None:
    return weighed_power_uw(trial.powered[weighed_precision(trial.spec)])


def _stored(
    spec: MacSpec, verilog_sha256: str, precisions: Sequence[Precision], bench: Bench, store: RowStore
) -> MacTrial | None:
    """The trial where all its rows are stored."""
    plans = {precision: StreamPlan(precision) for precision in precisions}
    found = stored(verilog_sha256, tuple(plans.values()), bench, bench.clock_mhz, store)
    if found is None or len(found.powered) < len(plans):
        return None
    return MacTrial(spec, found.row, {precision: found.powered[plan] for precision, plan in plans.items()})
