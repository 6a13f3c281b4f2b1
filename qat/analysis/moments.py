"""Moments of numbers that come in parts: count, mean, variance, kurtosis and the largest magnitude, in float64.

Parts are added by the formulas of Pébay, "Formulas for robust, one-pass parallel computation of covariances and
arbitrary-order statistical moments" (Sandia SAND2008-6212, 2008), which lose no digits where the mean is large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from siliquant.inputs import InputError

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """count: of numbers. second, third, fourth: sums of powers of their distances from the mean. largest: max |x|."""

    count: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    largest: float = 0.0

    @classmethod
    def of(cls, x: Tensor) -> Moments:
        """Of all elements of a tensor. InputError where one is NaN or infinite."""
        if not x.numel():
            return cls()
        values = x.detach().double().reshape(-1)
        largest = float(values.abs().max())
        if not math.isfinite(largest):
            raise InputError("numbers must be finite to be analysed, but one is NaN or infinite")
        mean = values.mean()
        away = values - mean
        squares = away * away
        second, third, fourth = (float(each.sum()) for each in (squares, squares * away, squares * squares))
        return cls(values.numel(), float(mean), second, third, fourth, largest)

    def __add__(self, other: Moments) -> Moments:
        """Of the numbers of both."""
        if not self.count or not other.count:
            return self if self.count else other
        a, b = self.count, other.count
        n, apart = a + b, other.mean - self.mean
        step = apart / n
        second = self.second + other.second + apart * step * a * b
        third = (
            self.third + other.third + apart * step * step * a * b * (a - b)
            + 3 * step * (a * other.second - b * self.second)
        )  # fmt: skip
        fourth = (
            self.fourth + other.fourth + apart * step**3 * a * b * (a * a - a * b + b * b)
            + 6 * step * step * (a * a * other.second + b * b * self.second)
            + 4 * step * (a * other.third - b * self.third)
        )  # fmt: skip
        mean = self.mean + step * b
        return Moments(n, mean, second, third, fourth, max(self.largest, other.largest))

    @property
    def deviation(self) -> float:
        """Standard deviation, of the population."""
        return math.sqrt(self.second / self.count) if self.count else 0.0

    @property
    def kurtosis(self) -> float | None:
        """Excess kurtosis, 0 for normal numbers; None where all numbers are alike."""
        return self.count * self.fourth / self.second**2 - 3 if self.second > 0 else None

    @property
    def peak(self) -> float | None:
        """Largest magnitude in standard deviations; None where all numbers are alike."""
        return self.largest / self.deviation if self.second > 0 else None
