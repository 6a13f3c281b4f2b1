"""An estimated design in the terms of the rule that gives designs their pipeline stages."""

from __future__ import annotations

from hwmodel.synthesis import Attempt

from .model import LibraryModel, Shape, still_cost

__all__ = ["attempt_of_shape"]


def attempt_of_shape(shape: Shape, model: LibraryModel, clock_mhz: float) -> Attempt:
    """An estimated design. What its operands do is not asked for: counting transitions takes longest."""
    cost = still_cost(shape, model, clock_mhz)
    met = cost.meets_clock
    return Attempt(cost.total_area_um2, cost.minimum_period_ns, met, met and cost.pressure == 0)
