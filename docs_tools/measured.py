"""The measured rows that come with the package, by design: whatever is installed or kept on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwmodel.measurement import RowStore, SynthesisRow, attempt_of_row, settled_power_uw
from hwmodel.operands import StreamPlan
from hwmodel.synthesis import try_trials, weighed_precision
from rtl.spec import MacSpec, Precision

__all__ = ["Measured", "measured", "packaged_rows"]

CLOCK_MHZ = 500.0


@dataclass(frozen=True)
class Measured:
    """A design as it was synthesised: its row, and those with power by the text of their operand stream."""

    spec: MacSpec
    row: SynthesisRow
    powered: Mapping[str | None, SynthesisRow]

    def energy_fj(self, precision: Precision) -> float | None:
        """Energy of a product without glitches; None where its power was not measured at that precision."""
        plan = StreamPlan(precision)
        row = self.powered.get(str(plan))
        power_uw = None if row is None else settled_power_uw(row)
        if power_uw is None:
            return None
        return 1e3 * power_uw / self.row.clock_mhz / plan.products_per_cycle(self.spec)


@cache
def packaged_rows() -> tuple[SynthesisRow, ...]:
    """All of them."""
    with tempfile.TemporaryDirectory() as empty:
        return tuple(RowStore(folder=Path(empty)).rows())


@cache
def measured(spec: MacSpec, library: str = "freepdk45") -> Measured:
    """The pipelining and form of ``spec`` that the comparison chooses. Raises LookupError where it was not measured."""

    def find(form: MacSpec) -> Measured | None:
        rows = {
            row.activity: row
            for row in packaged_rows()
            if (row.design, row.library, row.clock_mhz, row.effort) == (form.design, library, CLOCK_MHZ, "normal")
            and row.spec == form.parameters
        }
        return Measured(form, rows[None], rows) if None in rows else None

    def power_uw(trial: Measured) -> float | None:
        powered = trial.powered.get(str(StreamPlan(weighed_precision(trial.spec))))
        return None if powered is None else powered.power_uw

    found = try_trials(spec, range(3), find, lambda each: attempt_of_row(each.row), power_uw)
    if found is None:
        raise LookupError(f"{spec.name} must be among the packaged rows of {library} at {CLOCK_MHZ:g} MHz")
    return found[0]
