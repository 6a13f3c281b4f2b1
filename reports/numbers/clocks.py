"""Area of a design at one clock period after another, each time with the pipelining that is best there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.comparison import EQUAL_THROUGHPUT, Question, model_answer
from hwmodel.model import LibraryModel

from .designs import Subject

__all__ = ["Curve", "curves"]

_NO_CLOCK_MHZ = 1e6  # nothing runs at it: what answers is the fastest pipelining at its fastest
_LONGEST = 2.0  # times the period of the comparison: from there on areas hardly change
_STEPS = 24


@dataclass(frozen=True)
class Curve:
    """Area in um2 per MAC a cycle at clock periods in ns, rising; the first period is the shortest that is met."""

    subject: Subject
    periods_ns: tuple[float, ...]
    areas_um2: tuple[float, ...]

    @property
    def fastest_ns(self) -> float:
        """The shortest period that the design meets."""
        return self.periods_ns[0]

    def area_um2(self, period_ns: float) -> float | None:
        """Between the points on a straight line; None at a period that is not met."""
        if not self.fastest_ns <= period_ns <= self.periods_ns[-1]:
            return None
        return float(np.interp(period_ns, self.periods_ns, self.areas_um2))


def curves(found: Sequence[Subject], model: LibraryModel) -> tuple[Curve, ...]:
    """The curves of all designs at equal throughput, up to twice the period of the comparison, or of the slowest."""
    chosen = [subject for subject in found if subject.row.normalisation == EQUAL_THROUGHPUT]
    fastest = [_fastest_ns(subject, model) for subject in chosen]
    longest = max(_LONGEST * 1000.0 / chosen[0].row.clock_mhz, *(1.25 * period for period in fastest))
    made = []
    for subject, first in zip(chosen, fastest, strict=True):
        periods = [first, *(period for period in _grid(min(fastest), longest) if period > first)]
        areas = [_area_um2(subject, model, period) for period in periods]
        made.append(Curve(subject, tuple(periods), tuple(areas)))
    return tuple(made)


def _grid(first: float, last: float) -> list[float]:
    """The same for all curves, closer where periods are short."""
    return [float(period) for period in np.geomspace(first, last, _STEPS)]


def _question(subject: Subject) -> Question:
    """Area does not depend on operands: one precision will do."""
    return Question(subject.entry.spec, subject.entry.question.precisions[:1])


def _fastest_ns(subject: Subject, model: LibraryModel) -> float:
    period = model_answer(_question(subject), model, _NO_CLOCK_MHZ).minimum_period_ns
    assert period is not None
    return period * (1 + 1e-9)  # so that its clock is met, whatever is lost in turning one into the other


def _area_um2(subject: Subject, model: LibraryModel, period_ns: float) -> float:
    answer = model_answer(_question(subject), model, 1000.0 / period_ns)
    assert answer.meets_clock
    return answer.area_um2 / subject.row.macs_per_cycle
