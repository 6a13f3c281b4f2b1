"""The rows of a spec at one clock, and the pipelining that is smallest there; measured or looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from hwmodel.recipes import looks_at_area_alone
from hwmodel.row import SynthesisRow
from hwmodel.specimen import Bench, Specimen, generator_key, stored
from hwmodel.stimulus import StreamPlan
from hwmodel.store import RowStore
from rtl.spec import MacSpec, Precision

__all__ = ["HasRow", "Measurement", "Variant", "known", "measure", "smallest", "try_stages"]


@dataclass(frozen=True)
class Variant:
    """One spec synthesised: its row (area, timing) and a row with power for every precision asked for."""

    spec: MacSpec
    row: SynthesisRow
    powered: Mapping[Precision, SynthesisRow]


@dataclass(frozen=True)
class Measurement:
    """The variant chosen, and all that were tried."""

    chosen: Variant
    tried: tuple[Variant, ...]


def smallest(
    spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore | None = None
) -> Measurement:
    """The smallest pipelining of ``spec`` that meets the clock; the fastest where none does.

    The number of stages grows until the clock is met. Where meeting it cost area (a recipe that trades area for speed,
    or larger cells), one more is tried, which can be smaller still. Raises as :func:`measure`.
    """
    rows = store or RowStore()
    found = _smallest(spec, lambda variant: measure(variant, precisions, bench, rows))
    assert found is not None
    return found


def known(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> Measurement | None:
    """What :func:`smallest` would give, from the store alone; None where a row is missing. Generates no Verilog."""

    def find(variant: MacSpec) -> Variant | None:
        digest = store.verilog_of(generator_key(variant))
        return _stored(variant, digest, precisions, bench, store) if digest else None

    return _smallest(spec, find)


def measure(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> Variant:
    """The rows of one spec, from the store or measured now and kept there.

    Without OpenSTA there are areas only: timing and power fields are None. Raises SynthesisError where a tool fails
    and Mismatch where the netlist does not compute what the spec does.
    """
    plans = {precision: StreamPlan(precision) for precision in precisions}
    with Specimen(spec, bench, store) as specimen:
        found = specimen.at(bench.clock_mhz, tuple(plans.values()))
    return Variant(spec, found.row, {precision: found.powered[plan] for precision, plan in plans.items()})


class HasRow(Protocol):
    """Something that was synthesised."""

    @property
    def row(self) -> SynthesisRow:
        """Its area and timing."""
        ...


V = TypeVar("V", bound=HasRow)


def try_stages(stages: Iterable[int], find: Callable[[int], V | None]) -> tuple[V, tuple[V, ...]] | None:
    """The rule of :func:`smallest`: what ``find`` gives for more and more pipeline stages, and the best of it.

    None as soon as ``find`` gives None.
    """
    tried: list[V] = []
    for number in stages:
        variant = find(number)
        if variant is None:
            return None
        tried.append(variant)
        if variant.row.meets_clock is None or (len(tried) > 1 and tried[-2].row.meets_clock):
            break
        if variant.row.meets_clock and looks_at_area_alone(variant.row.recipe):
            break
    met = [variant for variant in tried if variant.row.meets_clock]
    if met:
        return min(met, key=lambda variant: variant.row.area_um2), tuple(tried)
    return min(tried, key=lambda variant: variant.row.minimum_period_ns or 0.0), tuple(tried)


def _smallest(spec: MacSpec, find: Callable[[MacSpec], Variant | None]) -> Measurement | None:
    found = try_stages(range(3), lambda stages: find(replace(spec, pipeline_stages=stages)))
    return None if found is None else Measurement(*found)


def _stored(
    spec: MacSpec, verilog_sha256: str, precisions: Sequence[Precision], bench: Bench, store: RowStore
) -> Variant | None:
    """The variant where all its rows are stored."""
    plans = {precision: StreamPlan(precision) for precision in precisions}
    found = stored(verilog_sha256, tuple(plans.values()), bench, bench.clock_mhz, store)
    if found is None or len(found.powered) < len(plans):
        return None
    return Variant(spec, found.row, {precision: found.powered[plan] for precision, plan in plans.items()})
