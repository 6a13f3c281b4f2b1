"""Measurements for a comparison: from the store where they are known, else made, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hwmodel.library import UnknownLibraryError
from hwmodel.measurement import (
    Bench,
    MacTrial,
    Measurement,
    RowStore,
    Unit,
    UnitMeasurement,
    UnitTrial,
    choose,
    choose_unit,
    known,
    known_unit,
    local,
    of_the_machine,
    write_packaged,
)
from hwmodel.workload import (
    Mixture,
    Pair,
    Width,
    Workload,
    mixture_at,
    pair_or_one,
    parse_mixture,
    parts_of,
    standard_mixture,
)
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError, short

from .comparison import Answer, Entry, Question, contenders, measured_answer, precisions_asked, questions
from .requantisation import UnitAnswer, measured_unit

__all__ = ["Answers", "Settings", "entries_of", "measured_or", "settings"]


@dataclass(frozen=True)
class Settings:
    """What is compared."""

    entries: tuple[Entry, ...]
    jobs: int


def settings(
    *, bits: Sequence[Width], mixtures: Sequence[str], designs: Sequence[str] | None, lanes: int, units: int, jobs: int,
    workload: Workload | None = None,
) -> Settings:  # fmt: skip
    """The entries of a comparison. ``mixtures``: texts such as ``4=2:1/3,4:1/2,8:1/6``. workload: the network whose
    mixtures are taken, as the policy assigns them, else standard ones. Raises ValueError.
    """
    if workload is not None and mixtures:
        raise InputError("mixture must not be given with a network: its mixtures are those that the policy assigns")
    chosen = {mean: standard_mixture(mean) if workload is None else mixture_at(workload, mean) for mean in bits}
    given = [_same(text.partition("=")[0]) for text in mixtures]
    if again := [mean for mean in given if given.count(mean) > 1]:
        raise InputError(f"mixture must be given once for a mean, not twice for {short(again[0])}")
    for text in mixtures:
        mean, _, rest = text.partition("=")
        at = {str(known): known for known in chosen}.get(_same(mean))
        if at is None or not rest:
            raise InputError(f"mixture must be BITS=MIX with BITS among {', '.join(map(str, bits))}, not {short(text)}")
        mixture = parse_mixture(rest)
        if mixture.mean_bits != pair_or_one(*map(Fraction, parts_of(at))):
            found = mixture.mean_bits if isinstance(mixture.mean_bits, Pair) else f"{float(mixture.mean_bits):g}"
            raise InputError(f"the mixture {rest} must have a mean of {mean} bits, not {found}")
        chosen[at] = mixture
    return Settings(entries_of(chosen, contenders(designs), lanes, units), jobs)


def _same(mean: str) -> str:
    """A mean as it is written: ``4/4`` is ``4``."""
    weights, slash, activations = mean.partition("/")
    return weights if slash and weights == activations else mean


def entries_of(
    mixtures: Mapping[Width, Mixture], designs: Sequence[type[MacSpec]], lanes: int, units: int
) -> tuple[Entry, ...]:
    """The entries of a comparison with these mixtures by mean. Raises ValueError."""
    return tuple(
        entry for mean, mixture in mixtures.items() for entry in questions(mean, lanes, units, designs, mixture)
    )


class Answers:
    """The measurement of every question, made once. any_timer: as of RowStore."""

    def __init__(self, bench: Bench, jobs: int, *, any_timer: bool = False) -> None:
        self._bench = bench
        self._jobs = jobs
        report = Console(stderr=True, highlight=False, markup=False).print
        self._store = RowStore(report=report, any_timer=any_timer)
        self._measured: dict[MacSpec, Measurement] = {}
        self._units: dict[Unit, UnitMeasurement] = {}

    def get(self, question: Question) -> Answer:
        """The answer to a question that was prepared."""
        return measured_answer(self._measured[question.spec])

    def look_up(self, asked: Iterable[Question], units: Iterable[Unit]) -> tuple[set[MacSpec], set[Unit]]:
        """The designs and requantisation units that were measured already; they are prepared."""
        for spec, precisions in precisions_asked(asked).items():
            found = known(spec, precisions, self._bench, self._store)
            if found is not None:
                self._measured[spec] = found
        for unit in units:
            measured = known_unit(unit, self._bench, self._store)
            if measured is not None:
                self._units[unit] = measured
        return set(self._measured), set(self._units)

    def unit(self, unit: Unit) -> UnitAnswer:
        """The answer for a requantisation unit that was prepared."""
        return measured_unit(self._units[unit])

    def prepare(self, asked: Iterable[Question], units: Iterable[Unit] = ()) -> None:
        """Looks up or makes every measurement; each is kept as soon as it is made, and a bar shows how far it is."""
        missing = {}
        for spec, precisions in precisions_asked(asked).items():
            found = None if self._bench.fresh else known(spec, precisions, self._bench, self._store)
            if found is None:
                missing[spec] = precisions
            else:
                self._measured[spec] = found
        unknown = []
        for unit in dict.fromkeys(units):
            measured = None if self._bench.fresh else known_unit(unit, self._bench, self._store)
            if measured is None:
                unknown.append(unit)
            else:
                self._units[unit] = measured
        if missing or unknown:
            self._measure(missing, unknown)

    def write_rows(self, folder: Path) -> list[Path]:
        """Writes the rows behind the measurements as the package keeps them; nothing where there are none."""
        if not self._measured and not self._units:
            return []
        trials = [trial for one in self._measured.values() for trial in one.tried]
        rows = [row for one in trials for row in (one.row, *one.powered.values())]
        units = [trial for unit in self._units.values() for trial in unit.tried]
        rows += [row for one in units for row in (one.row, one.powered)]
        return write_packaged(rows, folder)

    def _measure(self, missing: Mapping[MacSpec, tuple[Precision, ...]], units: Sequence[Unit]) -> None:
        columns = (
            TextColumn("synthesising"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[last]}", markup=False),
        )  # fmt: skip
        count = len(missing) + len(units)
        bench = replace(self._bench, jobs=max(1, self._jobs // count))
        # The largest first: none is left to run alone at the end; units that hold most are the largest of all.
        stored = sorted(units, key=lambda unit: -unit.spec.groups * unit.spec.parameter_width)
        order = sorted(missing, key=lambda spec: -sum(port.width for port in spec.operand_ports))
        items: list[Unit | MacSpec] = [*stored, *order]
        work = local(min(self._jobs, count))(partial(_measured, missing=dict(missing), bench=bench), items)
        with Progress(*columns, console=Console(stderr=True)) as progress, closing(work):
            task = progress.add_task("", total=count, last="")
            failed: list[Exception] = []
            for outcome in work:
                if outcome.error is not None and of_the_machine(outcome.error):
                    raise outcome.error
                if outcome.error is not None:  # the others are measured all the same, and kept
                    failed.append(outcome.error)
                    progress.console.print(f"{_name(outcome.item)}: {outcome.error}", highlight=False, markup=False)
                    progress.advance(task)
                    continue
                if isinstance(outcome.result, UnitMeasurement) and isinstance(outcome.item, Unit):
                    self._units[outcome.item] = outcome.result
                elif isinstance(outcome.result, Measurement) and isinstance(outcome.item, MacSpec):
                    self._measured[outcome.item] = outcome.result
                assert outcome.result is not None
                progress.update(task, advance=1, last=_news(outcome.result.chosen))
        if failed:
            raise failed[0]


def _measured(
    item: Unit | MacSpec, missing: Mapping[MacSpec, tuple[Precision, ...]], bench: Bench
) -> Measurement | UnitMeasurement:
    return choose_unit(item, bench) if isinstance(item, Unit) else choose(item, missing[item], bench)


class Estimates(Protocol):
    """Answers of a cost model; :class:`hwmodel.comparison.ModelAnswers` has the meanings."""

    def get(self, question: Question) -> Answer: ...
    def unit(self, unit: Unit) -> UnitAnswer: ...


def measured_or(
    bench: Callable[[], Bench], asked: Iterable[Question], units: Iterable[Unit], estimates: Estimates
) -> tuple[Callable[[Question], Answer], Callable[[Unit], UnitAnswer], Answers | None]:
    """Answers for designs and requantisation units as they were measured before, estimated where they were not; and the
    measurements, if any.

    All are estimated where ``bench`` raises FileNotFoundError or UnknownLibraryError, for a library whose file is not
    on this machine, or that goes by no name here.
    """
    try:
        answers = Answers(bench(), 1, any_timer=True)
    except (FileNotFoundError, UnknownLibraryError):
        return estimates.get, estimates.unit, None
    designs, found = answers.look_up(asked, units)
    return (
        lambda question: (answers if question.spec in designs else estimates).get(question),
        lambda unit: (answers if unit in found else estimates).unit(unit),
        answers,
    )


def _name(item: Unit | MacSpec) -> str:
    return item.spec.name if isinstance(item, Unit) else item.name


def _news(trial: MacTrial | UnitTrial) -> str:
    return f"{trial.spec.name} {trial.row.area_um2:,.0f} um2"
