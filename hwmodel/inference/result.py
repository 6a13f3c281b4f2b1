"""Results of one inference: energy by part, area by part, cycles and accesses by GEMM. They add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

from hwmodel.workload import Assignment, Gemm, Module, PrecisionClass, Role, Scales, Width
from rtl.array import ArraySpec
from siliquant.inputs import InputError

from .tiling import Overlap

__all__ = ["Area", "Energy", "GemmCost", "NetworkCost"]

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy in pJ by part.

    mac_pj: elements, with their clock while no operands enter. requantisation_pj: requantisers and partial sums, with
    their clock. *_sram_pj: accesses. off_chip_pj: 0 unless an energy a bit was given. leakage_pj: of everything.
    """

    mac_pj: float = 0.0
    requantisation_pj: float = 0.0
    activation_sram_pj: float = 0.0
    weight_sram_pj: float = 0.0
    result_sram_pj: float = 0.0
    off_chip_pj: float = 0.0
    leakage_pj: float = 0.0

    def __add__(self, other: Energy) -> Energy:
        return Energy(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(Energy)}
        )

    def __mul__(self, times: float) -> Energy:
        return Energy(**{field.name: getattr(self, field.name) * times for field in fields(Energy)})

    def __radd__(self, other: object) -> Energy:
        if other == 0:  # the start of sum()
            return self
        return NotImplemented

    @property
    def by_part(self) -> dict[str, float]:
        """Name of the part, without its unit, to pJ."""
        return {field.name.removesuffix("_pj"): getattr(self, field.name) for field in fields(Energy)}

    @property
    def total_pj(self) -> float:
        """Of all parts."""
        return sum(self.by_part.values())


@dataclass(frozen=True, kw_only=True)
class Area:
    """Area in um2 by part; memories are 0 where no table of them was given."""

    mac_um2: float
    requantisation_um2: float
    activation_sram_um2: float
    weight_sram_um2: float
    result_sram_um2: float

    @property
    def by_part(self) -> dict[str, float]:
        """Name of the part, without its unit, to um2."""
        return {field.name.removesuffix("_um2"): getattr(self, field.name) for field in fields(Area)}

    @property
    def logic_um2(self) -> float:
        """Without memories."""
        return self.mac_um2 + self.requantisation_um2

    @property
    def total_um2(self) -> float:
        """Of all parts."""
        return sum(self.by_part.values())


@dataclass(frozen=True, kw_only=True)
class GemmCost:
    """GEMM calls of an inference that cost the same (``gemms``), and what each of them costs.

    bits: its width; passes: runs a part for it. cycles: from its first load to its last result. useful_cycles: what
    its products alone would take, every element busy. reads and writes: words of the memories, and off_chip_bits: codes
    in, results out. The other counts are those of hwmodel.inference.tiling.Tally.
    """

    gemms: tuple[Gemm, ...]
    bits: Width
    passes: int
    parts: int
    cycles: int
    operand_cycles: int
    run_cycles: int
    load_cycles: int
    useful_cycles: float
    operand_reads: int
    activation_writes: int
    weight_writes: int
    result_writes: int
    result_reads: int
    requantised: int
    off_chip_bits: int
    energy: Energy

    @property
    def role(self) -> Role:
        """What these GEMMs do."""
        return self.gemms[0].role

    @property
    def utilisation(self) -> float:
        """Share of what all elements could do in its cycles, 0 to 1."""
        return self.useful_cycles / self.cycles

    @property
    def total_energy(self) -> Energy:
        """Of all these calls."""
        return self.energy * len(self.gemms)


@dataclass(frozen=True, kw_only=True)
class NetworkCost:
    """One inference of a network on an array.

    kinds: the calls by what they cost, in order of first use. minimum_period_ns: of the slowest part, None where one is
    unknown.
    """

    array: ArraySpec
    assignment: Assignment
    scales: Scales
    overlap: Overlap
    clock_mhz: float
    kinds: tuple[GemmCost, ...]
    area: Area
    minimum_period_ns: float | None

    def __repr__(self) -> str:
        """What decides, in a line: all fields are pages."""
        clock = {True: "meets", False: "misses", None: "may miss"}[self.meets_clock]
        return (
            f"<one inference of {self.assignment.workload.name} on {self.array.name}: {self.latency_us:,.0f} us at "
            f"{self.clock_mhz:g} MHz, which it {clock}; {self.energy.total_pj / 1e6:,.1f} uJ, "
            f"{self.area.total_um2 / 1e6:.2f} mm2>"
        )

    def of(self, gemm: Gemm) -> GemmCost:
        """The kind of a GEMM call. Raises ValueError for one of another network."""
        for kind in self.kinds:
            if gemm in kind.gemms:
                return kind
        raise InputError(f"the GEMM must be one of {self.assignment.workload.name}, not {gemm.name}")

    def total(self, count: Callable[[GemmCost], float]) -> float:
        """Sum over all calls of a count of each."""
        return sum(count(kind) * len(kind.gemms) for kind in self.kinds)

    @cached_property
    def cycles(self) -> int:
        """Of all GEMMs, one after the other."""
        return int(self.total(lambda kind: kind.cycles))

    @property
    def latency_us(self) -> float:
        """Of all GEMMs at the clock."""
        return self.cycles / self.clock_mhz

    @property
    def macs(self) -> int:
        """Products of the network."""
        return self.assignment.workload.macs

    @cached_property
    def energy(self) -> Energy:
        """Of the inference."""
        return sum((kind.total_energy for kind in self.kinds), Energy())

    @property
    def energy_pj_per_mac(self) -> float:
        """All energy over the products of the network."""
        return self.energy.total_pj / self.macs

    @property
    def utilisation(self) -> float:
        """Share of what all elements could do in the whole time, 0 to 1."""
        return self.total(lambda kind: kind.useful_cycles) / self.cycles

    @property
    def load_share(self) -> float:
        """Loads over loads and runs, 0 to 1."""
        loads = self.total(lambda kind: kind.load_cycles)
        return loads / (loads + self.total(lambda kind: kind.run_cycles))

    @property
    def off_chip_bytes(self) -> float:
        """Codes in and results out."""
        return self.total(lambda kind: kind.off_chip_bits) / 8

    @property
    def meets_clock(self) -> bool | None:
        """Whether every part runs at the clock; None where unknown."""
        return None if self.minimum_period_ns is None else self.minimum_period_ns * self.clock_mhz <= 1e3 * (1 + 1e-9)

    @property
    def energy_by_role(self) -> Mapping[Role, Energy]:
        """By what GEMMs do."""
        return self._grouped(lambda gemm: gemm.role)

    @property
    def energy_by_module(self) -> Mapping[Module, Energy]:
        """By MHSA, FFN and the rest."""
        return self._grouped(lambda gemm: gemm.role.module)

    @property
    def energy_by_class(self) -> Mapping[PrecisionClass, Energy]:
        """By first and last layers, and the body."""
        return self._grouped(lambda gemm: gemm.precision_class)

    @property
    def cycles_by_role(self) -> Mapping[Role, int]:
        """By what GEMMs do."""
        found: dict[Role, int] = {}
        for kind in self.kinds:
            found[kind.role] = found.get(kind.role, 0) + kind.cycles * len(kind.gemms)
        return found

    def _grouped(self, key: Callable[[Gemm], Key]) -> dict[Key, Energy]:
        found: dict[Key, Energy] = {}
        for kind in self.kinds:
            for name in dict.fromkeys(key(gemm) for gemm in kind.gemms):
                number = sum(key(gemm) == name for gemm in kind.gemms)
                found[name] = found.get(name, Energy()) + kind.energy * number
        return found
