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
    """A mixed network beats the uniform ones in a quantity where none of them has at most as much of it and is not
    significantly less accurate.
    """
    uniform = [each for each in points if each.point.design == "uniform"]
    mixed = [each for each in points if each.point.design != "uniform"]
    claim = "At equal accuracy one width with module-dependent scales needs less area and energy than mixed precision."
    rule = (
        "for every mixed network on every design there is a uniform one of at most its energy (area) that is not "
        "significantly less accurate, at equal latency"
    )
    if not uniform or not mixed:
        return Verdict(claim, rule, Outcome.OPEN, ())
    said, lost = [], []
    for quantity, unit in (("energy_uj", "energy"), ("area_mm2", "area")):
        beats = [one for one in mixed if not any(_covers(other, one, quantity) for other in uniform)]
        lost.append(len(beats))
        which = "; ".join(f"{one.point.design} at a mean of {one.point.mean} bits" for one in beats) or "none"
        said.append(f"{unit}: of {len(mixed)} mixed networks on arrays, {len(beats)} are not matched: {which}")
    outcome = Outcome.HOLDS if not any(lost) else Outcome.FAILS if min(lost) == len(mixed) else Outcome.PARTLY
    return Verdict(claim, rule, outcome, tuple(said))


def _covers(uniform: Placed, mixed: Placed, quantity: str) -> bool:
    if getattr(uniform.point, quantity) > getattr(mixed.point, quantity):
        return False
    found = difference(uniform.runs, mixed.runs)
    return found is not None and (found.mean <= 0 or (found.half is not None and not found.significant))
