"""Latency, energy and area of one inference of a network on an array.

Cycles and accesses are exact (hwmodel.inference.tiling); what an element, a requantiser and a memory cost comes from
outside, by :class:`Costs`. docs/network.md says what is counted and what is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

from hwmodel.comparison import HEAD_MULTIPLIER_WIDTH
from hwmodel.model import drain_takes
from hwmodel.workload import Assignment, Gemm, PrecisionClass, Role, Scales, Width, Workload
from rtl.array import SIZE_WIDTH, ArraySpec
from rtl.requant import PartialSumSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError

from .memories import Memory, SramTable
from .parts import Costs, MacCost, UnitCost
from .result import Area, Energy, GemmCost, NetworkCost
from .tiles import Grids, Matrices, Timing, needed_words, tile_words
from .tiling import Overlap, tally

__all__ = [
    "Memories",
    "area_of",
    "element_cost",
    "matrices_of",
    "memories",
    "needed_depth",
    "network_cost",
    "units_of",
]


@dataclass(frozen=True, kw_only=True)
class Memories:
    """The memories of an array: ``*_count`` equal ones each, all of which are accessed together; results have as many
    more as the array has drains.
    """

    activation: Memory
    activation_count: int
    weight: Memory
    weight_count: int
    result: Memory
    result_count: int


def memories(array: ArraySpec, table: SramTable) -> Memories:
    """One memory of each kind in a broadcast array; in a systolic one, one for each row or column. Of results, those of
    one drain.
    """
    weight_bits, activation_bits = array.element.operand_widths
    found: dict[str, Memory | int] = {}
    for name, words, bits, places in (
        ("activation", array.activation_depth, activation_bits, array.rows),
        ("weight", array.weight_depth, weight_bits, array.columns),
        ("result", array.result_depth, array.result_width, array.columns),
    ):
        banks = places if array.systolic else 1
        found[name], found[f"{name}_count"] = table.memory(words, bits * places // banks), banks
    return Memories(**found)  # type: ignore[arg-type]


def matrices_of(gemm: Gemm, bits: Width, scales: Scales, array: ArraySpec) -> Matrices:
    """What an array gets to compute for a GEMM: requantised at the drain where it has requantisers."""
    after = gemm.requantisation(scales) if array.requant is not None else None
    return _matrices(gemm, bits, scales, 0 if after is None else after.parameter_sets)


def _matrices(gemm: Gemm, bits: Width, scales: Scales, parameter_sets: int = 0) -> Matrices:
    m, k, n, count = gemm.products(scales)
    return Matrices(
        m=m,
        k=k,
        n=n,
        count=count,
        bits=bits,
        activation_signed=gemm.activation_signed,
        parameter_sets=parameter_sets,
    )


def needed_depth(
    mac: MacSpec, assignment: Assignment, *, scales: Scales = Scales.HEAD, result_width: int = 32
) -> tuple[int, int]:
    """Least words of the activation and of the weight memory of an array of ``mac`` for a network: an element keeps its
    output until the sum is complete, so a memory holds all steps of the longest sums, in every pass.

    Raises ValueError, which names the GEMM, where the design's accumulators do not hold its sums, or are wider than
    results of ``result_width`` bits.
    """
    first: dict[Matrices, Gemm] = {}
    for gemm in assignment.workload.gemms:
        first.setdefault(_matrices(gemm, assignment.of(gemm), scales), gemm)
    depths = []
    for product, gemm in first.items():
        with _naming(gemm):
            depths.append(needed_words(mac, product))
    if mac.accumulator_width > result_width:
        product, gemm = max(first.items(), key=lambda each: each[0].k)
        with _naming(gemm):
            raise InputError(
                f"accumulators of {mac.name} for sums of {product.k} products must have at most the {result_width} "
                f"bits of a result, not {mac.accumulator_width}"
            )
    return max(words for words, _ in depths), max(words for _, words in depths)


def network_cost(
    array: ArraySpec,
    assignment: Assignment,
    costs: Costs,
    *,
    scales: Scales = Scales.HEAD,
    overlap: Overlap = Overlap.NONE,
) -> NetworkCost:
    """One inference of the assignment's workload on ``array``.

    Raises ValueError, which names the GEMM, where a memory, the design's sums or the results' width is too small for
    it, where both halves of double-buffered memories are too deep for an array, and where a cost is not known.
    """
    model = _Model(array, assignment.workload, costs, scales, overlap)
    alike: dict[tuple[Matrices, Role, PrecisionClass], list[Gemm]] = {}
    for gemm in assignment.workload.gemms:
        product = matrices_of(gemm, assignment.of(gemm), scales, array)
        alike.setdefault((product, gemm.role, gemm.precision_class), []).append(gemm)
    return NetworkCost(
        array=array,
        assignment=assignment,
        scales=scales,
        overlap=overlap,
        clock_mhz=costs.clock_mhz,
        kinds=tuple(_named(model, tuple(gemms), product) for (product, _, _), gemms in alike.items()),
        area=model.area,
        minimum_period_ns=model.minimum_period_ns,
    )


def _named(model: _Model, gemms: tuple[Gemm, ...], product: Matrices) -> GemmCost:
    with _naming(gemms[0]):
        return model.cost(gemms, product)


@contextmanager
def _naming(gemm: Gemm) -> Iterator[None]:
    """Inside it an InputError begins with the GEMM's name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{gemm.name}: {error.sentence}", file=error.file, place=error.place) from None


