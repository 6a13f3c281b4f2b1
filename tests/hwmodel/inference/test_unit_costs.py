"""The cost of a requantiser from its rows: energies by hand, and none from a row without power."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hwmodel.inference.parts import UnitCost
from siliquant.inputs import InputError

ROW = {"design": "thresholds", "area_um2": 120.0, "clock_mhz": 250.0, "minimum_period_ns": 1.5}
POWER = {"power_uw": 40.0, "idle_uw": 15.0, "leakage_uw": 5.0}


def made(**power: float | None) -> UnitCost:
    row: Any = SimpleNamespace(**ROW)
    return UnitCost.of_rows(row, SimpleNamespace(**POWER | power))  # type: ignore[arg-type]


def test_energies_are_power_without_leakage_by_the_clock() -> None:
    assert made() == UnitCost(
        area_um2=120.0, energy_pj=35 / 250, idle_pj_per_cycle=10 / 250, leakage_uw=5.0, minimum_period_ns=1.5
    )


@pytest.mark.parametrize("missing", POWER)
def test_a_row_without_power_is_refused(missing: str) -> None:
    with pytest.raises(InputError, match=r"^the row of thresholds must have power, and has none$"):
        made(**{missing: None})
