"""What the trained networks cost on arrays that match: one inference on the uniform array of each width, and on arrays
of every precision-scalable design that are as fast, running the mixed networks.

All is by the packaged cost model of FreePDK45: elements, requantisers, memories and leakage, passes and the 8-bit first
and last layers included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from benchmarks.studies.images import BITS
from benchmarks.studies.mixed import CLASSES, MEANS, POLICY, WORKLOAD
from hwmodel.comparison import contenders
from hwmodel.inference import (
    Costs,
    NetworkCost,
    NoArrayError,
    candidates,
    costs_of,
    elements_of,
    equal_latency,
    multiplier,
    network_cost,
    sram_of,
    uniform_array,
)
from hwmodel.model import LibraryModel, load_model
from hwmodel.workload import Assignment, Workload, read_assignment, read_workload, uniform
from rtl.mac import design_named

from .evidence import Evidence

__all__ = ["CLOCK_MHZ", "LIBRARY", "Point", "array_points", "designs_of"]

LIBRARY, CLOCK_MHZ = "freepdk45", 500.0
_LANES = 16
_SERIAL = ("bitserial", "loom")


@dataclass(frozen=True)
class Point:
    """A network on an array. design: "uniform" or that of the elements. mean: bits of the body. name: of the trained
    experiment without its method, as in ``w3a3`` or ``mix-serial-3``. energy_uj: one inference. area_mm2: of logic and
    memories.
    """

    design: str
    mean: str
    name: str
    array: str
    energy_uj: float
    area_mm2: float
    latency_us: float


def designs_of(name: str) -> list[str]:
    """The designs that run the widths of a class of mixed networks without passes."""
    scalable = [design.design for design in contenders()]
    return [design for design in scalable if (design in _SERIAL) == (name == "serial")]


def array_points(evidence: Evidence) -> list[Point]:
    """Uniform arrays first, then mixed ones; none where the policies are not kept."""
    file = evidence.file(WORKLOAD)
    if not file.exists():
        return []
    workload = read_workload(file)
    bench = _Bench(load_model(LIBRARY), workload)
    found = [bench.uniform(bits) for bits in BITS]
    for name in CLASSES:
        for mean in MEANS:
            policy = evidence.file(POLICY.format(name=name, mean=mean))
            if policy.exists():
                found += bench.mixed(name, mean, read_assignment(policy, workload))
    return found


class _Bench:
    def __init__(self, model: LibraryModel, workload: Workload) -> None:
        self.workload = workload
        self.model = model
        self.costs: Costs = costs_of(model, CLOCK_MHZ, sram_of(model.library))

    def uniform(self, bits: int) -> Point:
        return _point("uniform", str(bits), f"w{bits}a{bits}", self._uniform(bits))

    def _uniform(self, bits: int) -> NetworkCost:
        alike = uniform(self.workload, bits)
        element, *_ = elements_of(_LANES, (), self.model, CLOCK_MHZ, longest_sum=self.workload.longest_sum())(
            bits, alike.mixture()
        )
        array = uniform_array(element, alike)
        return network_cost(array, alike, self.costs)

    def mixed(self, name: str, mean: str, assignment: Assignment) -> Iterator[Point]:
        """Of each design the array as fast as the uniform one whose product of area and energy is the least."""
        bits = ceil(Fraction(mean))
        base = self._uniform(bits)
        requant = multiplier(assignment.drained_bits)
        for design in designs_of(name):
            best: NetworkCost | None = None
            elements = elements_of(
                _LANES, [design_named(design)], self.model, CLOCK_MHZ, longest_sum=self.workload.longest_sum()
            )
            for element in elements(bits, assignment.mixture())[1:]:
                try:
                    among = candidates(base.array, element, requant, assignment, self.costs)
                    cost = network_cost(equal_latency(among, base.cycles), assignment, self.costs)
                except NoArrayError:
                    continue
                if best is None or _product(cost) < _product(best):
                    best = cost
            if best is not None:
                yield _point(design, mean, f"mix-{name}-{mean}", best)


def _product(cost: NetworkCost) -> float:
    return cost.area.total_um2 * cost.energy.total_pj


def _point(design: str, mean: str, name: str, cost: NetworkCost) -> Point:
    return Point(
        design=design,
        mean=mean,
        name=name,
        array=f"{cost.array.rows}x{cost.array.columns}",
        energy_uj=cost.energy.total_pj / 1e6,
        area_mm2=cost.area.total_um2 / 1e6,
        latency_us=cost.latency_us,
    )
