"""What the parts of an array cost: the interface between the model of networks and whatever knows about silicon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

from hwmodel.checks import positive_number
from hwmodel.row import SynthesisRow
from hwmodel.sram import SramTable
from hwmodel.workload import Role
from rtl.requant import LoadableSpec
from rtl.spec import MacSpec, Precision

__all__ = ["Costs", "MacCost", "MacModel", "UnitCost"]


@dataclass(frozen=True, kw_only=True)
class MacCost:
    """One element of an array.

    energy_pj_per_cycle: dynamic energy of a cycle with operands, with that of its clock, at one precision and operand
    stream. idle_pj_per_cycle: of a cycle without, the clock's. Leakage is in neither. minimum_period_ns: None where
    unknown.
    """

    area_um2: float
    energy_pj_per_cycle: float
    idle_pj_per_cycle: float
    leakage_uw: float
    minimum_period_ns: float | None

    def __post_init__(self) -> None:
        _check_numbers(self)

    @classmethod
    def of_rows(cls, row: SynthesisRow, powered: SynthesisRow) -> MacCost:
        """From the synthesis row of a design and the one with its power at a precision.

        Raises ValueError where that has no power.
        """
        return cls(**_of_rows(row, powered, "energy_pj_per_cycle"))


@dataclass(frozen=True, kw_only=True)
class UnitCost:
    """One requantiser or partial-sum unit; energy_pj is of one accumulator, otherwise as MacCost."""

    area_um2: float
    energy_pj: float
    idle_pj_per_cycle: float
    leakage_uw: float
    minimum_period_ns: float | None

    def __post_init__(self) -> None:
        _check_numbers(self)

    @classmethod
    def of_rows(cls, row: SynthesisRow, powered: SynthesisRow) -> UnitCost:
        """From the synthesis row of a unit and the one with its power. Raises ValueError where that has no power."""
        return cls(**_of_rows(row, powered, "energy_pj"))


class MacModel(Protocol):
    """What an element costs at a precision, under the operand stream of GEMMs of a role."""

    def __call__(self, mac: MacSpec, precision: Precision, role: Role) -> MacCost:
        """The cost. Raises ValueError where it is not known; nothing is guessed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What the parts of an array cost, in one library at one clock.

    mac: of an element; its area, leakage and period must be the same at every precision and role. unit: of a
    requantiser or partial-sum unit. sram: macros of the same technology node, None to leave memories out.
    off_chip_pj_per_bit: None leaves the energy of off-chip traffic out; its bytes are counted all the same.
    """

    mac: MacModel
    unit: Callable[[LoadableSpec], UnitCost]
    clock_mhz: float
    sram: SramTable | None
    off_chip_pj_per_bit: float | None = None

    def __post_init__(self) -> None:
        positive_number("clock_mhz", self.clock_mhz)
        if self.off_chip_pj_per_bit is not None:
            positive_number("off_chip_pj_per_bit", self.off_chip_pj_per_bit)


def _of_rows(row: SynthesisRow, powered: SynthesisRow, name: str) -> dict[str, Any]:
    if powered.power_uw is None or powered.clock_uw is None or powered.leakage_uw is None:
        raise ValueError(f"the row of {row.design} must have power, and has none")
    return {
        "area_um2": row.area_um2,
        name: (powered.power_uw - powered.leakage_uw) / row.clock_mhz,
        "idle_pj_per_cycle": powered.clock_uw / row.clock_mhz,
        "leakage_uw": powered.leakage_uw,
        "minimum_period_ns": row.minimum_period_ns,
    }


def _check_numbers(cost: MacCost | UnitCost) -> None:
    for field in fields(cost):
        value = getattr(cost, field.name)
        if value is None and field.name == "minimum_period_ns":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{field.name} must be a number of at least 0, not {value!r}")
        if not 0 <= value < float("inf"):
            raise ValueError(f"{field.name} must be a number of at least 0, not {value}")