class _Model:
    """What all GEMMs of one inference share."""

    def __init__(self, array: ArraySpec, workload: Workload, costs: Costs, scales: Scales, overlap: Overlap) -> None:
        self.array, self.costs, self.scales, self.overlap = array, costs, scales, overlap
        self.timing, self.grids = Timing.of(array), Grids.of([array])
        self.element = element_cost(array, workload, costs)
        self.units = units_of(array, workload, costs, scales)
        self.memories = None if costs.sram is None else memories(array, costs.sram)
        copies = 2 if overlap is Overlap.DOUBLE else 1
        deepest = copies * max(array.activation_depth, array.weight_depth)
        if deepest > 1 << SIZE_WIDTH:
            raise InputError(
                f"operand memories in two halves must have at most {1 << SIZE_WIDTH} words, not 2 x {deepest // 2}"
            )
        self.area = area_of(array, self.element, tuple(self.units.values()), self.memories, copies)
        self.leakage_uw = self.element.core_leakage_uw(array.rows, array.columns)
        self.leakage_uw += array.columns * sum(unit.leakage_uw for unit in self.units.values())
        periods = [self.element.minimum_period_ns, *(unit.minimum_period_ns for unit in self.units.values())]
        if self.memories is not None:
            held = self.memories
            self.leakage_uw += copies * held.activation_count * held.activation.leakage_uw
            self.leakage_uw += copies * held.weight_count * held.weight.leakage_uw
            self.leakage_uw += array.drains * held.result_count * held.result.leakage_uw
            periods += [memory.minimum_period_ns for memory in (held.activation, held.weight, held.result)]
        known = [period for period in periods if period is not None]
        self.minimum_period_ns = max(known) if len(known) == len(periods) else None

    def cost(self, gemms: tuple[Gemm, ...], product: Matrices) -> GemmCost:
        """The cost of GEMM calls of one role that are the same product for the array."""
        gemm = gemms[0]
        array, mac = self.array, self.array.mac
        passes = product.passes(mac)
        counts = tally(self.timing, self.grids, product, self.overlap).of(0)
        cycles = counts["cycles"]
        elements = array.rows * array.columns
        words = tile_words(mac, product.k, passes)
        tiles = counts["operand_cycles"] // sum(each.cycles for each in words)
        mac_pj = (cycles - counts["operand_cycles"]) * self.element.core_idle_pj_per_cycle(array.rows, array.columns)
        changed = product.changed(mac, array.requant)
        for each, tile, change in zip(passes, words, changed, strict=True):
            cost = self.costs.mac(array.element, each.precision, gemm.role)
            mac_pj += tiles * tile.cycles * cost.core_pj_per_cycle(array.rows, array.columns)
            drain = array.drain_cycles(changed=change)
            takes = drain_takes(array.rows, array.systolic, drain=drain)
            mac_pj += tiles * array.columns * takes * cost.drain_pj
        useful = sum(
            (Fraction(gemm.macs, elements) / mac.macs_per_cycle(each.precision) for each in passes), Fraction()
        )
        drained, results = counts["drained_words"], counts["result_words"]
        reads, writes = counts["operand_cycles"], (counts["activation_words"], counts["weight_words"])
        off_chip_bits = counts["code_bits_in"] + counts["result_bits_out"]
        energy = Energy(
            mac_pj=mac_pj,
            requantisation_pj=self._requantisation_pj(gemm, cycles, counts["drain_cycles"], results),
            activation_sram_pj=self._sram_pj("activation", reads, writes[0]),
            weight_sram_pj=self._sram_pj("weight", reads, writes[1]),
            result_sram_pj=self._sram_pj("result", counts["added_words"] + results, drained),
            off_chip_pj=off_chip_bits * (self.costs.off_chip_pj_per_bit or 0.0),
            leakage_pj=self.leakage_uw * cycles / self.costs.clock_mhz,
        )
        return GemmCost(
            gemms=gemms,
            bits=product.bits,
            passes=len(passes),
            parts=counts["parts"],
            cycles=cycles,
            operand_cycles=counts["operand_cycles"],
            run_cycles=counts["run_cycles"],
            load_cycles=counts["load_cycles"],
            useful_cycles=float(useful),
            operand_reads=reads,
            activation_writes=writes[0],
            weight_writes=writes[1],
            result_writes=drained,
            result_reads=counts["added_words"] + results,
            requantised=gemm.outputs if product.parameter_sets else 0,
            off_chip_bits=off_chip_bits,
            energy=energy,
        )

    def _requantisation_pj(self, gemm: Gemm, cycles: int, drained: int, results: int) -> float:
        """Every sum that leaves the last row passes the requantiser of its column, asked for or not; partial sums take
        the results of the projection.
        """
        total = 0.0
        for name, unit in self.units.items():
            taken = drained if name == "requantiser" else results if gemm.role is Role.PROJECTION else 0
            total += taken * unit.energy_pj + (cycles - taken) * unit.idle_pj_per_cycle
        return self.array.columns * total

    def _sram_pj(self, name: str, reads: int, writes: int) -> float:
        if self.memories is None:
            return 0.0
        memory: Memory = getattr(self.memories, name)
        count: int = getattr(self.memories, f"{name}_count")
        return count * (reads * memory.read_pj + writes * memory.write_pj)


