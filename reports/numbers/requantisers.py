"""What turning accumulators into codes costs: thresholds and multipliers of every code width, beside the MAC."""

from __future__ import annotations

from hwmodel.comparison import EXACT, ModelAnswers, UnitRow, mac_question, measured_or, unit_rows, units
from hwmodel.library import find_library
from hwmodel.measurement import Bench
from hwmodel.model import LibraryModel

__all__ = ["requantisers"]


def requantisers(model: LibraryModel, clock_mhz: float, lanes: int) -> tuple[UnitRow, ...]:
    """The section of ``hwmodel.compare`` on requantisation, at all code widths: units as they were measured before,
    estimated where they were not. lanes: of the uniform MAC.
    """
    asked, estimates = units(tuple(EXACT), lanes), ModelAnswers(model, clock_mhz, 1)
    questions = [mac_question(each) for each in asked]
    get, unit, _ = measured_or(lambda: Bench(find_library(model.library), clock_mhz), questions, asked, estimates)
    return tuple(unit_rows(asked, unit, get))
