"""Where the search for thresholds and multipliers ends: bounds, and numbers that are written out."""

from __future__ import annotations

import numpy as np
import pytest

from rtl.requant import find_thresholds


def test_accumulators_have_at_most_48_bits() -> None:
    for low, high in ((-(2**48), 0), (0, 2**48), (-(2**48), 2**48)):
        with pytest.raises(ValueError, match=r"^low and high must be below 2\*\*48 in magnitude$"):
            find_thresholds(lambda x: np.clip(x, -2, 1), [low], [high], 2, True)
    most = 2**48 - 1
    assert find_thresholds(lambda x: np.clip(x, -2, 1), [-most], [most], 2, True).tolist() == [[-1, 0, 1]]
