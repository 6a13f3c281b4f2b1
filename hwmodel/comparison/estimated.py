"""What the cost model answers to the questions of the comparison, by the rules by which they are measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hwmodel.measurement import Outcome, Unit, local
from hwmodel.model import (
    LEFT_OUT_DESIGNS,
    LibraryModel,
    adopt,
    are_kept,
    attempt_of_shape,
    best_unit,
    cost_of,
    entry_of,
    find,
    shape_of,
)
from hwmodel.operands import StreamPlan
from hwmodel.synthesis import FLOW_VERSION, try_trials, weighed_precision
from rtl.mac import UniformSpec
from rtl.spec import MacSpec

from .comparison import Answer, Question, precisions_asked
from .requantisation import UnitAnswer

__all__ = ["ModelAnswers", "model_answer"]

_STAGES = range(3)
_FEW = 4  # designs that are counted at once, without a bar and other processes
_WORTH_PROCESSES = 8192  # bits of operands: fewer are counted before another process has started


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
            source=_source(self.model, cost.outside),
            effort="none",
            library=self.model.library,
            corner=self.model.corner,
            clock_mhz=self._clock_mhz,
            activity=str(unit.plan),
        )

    def specs(self) -> list[MacSpec]:
        """Every design that was looked at."""
        found = [spec for question in self._found for spec in _looked(question.spec, self.model)]
        return [spec for spec in dict.fromkeys(found) if are_kept(spec, ())]

    def prepare(self, asked: Iterable[Question]) -> None:
        """Counts designs that were never counted before, several at a time, while a bar shows how far it is.

        Each is kept as soon as it is counted.
        """
        questions = [Question(spec, precisions) for spec, precisions in precisions_asked(asked).items()]
        new = [one for one in questions if not are_kept(one.spec, [StreamPlan(p) for p in one.precisions])]
        if len(new) <= _FEW:
            return
        # The largest first: none is left to run alone at the end.
        new.sort(key=lambda question: -sum(port.width for port in question.spec.operand_ports))
        jobs = 1 if _width(new) < _WORTH_PROCESSES else min(self._jobs, len(new))
        count = partial(_count, model=self.model, clock_mhz=self._clock_mhz)
        columns = (TextColumn("counting gates"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        work = local(jobs)(count, new) if jobs > 1 else (Outcome(one, count(one)) for one in new)
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress, closing(work):
            task = progress.add_task("", total=len(new))
            for outcome in work:
                if outcome.error is not None:
                    raise outcome.error
                for spec, entry in outcome.result or ():
                    adopt(spec, entry)
                progress.advance(task)


def _count(question: Question, model: LibraryModel, clock_mhz: float) -> list[tuple[MacSpec, Mapping[str, Any]]]:
    """Answers a question, and gives all that is known of the designs that were looked at for it."""
    model_answer(question, model, clock_mhz)
    return [(spec, entry_of(spec)) for spec in _looked(question.spec, model) if are_kept(spec, ())]


def _looked(spec: MacSpec, model: LibraryModel) -> list[MacSpec]:
    """What may have been tried for a question."""
    return [form for stages in _STAGES for form in model.forms(replace(spec, pipeline_stages=stages))]


def _width(questions: Iterable[Question]) -> int:
    return sum(port.width for question in questions for port in question.spec.operand_ports)


def model_answer(question: Question, model: LibraryModel, clock_mhz: float) -> Answer:
    """The best pipelining and form that meets the clock, by the rule of hwmodel.synthesis.stages."""

    found = try_trials(
        question.spec,
        _STAGES,
        lambda spec: spec,
        lambda spec: attempt_of_shape(shape_of(spec, model), model, clock_mhz),
        lambda spec: cost_of(spec, StreamPlan(weighed_precision(spec)), model, clock_mhz).power_uw,
        model.forms,
    )
    assert found is not None
    spec = found[0]
    plans = {precision: StreamPlan(precision) for precision in question.precisions}
    for _ in find({spec: list(plans.values())}):
        pass
    costs = {precision: cost_of(spec, plan, model, clock_mhz) for precision, plan in plans.items()}
    cost = next(iter(costs.values()))  # area and period are the same at every precision
    outside = (*cost.outside, *_unfitted(question))
    streams = "; ".join(str(StreamPlan(precision)) for precision in question.precisions)
    return Answer(
        spec=spec,
        area_um2=cost.total_area_um2,
        power_uw={precision: each.power_uw for precision, each in costs.items()},
        settled_uw={precision: each.settled_power_uw for precision, each in costs.items()},
        idle_uw={precision: each.idle_uw for precision, each in costs.items()},
        products_per_cycle={precision: plan.products_per_cycle(spec) for precision, plan in plans.items()},
        minimum_period_ns=cost.minimum_period_ns,
        meets_clock=cost.meets_clock,
        source=_source(model, outside),
        library=model.library,
        corner=model.corner,
        clock_mhz=clock_mhz,
        activity=streams,
        toggles="glitch-aware",
        outside=outside,
    )


def _unfitted(question: Question) -> tuple[str, ...]:
    """Why a power is not of the kind that the model was fitted to: of designs that divide none was at different widths.

    Of uniform designs some were, and others held out.
    """
    if isinstance(question.spec, UniformSpec):
        return ()
    pairs = [each for each in question.precisions if each.weight_bits != each.activation_bits]
    return ("power at different widths of weights and activations",) if pairs else ()


def _source(model: LibraryModel, outside: Sequence[str]) -> str:
    """That an answer is the model's. Where the model was fitted to a part of the sweep, to how many designs; where to
    netlists of another flow, to which.
    """
    said, flow = "model", model.provenance.get("flow_version", str(FLOW_VERSION))
    if LEFT_OUT_DESIGNS in model.provenance:
        said += f" of {model.provenance.get('fitted_designs', 'few')} designs"
    if flow != str(FLOW_VERSION):
        said += f" of flow {flow}"
    return f"{said}, out of range" if outside else said
