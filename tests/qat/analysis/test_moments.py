"""qat.analysis.moments against scipy.stats, whatever the numbers are cut into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qat.analysis.moments import Moments
from siliquant.inputs import InputError


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
    st.sampled_from([0.0, 1.0, -4096.0]),
)
def test_parts_add_up_to_what_scipy_says_of_all(values: list[float], cuts: list[int], away: float) -> None:
    numbers = np.array(values, np.float64) + away
    whole = Moments()
    for part in np.split(numbers, sorted(min(cut, len(numbers)) for cut in cuts)):
        whole = whole + Moments.of(torch.from_numpy(part.copy()))
    assert whole.count == len(numbers)
    assert whole.largest == np.abs(numbers).max()
    assert whole.mean == pytest.approx(numbers.mean(), abs=1e-9, rel=1e-9)
    assert whole.deviation == pytest.approx(numbers.std(), abs=1e-6, rel=1e-7)
    if numbers.std() > 1e-2:
        assert whole.kurtosis == pytest.approx(stats.kurtosis(numbers), rel=1e-6, abs=1e-6)
        assert whole.peak == pytest.approx(np.abs(numbers).max() / numbers.std(), rel=1e-7)


def test_a_heavy_tail_and_a_normal_one() -> None:
    draw = np.random.default_rng(0)
    for numbers, expected in ((draw.normal(size=200_000), 0.0), (draw.laplace(size=200_000), 3.0),
                              (draw.uniform(size=200_000), -1.2)):  # fmt: skip
        parts = [Moments.of(torch.from_numpy(part.copy())) for part in np.split(numbers, 8)]
        found = sum(parts[1:], parts[0])
        assert found.kurtosis == pytest.approx(stats.kurtosis(numbers), rel=1e-9, abs=1e-9)
        assert found.kurtosis == pytest.approx(expected, abs=0.15)


def test_numbers_that_are_alike_have_no_kurtosis() -> None:
    found = Moments.of(torch.full((4,), 2.0))
    assert (found.kurtosis, found.peak, found.deviation, found.largest) == (None, None, 0.0, 2.0)
    assert Moments.of(torch.zeros(0)) == Moments() == Moments() + Moments()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="numbers must be finite to be analysed, but one is NaN or infinite"):
        Moments.of(torch.tensor([0.0, wrong]))
