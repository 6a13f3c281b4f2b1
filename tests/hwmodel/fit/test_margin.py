"""The margin of netlists that meet a clock, against a search for the least squares of relative errors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwmodel.fit.fitting import _fit_margin


@pytest.mark.parametrize("seed", range(5))
def test_the_margin_has_the_least_relative_error(seed: int) -> None:
    """period = clock period - margin * (clock period - fastest), where the relaxed netlist is slower than the clock."""
    rng = np.random.default_rng(seed)
    fastest = rng.uniform(0.2, 4.0, 12)
    relaxed = fastest * rng.uniform(1.5, 3.0, 12)
    clock = fastest * rng.uniform(1.05, 2.5, 12)
    pressed = relaxed > clock
    assert 3 < pressed.sum() < 12
    measured = clock - np.where(pressed, rng.uniform(0.1, 0.6, 12), 0.0) * (clock - fastest)
    pairs = [
        (SimpleNamespace(fastest_ns=f, relaxed_ns=r), SimpleNamespace(minimum_period_ns=m, clock_mhz=1000.0 / c))
        for f, r, c, m in zip(fastest, relaxed, clock, measured, strict=True)
    ]
    shares = np.linspace(0.0, 1.0, 100_001)[:, None]
    errors = (((clock - shares * np.where(pressed, clock - fastest, 0.0)) / measured - 1) ** 2).sum(axis=1)
    assert _fit_margin(pairs) == pytest.approx(float(shares[errors.argmin(), 0]), abs=1e-5)  # type: ignore[arg-type]


def test_nothing_pressed_has_no_margin() -> None:
    pair = SimpleNamespace(fastest_ns=1.0, relaxed_ns=2.0), SimpleNamespace(minimum_period_ns=2.0, clock_mhz=400.0)
    assert _fit_margin([pair]) == 0.0  # type: ignore[list-item]


@pytest.mark.parametrize(("measured", "margin"), [(4.0, 0.0), (3.5, 0.0), (2.0, 0.5), (0.5, 1.0)])
def test_a_margin_is_a_share(measured: float, margin: float) -> None:
    """Of the way from a clock of 3 ns to the fastest netlist of 1 ns: none beyond either end."""
    pair = (
        SimpleNamespace(fastest_ns=1.0, relaxed_ns=5.0),
        SimpleNamespace(minimum_period_ns=measured, clock_mhz=1000.0 / 3.0),
    )
    assert _fit_margin([pair]) == pytest.approx(margin)  # type: ignore[list-item]
