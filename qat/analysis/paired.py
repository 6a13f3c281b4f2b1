"""Two networks on the same samples: how much loss and accuracy differ, and whether that can be told from nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from siliquant.inputs import InputError, wilson_interval

__all__ = ["Answers", "Difference", "difference"]

RESAMPLES = 2000
_AT_ONCE = 1 << 22  # numbers drawn at once


@dataclass(frozen=True, eq=False)
class Answers:
    """losses: float64 [n], of each sample. correct: bool [n], whether its class is the predicted one; None for a
    regression.
    """

    losses: NDArray[np.float64]
    correct: NDArray[np.bool_] | None

    @property
    def loss(self) -> float:
        """Mean over samples: nats of cross-entropy; of a regression the squared error."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> tuple[float, float, float] | None:
        """A share from 0 to 1, and the ends of Wilson's interval of 95 %; None for a regression."""
        if self.correct is None:
            return None
        right, n = int(self.correct.sum()), len(self.correct)
        return right / n, *wilson_interval(right, n)


@dataclass(frozen=True)
class Difference:
    """Of one network from another, over the same samples.

    loss, low, high: rise of the mean loss and its interval of 95 %, a percentile bootstrap over samples. accuracy: rise
    of the share of correct samples; None for a regression. gained, lost: samples that only this one, or only the other
    has right. p_value: of the exact McNemar test, two-sided: that gained and lost differ by chance.
    """

    loss: float
    low: float
    high: float
    accuracy: float | None
    gained: int | None
    lost: int | None
    p_value: float | None

    @property
    def told(self) -> bool:
        """Whether the rise of the loss can be told from 0: its interval has not both signs, nor 0."""
        return self.low > 0 or self.high < 0


def difference(ours: Answers, theirs: Answers, seed: int = 0) -> Difference:
    """What changes from `theirs` to `ours`. InputError unless both are of the same number of samples."""
    if len(ours.losses) != len(theirs.losses) or (ours.correct is None) != (theirs.correct is None):
        raise InputError("two networks must be compared on the same samples")
    from scipy.stats import binomtest, bootstrap

    apart = ours.losses - theirs.losses
    rise = float(apart.mean())
    low = high = rise
    if len(apart) > 1 and bool((apart != apart[0]).any()):
        batch = max(_AT_ONCE // len(apart), 1)
        interval = bootstrap(
            (apart,), np.mean, n_resamples=RESAMPLES, batch=batch, method="percentile", rng=np.random.default_rng(seed)
        ).confidence_interval
        low, high = min(float(interval.low), rise), max(float(interval.high), rise)
    if ours.correct is None or theirs.correct is None:
        return Difference(rise, low, high, None, None, None, None)
    gained, lost = int((ours.correct & ~theirs.correct).sum()), int((~ours.correct & theirs.correct).sum())
    p_value = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Difference(rise, low, high, (gained - lost) / len(apart), gained, lost, p_value)
