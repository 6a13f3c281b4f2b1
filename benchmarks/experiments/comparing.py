"""Means of runs and their differences, with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from siliquant.inputs import wilson_interval

from .records import Kept

__all__ = ["Difference", "difference", "mean_interval"]


@dataclass(frozen=True)
class Difference:
    """Mean difference of two experiments over the seeds that both have, in points of percent; half of its interval of
    95 % by Student's t, None with fewer than three seeds.
    """

    mean: float
    half: float | None
    seeds: int

    @property
    def significant(self) -> bool:
        """Whether its interval leaves 0 out."""
        return self.half is not None and abs(self.mean) > self.half

    def __str__(self) -> str:
        if self.half is None:
            return f"{self.mean:+.2f} points over {self.seeds} seed{'s' * (self.seeds > 1)}, too few for an interval"
        low, high = self.mean - self.half, self.mean + self.half
        return f"{self.mean:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f} over {self.seeds} seeds"


def difference(first: Sequence[Kept], second: Sequence[Kept]) -> Difference | None:
    """How much the second has above the first, seed by seed; None where no seed has both."""
    by_seed = {run.seed: run.score for run in first}
    differences = [100 * (run.score - by_seed[run.seed]) for run in second if run.seed in by_seed]
    if not differences:
        return None
    count, half = len(differences), None
    if count >= 3:
        from scipy.stats import t

        half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return Difference(statistics.fmean(differences), half, count)


def mean_interval(runs: Sequence[Kept]) -> tuple[float, float]:
    """Wilson's interval of the mean accuracy for the test samples: what another test set of this size might give."""
    n = runs[0].samples
    return wilson_interval(round(statistics.fmean(run.score for run in runs) * n), n)
