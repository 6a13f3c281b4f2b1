"""What the cost model answers to the questions of the comparison, by the rules by which they are measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hwmodel.comparison import Answer, Question
from hwmodel.executors import local
from hwmodel.features import are_kept
from hwmodel.model import Cost, LibraryModel, cost_of
from hwmodel.requantcost import Unit, UnitAnswer
from hwmodel.stages import attempt_of_cost, try_stages
from hwmodel.stimulus import StreamPlan
from hwmodel.unitmodel import best_unit
from rtl.spec import MacSpec, Precision

__all__ = ["ModelAnswers", "model_answer"]

_STAGES = range(3)
_FEW = 4  # designs that are counted at once, without a bar and other processes


class ModelAnswers:
    """The estimate of every question, made once."""

    def __init__(self, model: LibraryModel, clock_mhz: float, jobs: int) -> None:
        self.model = model
        self._clock_mhz = clock_mhz
        self._jobs = jobs
        self._found: dict[Question, Answer] = {}

    def get(self, question: Question) -> Answer:
        """The answer to a question."""
        if question not in self._found:
            self._found[question] = model_answer(question, self.model, self._clock_mhz)
        return self._found[question]

    def unit(self, unit: Unit) -> UnitAnswer:
        """The answer for a requantisation unit."""
        spec, cost = best_unit(unit.spec, unit.plan, unit.stages, self.model, self._clock_mhz)
        return UnitAnswer(
            spec=spec,
            area_um2=cost.total_area_um2,
            power_uw=cost.power_uw,
            minimum_period_ns=cost.minimum_period_ns,
            meets_clock=cost.meets_clock,
            source="model" if not cost.outside else "model, out of range",
            effort="none",
            library=self.model.library,
            corner=self.model.corner,
            clock_mhz=self._clock_mhz,
            activity=str(unit.plan),
        )

    def specs(self) -> list[MacSpec]:
        """Every design that was looked at."""
        found = [replace(question.spec, pipeline_stages=stages) for question in self._found for stages in _STAGES]
        return [spec for spec in dict.fromkeys(found) if are_kept(spec, ())]

    def prepare(self, asked: Iterable[Question]) -> None:
        """Counts designs that were never counted before, several at a time, while a bar shows how far it is."""
        questions = list(dict.fromkeys(asked))
        new = [q for q in questions if not are_kept(q.spec, [StreamPlan(p) for p in q.precisions])]
        if len(new) <= _FEW:
            return
        # The largest first: none is left to run alone at the end.
        new.sort(key=lambda question: -sum(port.width for port in question.spec.operand_ports))
        columns = (TextColumn("counting gates"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=len(new))
            answer = partial(model_answer, model=self.model, clock_mhz=self._clock_mhz)
            for outcome in local(min(self._jobs, len(new)))(answer, new):
                if outcome.error is not None:
                    raise outcome.error
                progress.advance(task)


@dataclass(frozen=True)
class _Variant:
    """One pipelining: its costs by precision."""

    spec: MacSpec
    costs: dict[Precision, Cost]

    @property
    def first(self) -> Cost:
        """Area and period are the same at every precision."""
        return next(iter(self.costs.values()))


def model_answer(question: Question, model: LibraryModel, clock_mhz: float) -> Answer:
    """The smallest pipelining that meets the clock, by the rule of hwmodel.stages."""

    def find(stages: int) -> _Variant:
        spec = replace(question.spec, pipeline_stages=stages)
        return _variant(spec, question.precisions, model, clock_mhz)

    found = try_stages(_STAGES, find, lambda variant: attempt_of_cost(variant.first))
    assert found is not None
    chosen = found[0]
    cost = chosen.first
    streams = "; ".join(str(StreamPlan(precision)) for precision in question.precisions)
    return Answer(
        spec=chosen.spec,
        area_um2=cost.total_area_um2,
        power_uw={precision: each.power_uw for precision, each in chosen.costs.items()},
        settled_uw={precision: each.settled_power_uw for precision, each in chosen.costs.items()},
        minimum_period_ns=cost.minimum_period_ns,
        meets_clock=cost.meets_clock,
        source="model" if not cost.outside else "model, out of range",
        library=model.library,
        corner=model.corner,
        clock_mhz=clock_mhz,
        activity=streams,
        toggles="glitch-aware",
        outside=cost.outside,
    )


def _variant(spec: MacSpec, precisions: Sequence[Precision], model: LibraryModel, clock_mhz: float) -> _Variant:
    costs = {precision: cost_of(spec, StreamPlan(precision), model, clock_mhz) for precision in precisions}
    return _Variant(spec, costs)
