"""The numbers of a demonstration, and what follows from them: work, utilisation, area, power, time and energy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwmodel.measurement import SynthesisRow
from reports.values import Command

__all__ = ["Accuracy", "Block", "Energy", "Figures", "Simulated", "energy"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Share of ``samples`` test images that a run of qat.train predicts right, after ``epochs``.

    score, low, high: from 0 to 1; low and high end its 95 % interval.
    """

    score: float
    low: float
    high: float
    samples: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What sim.equivalence proved and counted, summed over ``images``; every result was equal, or there is none.

    run_cycles: of all runs, in operand_cycles of which operands enter. load_cycles: of loading operands before the
    runs. accumulators, of which equal_accumulators were equal to PyTorch's. codes: results requantised at the drain, in
    runs of their own (code_cycles, with loads), equal_codes of them equal to PyTorch's.
    """

    images: int
    predicted_right: int
    gemms: int
    macs: int
    operand_cycles: int
    run_cycles: int
    load_cycles: int
    accumulators: int
    equal_accumulators: int
    codes: int
    equal_codes: int
    code_cycles: int

    @property
    def accumulator_mismatches(self) -> int:
        """Accumulators that were compared and not equal."""
        return self.accumulators - self.equal_accumulators

    @property
    def code_mismatches(self) -> int:
        """Codes that were compared and not equal."""
        return self.codes - self.equal_codes

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Simulated:
        """From the JSON of sim.equivalence."""
        gemms = record["gemms"]

        def total(name: str) -> int:
            return sum(int(gemm[name]) for gemm in gemms)

        return cls(
            images=int(record["samples"]),
            predicted_right=int(record["predictions"]),
            gemms=len(gemms),
            macs=total("macs"),
            operand_cycles=total("operand_cycles"),
            run_cycles=total("cycles"),
            load_cycles=total("load_cycles"),
            accumulators=total("accumulators"),
            equal_accumulators=total("equal_accumulators"),
            codes=total("codes"),
            equal_codes=total("equal_codes"),
            code_cycles=total("code_cycles"),
        )


@dataclass(frozen=True, kw_only=True)
class Block:
    """One module as synthesised, of which the array has ``count``; area and power are of one.

    power_uw: at full rate, under the stream ``activity``, with the transitions that ``toggles`` names; idle_uw: while
    no operands come. Timing and power are None where OpenSTA is missing.
    """

    name: str
    count: int
    area_um2: float
    minimum_period_ns: float | None
    meets_clock: bool | None
    power_uw: float | None
    idle_uw: float | None
    activity: str | None
    toggles: str | None
    recipe: str
    verilog_sha256: str

    @classmethod
    def of(cls, name: str, count: int, row: SynthesisRow, powered: SynthesisRow) -> Block:
        """From the synthesis row of a module and the one with its power."""
        return cls(
            name=name,
            count=count,
            area_um2=row.area_um2,
            minimum_period_ns=row.minimum_period_ns,
            meets_clock=row.meets_clock,
            power_uw=powered.power_uw,
            idle_uw=powered.idle_uw,
            activity=powered.activity,
            toggles=powered.toggles,
            recipe=row.recipe,
            verilog_sha256=row.verilog_sha256,
        )

    @property
    def total_area_um2(self) -> float:
        """Of all of them."""
        return self.count * self.area_um2

    @property
    def total_power_uw(self) -> float | None:
        """Of all of them at full rate."""
        return None if self.power_uw is None else self.count * self.power_uw

    @property
    def total_idle_uw(self) -> float | None:
        """Of all of them with nothing to do."""
        return None if self.idle_uw is None else self.count * self.idle_uw


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of the images that were simulated, pJ: of elements and requantisers in runs, and of both in loads."""

    elements_pj: float
    requantisers_pj: float
    loads_pj: float

    @property
    def total_pj(self) -> float:
        """All of it."""
        return self.elements_pj + self.requantisers_pj + self.loads_pj


