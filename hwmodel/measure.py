"""From a spec to synthesis rows: generate, synthesise, check the mapped netlist, compute power; or look it up.

Every netlist behind a row has been simulated against the golden model of its spec, bit for bit, at every precision
that :func:`hwmodel.stimulus.precisions_to_check` names.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeVar

from hwmodel.activity import Waves, simulate
from hwmodel.cellmodel import LibraryCells
from hwmodel.liberty import parse_liberty
from hwmodel.library import Library, read_liberty_text
from hwmodel.netlist import read_netlist
from hwmodel.power import netlist_power
from hwmodel.powertables import LibraryPower
from hwmodel.recipes import looks_at_area_alone, recipe_named
from hwmodel.row import SynthesisRow, make_row, row_key, sha256_text, tool_versions
from hwmodel.stimulus import StreamPlan, check_sums, make_stimulus, precisions_to_check
from hwmodel.store import RowStore
from hwmodel.synth import Synthesis, synthesise
from rtl.spec import MacSpec, Precision

__all__ = [
    "Bench",
    "Measurement",
    "Variant",
    "generator_key",
    "generator_sha256",
    "known",
    "measure",
    "power_data",
    "smallest",
    "try_stages",
    "without_docstrings",
]


@dataclass(frozen=True)
class Bench:
    """What a measurement is made with. fresh: synthesise again what the store has; jobs: recipes at a time."""

    library: Library
    clock_mhz: float = 500.0
    effort: str = "normal"
    fresh: bool = False
    jobs: int | None = None


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
        return _stored(variant, digest, precisions, bench, store)[0] if digest else None

    return _smallest(spec, find)


def measure(spec: MacSpec, precisions: Sequence[Precision], bench: Bench, store: RowStore) -> Variant:
    """The rows of one spec, from the store or measured now and kept there.

    Without OpenSTA there are areas only: timing and power fields are None. Raises SynthesisError where a tool fails
    and Mismatch where the netlist does not compute what the spec does.
    """
    from rtl.verilog import to_verilog

    verilog = to_verilog([spec])
    digest = sha256_text(verilog)
    found, plain = (None, None) if bench.fresh else _stored(spec, digest, precisions, bench, store)
    if found is None:
        found = _synthesised(spec, verilog, plain, precisions, bench)
        for row in (found.row, *found.powered.values()):
            store.put(row)
    store.remember_verilog(generator_key(spec), digest)
    return found


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
) -> tuple[Variant | None, SynthesisRow | None]:
    """The variant where all its rows are stored, and its row without power where that is."""
    tools = tool_versions()

    def find(activity: str | None) -> SynthesisRow | None:
        return store.get(
            row_key(verilog_sha256, bench.library.use_sha256, bench.clock_mhz, bench.effort, activity, tools)
        )

    plain = find(None)
    if plain is None:
        return None, None
    if plain.minimum_period_ns is None:
        return Variant(spec, plain, dict.fromkeys(precisions, plain)), plain
    powered = {precision: find(str(StreamPlan(precision))) for precision in precisions}
    rows = {precision: row for precision, row in powered.items() if row is not None}
    return (Variant(spec, plain, rows) if len(rows) == len(powered) else None), plain


def _synthesised(
    spec: MacSpec, verilog: str, plain: SynthesisRow | None, precisions: Sequence[Precision], bench: Bench
) -> Variant:
    """Synthesis, check and power; only the recipe of ``plain``, a row of the same design, where that is given."""
    library = bench.library
    recipe = None if plain is None else recipe_named(plain.recipe)
    result = synthesise(
        verilog, spec.name, library, bench.clock_mhz, effort=bench.effort, jobs=bench.jobs, recipe=recipe,
        screen=spec.pipeline_stages < 2,  # one more register is the better answer to a clock that is far off
    )  # fmt: skip
    row = make_row(spec.design, spec.parameters, verilog, library, bench.clock_mhz, result, effort=bench.effort)
    for precision in precisions_to_check(spec):
        if precision not in precisions:
            products = 2 * spec.products_per_step(precision) + 1
            _simulate(spec, StreamPlan(precision, products=products, cycles=48), result, bench)
    return Variant(
        spec, row, {precision: _powered(row, spec, StreamPlan(precision), result, bench) for precision in precisions}
    )


def _powered(row: SynthesisRow, spec: MacSpec, plan: StreamPlan, result: Synthesis, bench: Bench) -> SynthesisRow:
    waves = _simulate(spec, plan, result, bench)
    if result.timing is None:
        return row
    library = bench.library
    report = netlist_power(
        waves,
        power_data(library.path),
        slews_ns=result.timing.slews_ns,
        loads_ff=result.timing.loads_ff,
        clock_mhz=bench.clock_mhz,
        compressor_cells=tuple(cell.cell for cell in (library.full_adder, library.half_adder) if cell),
    )
    names = ("leakage_uw", "clock_uw", "internal_uw", "switching_uw", "power_uw", "energy_pj_per_cycle")
    return row.with_power(str(plan), **{name: round(getattr(report, name), 9) for name in names})


def _simulate(spec: MacSpec, plan: StreamPlan, result: Synthesis, bench: Bench) -> Waves:
    """Zero-delay simulation of the mapped netlist; its sums are checked."""
    stimulus = make_stimulus(spec, plan)
    waves = simulate(
        read_netlist(result.netlist, spec.name),
        power_data(bench.library.path).cells,
        stimulus.words,
        count_from_cycle=stimulus.first_full_cycle,
    )
    check_sums(spec, plan, stimulus, waves.words("accumulator"), waves.words("out_valid"))
    return waves


@cache
def power_data(liberty: Path) -> LibraryPower:
    """Power tables of a library, read once."""
    return LibraryPower(LibraryCells(parse_liberty(read_liberty_text(liberty))))


def generator_key(spec: MacSpec) -> str:
    """sha256 over all that decides the Verilog of a spec, found without generating it."""
    question = [spec.design, spec.parameters, generator_sha256()]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


@cache
def generator_sha256() -> str:
    """A hash over the code of rtl, without comments and docstrings, and the versions of its tools."""
    digest = hashlib.sha256(" ".join(version(name) for name in ("siliquant", "amaranth", "pyosys")).encode())
    folder = resources.files("rtl")
    for place in (folder, folder.joinpath("mac")):
        for file in sorted(place.iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".py"):
                digest.update(file.name.encode() + ast.dump(without_docstrings(ast.parse(file.read_text()))).encode())
    return digest.hexdigest()


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree, changed in place: what documentation says does not change what code does."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                entry for entry in body if not (isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant))
            ]
    return tree
