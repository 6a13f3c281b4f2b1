"""Oscillating weights by class through training, and whether runs with more of them are less accurate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qat.network import role_of
from qat.training import read_record
from siliquant.inputs import InputError, at, json_object, member, read_text, short

from .parts import class_of

__all__ = ["LEAST_RUNS", "Correlation", "Group", "Trajectory", "groups", "read_runs", "spearman"]

LEAST_RUNS = 5
"""Runs below which nothing is said of a correlation."""
_MOST_BYTES = 64 << 20
_EXACT = 8  # runs up to which all orders are counted
_Z = 1.959964


@dataclass(frozen=True)
class Trajectory:
    """A run. data: name and fingerprint of its test samples. epochs: numbers of those recorded. shares: of all weights
    that oscillate, after each; by_class: the same, the mean over the GEMMs of a class. score, low, high: after the last
    epoch, with the interval of 95 %.
    """

    name: str
    model: str
    data: str
    fingerprint: str
    weight_bits: int
    activation_bits: int
    epochs: tuple[int, ...]
    shares: tuple[float, ...]
    by_class: Mapping[str, tuple[float, ...]]
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Correlation:
    """Spearman's, of `runs` pairs. low, high: interval of 95 % by Fisher's z with the variance of Bonett and Wright
    (2000). p_value: of the permutation test, two-sided. All None where one side is the same everywhere.
    """

    runs: int
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class Group:
    """Runs that can be compared: one model, one data set, one width. correlations of the share of oscillating weights
    at the end with the score, by class, "all" first; empty for fewer than LEAST_RUNS.
    """

    runs: tuple[Trajectory, ...]
    correlations: Mapping[str, Correlation]


def read_runs(folders: Sequence[Path]) -> list[Trajectory]:
    """Runs of qat.train that were quantised and have finished an epoch. InputError for any other."""
    found = [_read(folder) for folder in folders]
    names = [run.name for run in found]
    if len(set(names)) != len(names):
        raise InputError(f"runs must be folders with different names, not {', '.join(names)}")
    return found


def _read(folder: Path) -> Trajectory:
    record = read_record(folder)
    if record.scheme is None:
        raise InputError(f"{folder} must be a quantised run: at full precision nothing oscillates")
    path = folder / "metrics.jsonl"
    if not path.exists():
        raise InputError(f"{path} must be there: the run has not finished an epoch yet")
    lines = read_text(path, _MOST_BYTES).splitlines()
    history = [json_object(line, path) for line in lines]
    if not history:
        raise InputError("it must have at least one epoch", file=path)
    epochs, shares, modules = [], [], []
    for number, entry in enumerate(history, 1):
        with at(f"line {number}"):
            epochs.append(member(entry, "epoch", int))
            shares.append(_share("oscillation", entry.get("oscillation"), path))
            modules.append({name: _share(name, each, path)
                            for name, each in member(entry, "oscillation_by_module", dict).items()})  # fmt: skip
    score, low, high = (_number(name, history[-1].get(name), path) for name in ("test_score", "test_low", "test_high"))
    by_epoch = [_by_class(each) for each in modules]
    options = record.options
    size = options.get("image_size")
    return Trajectory(
        folder.absolute().name, f"{options['model']}{f', {size} pixels' if size else ''}", record.data["name"],
        record.data["test_fingerprint"], record.scheme.weight_bits, record.scheme.activation_bits, tuple(epochs),
        tuple(shares), {name: tuple(each.get(name, 0.0) for each in by_epoch) for name in by_epoch[-1]},
        score, low, high,
    )  # fmt: skip


def _by_class(modules: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for name, value in modules.items():
        found.setdefault(class_of(role_of(name), 1), []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _number(name: str, value: Any, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {short(value)}", file=path)
    return float(value)


def _share(name: str, value: Any, path: Path) -> float:
    found = _number(name, value, path)
    if not 0 <= found <= 1:
        raise InputError(f"{name} must be a share from 0 to 1, not {short(value)}", file=path)
    return found


def groups(runs: Sequence[Trajectory]) -> list[Group]:
    """Runs that differ in neither network, data nor widths, in order of their first."""
    found: dict[tuple[Any, ...], list[Trajectory]] = {}
    for run in runs:
        key = run.model, run.data, run.fingerprint, run.weight_bits, run.activation_bits
        found.setdefault(key, []).append(run)
    return [Group(tuple(each), _correlations(each)) for each in found.values()]


def _correlations(runs: Sequence[Trajectory]) -> dict[str, Correlation]:
    if len(runs) < LEAST_RUNS:
        return {}
    scores = np.array([run.score for run in runs])
    sides = {"all": [run.shares[-1] for run in runs]}
    for name in runs[0].by_class:
        if all(name in run.by_class for run in runs):
            sides[name] = [run.by_class[name][-1] for run in runs]
    return {name: spearman(np.array(side), scores) for name, side in sides.items()}


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> Correlation:
    """Of two arrays [runs]. The interval of a correlation of 1 is that of the nearest one that is possible, since
    Fisher's z has none there.
    """
    from scipy.stats import permutation_test, spearmanr

    n = len(first)
    if len(set(first.tolist())) < 2 or len(set(second.tolist())) < 2:
        return Correlation(n, None, None, None, None)
    value = float(spearmanr(first, second).statistic)
    most = 1 - 12 / (n * (n * n - 1))  # two neighbours in the wrong order
    inside = min(max(value, -most), most)
    half = _Z * math.sqrt((1 + inside**2 / 2) / max(n - 3, 1))
    z = math.atanh(inside)
    if n <= _EXACT:
        p_value = float(
            permutation_test(
                (first,), lambda order: spearmanr(order, second).statistic, permutation_type="pairings",
                n_resamples=math.inf, vectorized=False,
            ).pvalue
        )  # fmt: skip
    else:
        p_value = float(spearmanr(first, second).pvalue)
    return Correlation(n, value, min(value, math.tanh(z - half)), max(value, math.tanh(z + half)), p_value)
