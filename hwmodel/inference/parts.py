"""What the parts of an array cost: the interface between the model of networks and whatever knows about silicon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Protocol

from hwmodel.measurement import SynthesisRow
from hwmodel.workload import Role
from rtl.array import ElementSpec
from rtl.requant import LoadableSpec
from rtl.spec import Precision
from siliquant.inputs import InputError, InputTypeError, positive_number

from .memories import SramTable

__all__ = ["Costs", "EdgeCost", "MacCost", "MacModel", "UnitCost"]


def _check_numbers(cost: MacCost | EdgeCost | UnitCost) -> None:
    for field in fields(cost):
        value = getattr(cost, field.name)
        if isinstance(value, EdgeCost) or (value is None and field.name == "minimum_period_ns"):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputTypeError(f"{field.name} must be a number of at least 0, not {value!r}")
        if not 0 <= value < float("inf"):
            raise InputError(f"{field.name} must be a number of at least 0, not {value}")


@dataclass(frozen=True, kw_only=True)
class EdgeCost:
    """What a broadcast array has once for a row, a column, or all elements: operand registers above all, and logic on
    these operands alone. Fields as of MacCost.
    """

    area_um2: float
    energy_pj_per_cycle: float
    idle_pj_per_cycle: float
    leakage_uw: float

    def __post_init__(self) -> None:
        _check_numbers(self)


_NOTHING = EdgeCost(area_um2=0.0, energy_pj_per_cycle=0.0, idle_pj_per_cycle=0.0, leakage_uw=0.0)


@dataclass(frozen=True, kw_only=True)
class MacCost:
    """One element of an array.

    energy_pj_per_cycle: dynamic energy of a cycle with operands, with that of its clock, at one precision and operand
    stream. idle_pj_per_cycle: of a cycle without, of what no clock gate holds back. drain_pj: what it takes more for
    the drain register to take another sum. Leakage is in none of them. minimum_period_ns: None where unknown. row,
    column, shared: what a broadcast array has beside its elements.
    """

    area_um2: float
    energy_pj_per_cycle: float
    idle_pj_per_cycle: float
    leakage_uw: float
    minimum_period_ns: float | None
    drain_pj: float = 0.0
    row: EdgeCost = _NOTHING
    column: EdgeCost = _NOTHING
    shared: EdgeCost = _NOTHING

    def __post_init__(self) -> None:
        _check_numbers(self)

    def core_um2(self, rows: int, columns: int) -> float:
        """Area of an array of so many rows and columns."""
        return self._core(rows, columns, "area_um2")

    def core_pj_per_cycle(self, rows: int, columns: int) -> float:
        """Its energy of a cycle with operands."""
        return self._core(rows, columns, "energy_pj_per_cycle")

    def core_idle_pj_per_cycle(self, rows: int, columns: int) -> float:
        """Its energy of a cycle without."""
        return self._core(rows, columns, "idle_pj_per_cycle")

    def core_leakage_uw(self, rows: int, columns: int) -> float:
        """Its leakage."""
        return self._core(rows, columns, "leakage_uw")

    def _core(self, rows: int, columns: int, name: str) -> float:
        parts: tuple[tuple[int, MacCost | EdgeCost], ...] = (
            (rows * columns, self), (rows, self.row), (columns, self.column), (1, self.shared)
        )  # fmt: skip
        return sum(number * float(getattr(part, name)) for number, part in parts)


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
        if powered.power_uw is None or powered.idle_uw is None or powered.leakage_uw is None:
            raise InputError(f"the row of {row.design} must have power, and has none")
        return cls(
            area_um2=row.area_um2,
            energy_pj=(powered.power_uw - powered.leakage_uw) / row.clock_mhz,
            idle_pj_per_cycle=(powered.idle_uw - powered.leakage_uw) / row.clock_mhz,
            leakage_uw=powered.leakage_uw,
            minimum_period_ns=row.minimum_period_ns,
        )


class MacModel(Protocol):
    """What an element costs at a precision, under the operand stream of GEMMs of a role."""

    def __call__(self, element: ElementSpec, precision: Precision, role: Role) -> MacCost:
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
