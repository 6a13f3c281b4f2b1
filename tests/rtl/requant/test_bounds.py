"""Where the search for thresholds and multipliers ends: bounds, and numbers that are written out."""

from __future__ import annotations

import numpy as np
import pytest

from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec, find_thresholds
from rtl.requant.fit import fit_multiplier


def test_accumulators_have_at_most_48_bits() -> None:
    for low, high in ((-(2**48), 0), (0, 2**48), (-(2**48), 2**48)):
        with pytest.raises(ValueError, match=r"^low and high must be below 2\*\*48 in magnitude$"):
            find_thresholds(lambda x: np.clip(x, -2, 1), [low], [high], 2, True)
    most = 2**48 - 1
    assert find_thresholds(lambda x: np.clip(x, -2, 1), [-most], [most], 2, True).tolist() == [[-1, 0, 1]]


def test_units_without_parameters() -> None:
    assert [unit().name for unit in (ThresholdSpec, MultiplierSpec, PartialSumSpec)] == [
        "thresholds_n20_g1_b4_s1", "multiplier_n20_g1_b4_s1_m12_o24_h16_v0", "partialsum_n20_g1_m12"
    ]  # fmt: skip


@pytest.mark.parametrize("width", [0, 33])
def test_a_multiplier_that_is_fitted_has_1_to_32_bits(width: int) -> None:
    for good in (1, 32):
        assert fit_multiplier([[0, 2, 4]], [-4], [9], multiplier_width=good).differing.shape == (1,)
    with pytest.raises(ValueError, match=rf"^multiplier_width must be an integer from 1 to 32, not {width}$"):
        fit_multiplier([[0, 2, 4]], [-4], [9], multiplier_width=width)
