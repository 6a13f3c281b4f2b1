"""What is checked, and the check of one spec."""

from __future__ import annotations

import time

from rtl.requant import RequantSpec
from rtl.spec.mac import MacSpec
from tests.exhaustive.macs import check_pairs, mac_specs
from tests.exhaustive.units import check_accumulators, unit_specs

__all__ = ["check", "specs"]


def specs() -> list[MacSpec | RequantSpec]:
    """Every MAC design and requantiser."""
    return [*mac_specs(), *unit_specs()]


def check(spec: MacSpec | RequantSpec) -> tuple[int, float]:
    """How many results were compared, and the seconds that took. Raises AssertionError for one that is wrong."""
    start = time.perf_counter()
    if isinstance(spec, RequantSpec):
        results = check_accumulators(spec)
    else:
        results = sum(check_pairs(spec, precision) for precision in spec.precisions)
    return results, time.perf_counter() - start