def element_cost(array: ArraySpec, workload: Workload, costs: Costs) -> MacCost:
    """An element for what does not depend on precision or role: area, clock, leakage, period."""
    return costs.mac(array.element, array.mac.precisions[0], workload.gemms[0].role)


def units_of(array: ArraySpec, workload: Workload, costs: Costs, scales: Scales) -> dict[str, UnitCost]:
    """What stands at the end of each column: the requantiser of the array if it has one and, with scales along the sums
    of projections, the unit that adds the results of heads, each times its multiplier.
    """
    found = {} if array.requant is None else {"requantiser": costs.unit(array.requant)}
    if scales is Scales.HEAD_REDUCED:
        found["partial sums"] = costs.unit(
            PartialSumSpec(
                accumulator_width=array.result_width,
                groups=max(gemm.heads for gemm in workload.gemms),
                multiplier_width=HEAD_MULTIPLIER_WIDTH,
            )
        )
    return found


def area_of(
    array: ArraySpec, element: MacCost, units: tuple[UnitCost, ...], held: Memories | None, copies: int = 1
) -> Area:
    """Area of an array with those parts; ``copies`` of each operand memory."""
    activation = weight = result = 0.0
    if held is not None:
        activation = copies * held.activation_count * held.activation.area_um2
        weight = copies * held.weight_count * held.weight.area_um2
        result = array.drains * held.result_count * held.result.area_um2
    return Area(
        mac_um2=element.core_um2(array.rows, array.columns),
        requantisation_um2=array.columns * sum(unit.area_um2 for unit in units),
        activation_sram_um2=activation,
        weight_sram_um2=weight,
        result_sram_um2=result,
    )
