"""Two models that know less, to compare the cost model with: fitted to the same points, relative errors alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import numpy as np

from hwmodel.model import Vector
from rtl.array import CoreSpec
from rtl.spec import MacSpec

from .fitting import Point

__all__ = ["polynomial", "product"]


def product(fitted: Sequence[Point], value: Callable[[Point], float], asked: Sequence[Point]) -> Vector:
    """a x weight bits x activation bits x lanes; ``a`` is fitted. Widths are those the hardware is made for."""

    def features(points: Sequence[Point]) -> Vector:
        return np.array([[np.prod(_widths(point.spec)) * _size(point.spec)] for point in points], dtype=np.float64)

    return _fitted(features, fitted, value, asked)


def polynomial(fitted: Sequence[Point], value: Callable[[Point], float], asked: Sequence[Point]) -> Vector:
    """All products of up to two of: weight bits, activation bits, lanes, pipeline stages, clock; and a constant."""

    def features(points: Sequence[Point]) -> Vector:
        plain = np.array([_plain(point) for point in points], dtype=np.float64)
        columns = [np.ones(len(points)), *plain.T]
        columns += [plain[:, i] * plain[:, j] for i, j in combinations_with_replacement(range(plain.shape[1]), 2)]
        return np.stack(columns, axis=1)

    return _fitted(features, fitted, value, asked)


def _fitted(
    features: Callable[[Sequence[Point]], Vector],
    fitted: Sequence[Point],
    value: Callable[[Point], float],
    asked: Sequence[Point],
) -> Vector:
    wanted = np.array([value(point) for point in fitted])
    rows = features(fitted)
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0] = 1.0
    found, *_ = np.linalg.lstsq(rows / scale / wanted[:, None], np.ones(len(wanted)), rcond=None)
    return np.asarray(features(asked) / scale @ found, dtype=np.float64)


def _widths(spec: MacSpec | CoreSpec) -> tuple[int, int]:
    widest = max(spec.precisions, key=lambda precision: precision.weight_bits * precision.activation_bits)
    return widest.weight_bits, widest.activation_bits


def _size(spec: MacSpec | CoreSpec) -> int:
    """Lanes or units; of an array those of all its elements."""
    if isinstance(spec, CoreSpec):
        return spec.rows * spec.columns * _size(spec.mac)
    return int(getattr(spec, spec.size_parameter))


def _plain(point: Point) -> tuple[float, ...]:
    spec = point.spec
    return (*_widths(spec), _size(spec), spec.pipeline_stages, point.clock_mhz)
