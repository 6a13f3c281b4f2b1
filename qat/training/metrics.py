"""What a test split is judged by: accuracy, and the metrics of the GLUE tasks, each with its interval of 95 %.

Which task has which is in Wang et al., "GLUE: A Multi-Task Benchmark and Analysis Platform" (ICLR 2019), table 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from siliquant.inputs import wilson_interval

__all__ = ["METRICS", "Metric", "Score"]

_Z = 1.959964
_RESAMPLES = 10_000
_PERCENTILES = (2.5, 97.5)
_EXTREME = 0.9999999  # Fisher's z is infinite at 1
_Table = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A metric of a test split, and the ends of its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """title: as it is called in a sentence. of: its score, from logits float32 [n, classes] and labels [n]."""

    title: str
    of: Callable[[Tensor, Tensor], Score]


def _accuracy(logits: Tensor, labels: Tensor) -> Score:
    correct = int((logits.argmax(-1) == labels).sum())
    return Score(correct / len(labels), *wilson_interval(correct, len(labels)))


def _of_table(measure: Callable[[_Table], NDArray[np.float64]]) -> Callable[[Tensor, Tensor], Score]:
    """A measure of tables [..., labels, predictions] of counts; the interval is a percentile bootstrap over samples,
    which draws tables, always the same.
    """

    def of(logits: Tensor, labels: Tensor) -> Score:
        classes = logits.shape[1]
        cells = (labels * classes + logits.argmax(-1)).numpy()
        counts = np.bincount(cells, minlength=classes**2)
        drawn = np.random.default_rng(0).multinomial(len(labels), counts / counts.sum(), _RESAMPLES)
        shape = classes, classes
        value = float(measure(counts.reshape(shape)))
        low, high = np.percentile(measure(drawn.reshape(-1, *shape)), _PERCENTILES)
        return Score(value, min(value, float(low)), max(value, float(high)))

    return of


def _matthews(tables: _Table) -> NDArray[np.float64]:
    """Matthews' correlation, for any number of classes (Gorodkin 2004); 0 where all labels or predictions are alike."""
    table = tables.astype(np.float64)
    n, right = table.sum((-2, -1)), np.trace(table, axis1=-2, axis2=-1)
    true, guessed = table.sum(-1), table.sum(-2)
    spread = (n**2 - (true**2).sum(-1)) * (n**2 - (guessed**2).sum(-1))
    covered = n * right - (true * guessed).sum(-1)
    return np.divide(covered, np.sqrt(spread), out=np.zeros_like(covered), where=spread > 0)


def _f1(tables: _Table) -> NDArray[np.float64]:
    """F1 of class 1; 0 where it is neither there nor predicted."""
    hits = tables[..., 1, 1].astype(np.float64)
    named = tables[..., 1, :].sum(-1) + tables[..., :, 1].sum(-1)
    return np.divide(2 * hits, named, out=np.zeros_like(hits), where=named > 0)


def _correlation(rank: bool) -> Callable[[Tensor, Tensor], Score]:
    """Pearson's correlation, or Spearman's, of the only output; 0 where all are the same. The interval is by Fisher's
    z, for ranks with the variance of Bonett and Wright (2000).
    """

    def of(logits: Tensor, labels: Tensor) -> Score:
        from scipy.stats import rankdata

        pair = [side.double().numpy() for side in (logits[:, 0], labels)]
        if rank:
            pair = [rankdata(side) for side in pair]
        first, second = (side - side.mean() for side in pair)
        size = math.sqrt(float((first**2).sum() * (second**2).sum()))
        value = float((first * second).sum()) / size if size > 0 else 0.0
        value = min(max(value, -1.0), 1.0)
        variance = (1 + value**2 / 2 if rank else 1.0) / max(len(labels) - 3, 1)
        z, half = math.atanh(min(max(value, -_EXTREME), _EXTREME)), _Z * math.sqrt(variance)
        return Score(value, min(value, math.tanh(z - half)), max(value, math.tanh(z + half)))

    return of


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": Metric("accuracy", _accuracy),
        "matthews": Metric("Matthews correlation", _of_table(_matthews)),
        "f1": Metric("F1", _of_table(_f1)),
        "pearson": Metric("Pearson correlation", _correlation(rank=False)),
        "spearman": Metric("Spearman correlation", _correlation(rank=True)),
    }
)
"""By name, all of :data:`qat.settings.METRIC_NAMES`; the values are shares or correlations, at most 1."""
