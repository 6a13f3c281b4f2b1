"""The paper's question at equal accuracy: does any mixed network beat the uniform ones in energy or area?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.experiments import Kept, difference

from .arrays import Point, array_points
from .evidence import Evidence
from .verdict import Outcome, Verdict

__all__ = ["Placed", "equal_verdict", "placed", "seeds_interval"]

_METHOD = "all"
"""What uniform networks are trained with here: as mixed ones, with all three remedies."""


@dataclass(frozen=True)
class Placed:
    """A point with the runs of its network: accuracy in percent, interval of 95 % of the mean over the seeds."""

    point: Point
    runs: tuple[Kept, ...]

    @property
    def accuracy(self) -> float:
        """Mean over seeds, percent."""
        return 100 * statistics.fmean(run.score for run in self.runs)


def seeds_interval(runs: Sequence[Kept]) -> tuple[float, float] | None:
    """The interval of 95 % of the mean score over seeds by Student's t, percent; None of fewer than three."""
    if len(runs) < 3:
        return None
    from scipy.stats import t

    scores = [100 * run.score for run in runs]
    half = float(t.ppf(0.975, len(scores) - 1)) * statistics.stdev(scores) / math.sqrt(len(scores))
    mean = statistics.fmean(scores)
    return mean - half, mean + half


def placed(evidence: Evidence) -> list[Placed]:
    """Points whose networks were trained, uniform ones first."""
    found = []
    for point in array_points(evidence):
        name = f"cifar10-{point.name}-{_METHOD}" if point.design == "uniform" else f"cifar10-{point.name}"
        runs = evidence.runs(name)
        if runs:
            found.append(Placed(point, tuple(runs)))
    return found


def equal_verdict(points: Sequence[Placed]) -> Verdict:
    """Of each mixed network the most accurate uniform one of at most its energy, or area, is looked at: it matches
    where its mean accuracy is at least as high, is beaten where it is significantly lower, and else nothing is told.
    """
    uniform = [each for each in points if each.point.design == "uniform"]
    mixed = [each for each in points if each.point.design != "uniform"]
    claim = "At equal accuracy one width with module-dependent scales needs less area and energy than mixed precision."
    rule = (
        "for every mixed network on every design there is a uniform one of at most its energy, and one of at most its "
        "area, at equal latency, whose mean accuracy is at least as high"
    )
    if not uniform or not mixed:
        return Verdict(claim, rule, Outcome.OPEN, ())
    said, matched, beaten = [], 0, 0
    for quantity, unit in (("energy_uj", "energy"), ("area_mm2", "area")):
        answers = {one: _answer(one, uniform, quantity) for one in mixed}
        better, unknown = ([one for one in mixed if answers[one] == answer] for answer in ("beaten", "not told"))
        same = len(mixed) - len(better) - len(unknown)
        matched, beaten = matched + same, beaten + len(better)
        said.append(
            f"{unit}: of {len(mixed)} mixed networks on arrays {same} are matched; {len(better)} beat all uniform ones "
            f"({_listed(better)}); of {len(unknown)} it is not told ({_listed(unknown)})"
        )
    every = 2 * len(mixed)
    outcome = Outcome.HOLDS if matched == every else Outcome.FAILS if beaten == every else Outcome.PARTLY
    return Verdict(claim, rule, outcome, tuple(said))


def _listed(points: Sequence[Placed]) -> str:
    return "; ".join(f"{each.point.design} at a mean of {each.point.mean} bits" for each in points) or "none"


def _answer(mixed: Placed, uniform: Sequence[Placed], quantity: str) -> str:
    fits = [each for each in uniform if getattr(each.point, quantity) <= getattr(mixed.point, quantity)]
    if not fits:
        return "beaten"
    best = max(fits, key=lambda each: each.accuracy)
    if best.accuracy >= mixed.accuracy:
        return "matched"
    found = difference(best.runs, mixed.runs)
    return "beaten" if found is not None and found.significant else "not told"