def energy(work: Simulated, element: Block, requantiser: Block, clock_mhz: float) -> Energy | None:
    """Power over clock is energy a cycle: uW / MHz = pJ. None where power is unknown.

    elements      operand cycles at full rate, the other cycles of runs idle
    requantisers  one cycle of one requantiser at full rate for every code, their other cycles in runs idle
    loads         everything idle

    Every GEMM counts once: the further runs whose codes were compared do not.
    """
    full, idle = element.total_power_uw, element.total_idle_uw
    if full is None or idle is None or requantiser.power_uw is None or requantiser.idle_uw is None:
        return None
    busy = work.codes * requantiser.power_uw
    waiting = (requantiser.count * work.run_cycles - work.codes) * requantiser.idle_uw
    return Energy(
        elements_pj=(work.operand_cycles * full + (work.run_cycles - work.operand_cycles) * idle) / clock_mhz,
        requantisers_pj=(busy + waiting) / clock_mhz,
        loads_pj=work.load_cycles * (idle + requantiser.count * requantiser.idle_uw) / clock_mhz,
    )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All that the demonstration found; the screen, the page and the JSON are made from it and nothing else.

    agreement: what qat.export said of the integers. macs_per_cycle: of all elements. verilog: file, lines and sha256
    of the array. drain_bits: of an element's drain register. operand_bits: of a MAC's operand registers. versions: of
    what was used; commands: in the order in which they ran.
    """

    network: str
    bits: int
    full_precision: Accuracy
    quantised: Accuracy
    agreement: str
    array: str
    architecture: str
    rows: int
    columns: int
    lanes: int
    macs_per_cycle: int
    drain_bits: int
    operand_bits: int
    verilog_file: str
    verilog_lines: int
    verilog_sha256: str
    simulated: Simulated
    element: Block
    requantiser: Block
    library: str
    corner: str
    clock_mhz: float
    commands: Sequence[Command]
    versions: Mapping[str, str]
    date: str

    @property
    def mismatches(self) -> int:
        """Accumulators and codes that were compared and not equal."""
        return self.simulated.accumulator_mismatches + self.simulated.code_mismatches

    @property
    def macs_per_image(self) -> float:
        """Of the network, at whatever widths."""
        return self.simulated.macs / self.simulated.images

    @property
    def run_cycles_per_image(self) -> float:
        """Cycles in which the array is busy."""
        return self.simulated.run_cycles / self.simulated.images

    @property
    def operand_cycles_per_image(self) -> float:
        """Those of them in which operands enter."""
        return self.simulated.operand_cycles / self.simulated.images

    @property
    def load_cycles_per_image(self) -> float:
        """Cycles in which operands are loaded."""
        return self.simulated.load_cycles / self.simulated.images

    @property
    def code_cycles_per_image(self) -> float:
        """Cycles of the further runs, with their loads, whose codes were compared."""
        return self.simulated.code_cycles / self.simulated.images

    @property
    def utilisation(self) -> float:
        """MACs of the network over those that the elements could do in the cycles of all runs."""
        return self.simulated.macs / (self.simulated.run_cycles * self.macs_per_cycle)

    @property
    def utilisation_with_loads(self) -> float:
        """The same, the cycles of loads counted too."""
        return self.simulated.macs / ((self.simulated.run_cycles + self.simulated.load_cycles) * self.macs_per_cycle)

    @property
    def time_us_per_image(self) -> float:
        """Of the runs."""
        return self.run_cycles_per_image / self.clock_mhz

    @property
    def time_us_per_image_with_loads(self) -> float:
        """Of runs and loads, one after the other, as they were simulated."""
        return (self.run_cycles_per_image + self.load_cycles_per_image) / self.clock_mhz

    @property
    def area_um2(self) -> float:
        """Of all elements and requantisers."""
        return self.element.total_area_um2 + self.requantiser.total_area_um2

    @property
    def power_uw(self) -> float | None:
        """Of all elements and requantisers at full rate."""
        elements, requantisers = self.element.total_power_uw, self.requantiser.total_power_uw
        return None if elements is None or requantisers is None else elements + requantisers

    @property
    def energy(self) -> Energy | None:
        """Of all images that were simulated."""
        return energy(self.simulated, self.element, self.requantiser, self.clock_mhz)

    @property
    def energy_per_image(self) -> Energy | None:
        """Mean over the images."""
        found, images = self.energy, self.simulated.images
        if found is None:
            return None
        return Energy(
            elements_pj=found.elements_pj / images,
            requantisers_pj=found.requantisers_pj / images,
            loads_pj=found.loads_pj / images,
        )

    @property
    def energy_pj_per_mac(self) -> float | None:
        """All energy over the MACs of the network."""
        return None if self.energy is None else self.energy.total_pj / self.simulated.macs

    def to_json(self) -> str:
        """Every field, and under "derived" every number that follows from them."""
        names = [name for name, value in vars(type(self)).items() if isinstance(value, property)]
        derived = {name: getattr(self, name) for name in names if name not in ("energy", "energy_per_image")}
        spent = self.energy_per_image
        derived["energy_pj_per_image"] = None if spent is None else {**asdict(spent), "total_pj": spent.total_pj}
        return json.dumps(asdict(self) | {"derived": derived}, indent=1) + "\n"
