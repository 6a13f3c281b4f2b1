"""One inference of a whole network on uniform and on mixed-precision arrays: the lines of a table.

For each mean bit-width the uniform design runs the network with one width, every other design runs it mixed at that
mean, on the array of that design that has at most the area, and on the one that has at most the latency, of the uniform
one (hwmodel.inference.sizing).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from hwmodel.comparison import EQUAL_THROUGHPUT, EXACT, REDUCTION_LENGTH, contenders, questions
from hwmodel.operands import HEADS
from hwmodel.workload import (
    Assignment,
    Mixture,
    Pair,
    Scales,
    SensitivityTable,
    Width,
    Workload,
    assign,
    assign_at,
    is_packaged,
    pair_or_one,
    parts_of,
    published_accuracy,
    uniform,
)
from rtl.array import DRAINS, SIZE_WIDTH, Architecture, ArraySpec, drained
from rtl.mac import UniformSpec
from rtl.requant import MultiplierSpec, RequantSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError, InputTypeError

from .inference import needed_depth, network_cost
from .parts import Costs
from .result import NetworkCost
from .sizing import NoArrayError, candidates, equal_area, equal_latency
from .tiling import Overlap

__all__ = [
    "DEPTH",
    "EQUAL_AREA",
    "EQUAL_LATENCY",
    "UNIFORM",
    "NetworkRow",
    "default_elements",
    "multiplier",
    "network_rows",
    "operand_depths",
    "uniform_array",
]

UNIFORM = "uniform"
EQUAL_AREA = "equal area"
EQUAL_LATENCY = "equal latency"
DEPTH = 512
"""Words of each operand memory of an array, where nothing else is said and the longest sums of a network fit."""
_PJ_IN_UJ = 1e6


@dataclass(frozen=True, kw_only=True)
class NetworkRow:
    """One inference on one array.

    bits: mean width asked for; mean_bits: of the assignment, first and last layers left out. normalisation: UNIFORM, or
    what is at most that of the uniform array. element, rows, columns, drains: the array; activation_depth_words,
    weight_depth_words: of its operand memories, of one row or column in a systolic array. longest_sum: of the network,
    in products; one tile of such sums is the least that those memories hold. area_um2: of logic (elements
    and requantisers) and memories. load_share: of cycles, 0 to 1. energy_uj: of all parts; sram_uj of the three
    memories; off_chip_uj 0 unless an energy a bit was given. *_ratio: to the uniform row of the same bits.
    accuracy_percent: published by others for uniform models of packaged networks, None elsewhere.
    """

    model: str
    bits: Width
    mean_bits: float | Pair[Fraction]
    mixture: str
    normalisation: str
    design: str
    element: str
    rows: int
    columns: int
    drains: int
    activation_depth_words: int
    weight_depth_words: int
    longest_sum: int
    pipeline_stages: int
    clock_mhz: float
    meets_clock: bool | None
    area_um2: float
    logic_area_um2: float
    sram_area_um2: float
    latency_us: float
    utilisation: float
    load_share: float
    energy_uj: float
    mac_uj: float
    requantisation_uj: float
    sram_uj: float
    off_chip_uj: float
    leakage_uj: float
    off_chip_bytes: float
    logic_area_ratio: float
    latency_ratio: float
    energy_ratio: float
    accuracy_percent: float | None


def default_elements(
    bits: Width,
    mixture: Mixture,
    lanes: int = 16,
    designs: Sequence[type[MacSpec]] | None = None,
    reduction_length: int = REDUCTION_LENGTH,
) -> tuple[MacSpec, ...]:
    """The element of the uniform design and of every kind of every other, each with as few units as give at least the
    products a cycle of ``lanes`` uniform lanes on the mixture, without pipeline registers: those that hwmodel.compare
    measures at equal throughput. reduction_length: of the longest sums that they hold.
    """
    entries = questions(bits, lanes, 1, contenders() if designs is None else designs, mixture, reduction_length)
    return tuple(entry.spec for entry in entries if entry.normalisation == EQUAL_THROUGHPUT)


def multiplier(bits: int, *, groups: int = HEADS, width: int = 32) -> RequantSpec:
    """The requantiser by a multiplier for codes of at least ``bits`` bits: the narrowest whose widths are known.

    groups: parameter sets a column. Raises ValueError where none is so wide.
    """
    code_bits = min((known for known in EXACT if known >= bits), default=None)
    if code_bits is None:
        raise InputError(f"bits must be at most {max(EXACT)}, the widest codes of a known requantiser, not {bits}")
    multiplier_width, offset_width, shift = EXACT[code_bits]
    return MultiplierSpec(
        accumulator_width=width,
        bits=code_bits,
        groups=groups,
        multiplier_width=multiplier_width,
        offset_width=offset_width,
        shift=shift,
    )


def operand_depths(
    mac: MacSpec, assignment: Assignment, *, depth: int = DEPTH, scales: Scales = Scales.HEAD
) -> dict[str, int]:
    """``activation_depth`` and ``weight_depth`` of an array of ``mac`` for a network: ``depth``, or the words of one
    tile of its longest sums where these are more; at most what an array may have. Raises ValueError as needed_depth.
    """
    needed = needed_depth(mac, assignment, scales=scales)
    most = 1 << SIZE_WIDTH  # network_cost says which GEMM needs more
    return {
        f"{name}_depth": min(max(depth, need), most)
        for name, need in zip(("activation", "weight"), needed, strict=True)
    }


def uniform_array(
    mac: MacSpec,
    assignment: Assignment,
    *,
    rows: int = 16,
    columns: int = 16,
    drains: int = DRAINS,
    depth: int = DEPTH,
    architecture: Architecture = Architecture.BROADCAST,
    requantiser: Callable[[int], RequantSpec | None] = multiplier,
    scales: Scales = Scales.HEAD,
) -> ArraySpec:
    """The array of the uniform design that runs ``assignment``, to which all others are compared; arguments as those of
    :func:`network_rows`.
    """
    return ArraySpec(
        mac=mac, rows=rows, columns=columns, architecture=architecture, requant=requantiser(assignment.drained_bits),
        **operand_depths(mac, assignment, depth=depth, scales=scales), **drained(rows, drains, depth),
    )  # fmt: skip


def network_rows(
    workload: Workload,
    bits: Sequence[Width],
    costs: Costs,
    *,
    elements: Callable[[Width, Mixture], Sequence[MacSpec]] = default_elements,
    widths: Sequence[int] | None = None,
    sensitivity: SensitivityTable | None = None,
    rows: int = 16,
    columns: int = 16,
    drains: int = DRAINS,
    depth: int = DEPTH,
    architecture: Architecture = Architecture.BROADCAST,
    requantiser: Callable[[int], RequantSpec | None] = multiplier,
    scales: Scales = Scales.HEAD,
    overlap: Overlap = Overlap.NONE,
) -> list[NetworkRow]:
    """The lines for each mean of ``bits``, the uniform design first, then each other design twice: at equal area and at
    equal latency, where it has such an array, each time in that of its kinds with the least product of area, latency
    and energy.

    elements: by mean bits and the shares of the mixed network, the uniform element first, each with its units and
    pipeline registers. widths: those of the mixed network, by default network_widths of each mean; a design that lacks
    one runs it at the next that it has, and codes that are wider than all in passes. rows, columns, depth (words of
    each operand memory, or as many as one tile of the longest sums takes where these are more; that of results holds
    ``depth`` rows of sums): of the uniform array. drains: of all arrays, or as many as their rows allow. requantiser:
    by the widest codes it makes, at the end of each column. Raises ValueError where a mean is not reached by the
    widths, or a cost is not known.
    """
    found: list[NetworkRow] = []
    for mean in bits:
        mixed = _assigned(workload, mean, widths, sensitivity)
        first, *others = elements(mean, mixed.mixture())
        if not isinstance(first, UniformSpec):
            raise InputTypeError(f"the first element at {mean} bits must be a UniformSpec, not {first!r}")
        alike = uniform(workload, mean)
        array = uniform_array(
            first, alike, rows=rows, columns=columns, drains=drains, depth=depth, architecture=architecture,
            requantiser=requantiser, scales=scales,
        )  # fmt: skip
        base = network_cost(array, alike, costs, scales=scales, overlap=overlap)
        found.append(_row(mean, UNIFORM, base, base))
        requant = requantiser(mixed.drained_bits)
        best: dict[tuple[str, str], NetworkRow] = {}
        for element in others:
            among = candidates(array, element, requant, mixed, costs, scales=scales, overlap=overlap)
            for name, match in (
                (EQUAL_AREA, partial(equal_area, among, base.area.logic_um2)),
                (EQUAL_LATENCY, partial(equal_latency, among, base.cycles)),
            ):
                with suppress(NoArrayError):
                    cost = network_cost(match(), mixed, costs, scales=scales, overlap=overlap)
                    row = _row(mean, name, cost, base)
                    other = best.setdefault((element.design, name), row)
                    if _product(row) < _product(other):
                        best[element.design, name] = row
        found += best.values()
    return found


def _assigned(
    workload: Workload, mean: Width, widths: Sequence[int] | None, sensitivity: SensitivityTable | None
) -> Assignment:
    if widths is None:
        return assign_at(workload, mean, sensitivity=sensitivity)
    return assign(workload, pair_or_one(*map(Fraction, parts_of(mean))), widths, sensitivity=sensitivity)


def _product(row: NetworkRow) -> float:
    return row.logic_area_ratio * row.latency_ratio * row.energy_ratio


def _row(bits: Width, normalisation: str, cost: NetworkCost, base: NetworkCost) -> NetworkRow:
    array, energy, assignment = cost.array, cost.energy, cost.assignment
    mean = assignment.mean_bits
    values: dict[str, Any] = {
        "logic_area_um2": cost.area.logic_um2,
        "latency_us": cost.latency_us,
        "energy_uj": energy.total_pj / _PJ_IN_UJ,
    }
    was = {
        "logic_area_um2": base.area.logic_um2,
        "latency_us": base.latency_us,
        "energy_uj": base.energy.total_pj / _PJ_IN_UJ,
    }
    return NetworkRow(
        model=assignment.workload.name,
        bits=bits,
        mean_bits=mean if isinstance(mean, Pair) else float(mean),
        mixture=assignment.mixture().in_percent(),
        normalisation=normalisation,
        design=array.mac.label,
        element=array.mac.name,
        rows=array.rows,
        columns=array.columns,
        drains=array.drains,
        activation_depth_words=array.activation_depth,
        weight_depth_words=array.weight_depth,
        longest_sum=assignment.workload.longest_sum(cost.scales),
        pipeline_stages=array.mac.pipeline_stages,
        clock_mhz=cost.clock_mhz,
        meets_clock=cost.meets_clock,
        area_um2=cost.area.total_um2,
        sram_area_um2=cost.area.total_um2 - cost.area.logic_um2,
        utilisation=cost.utilisation,
        load_share=cost.load_share,
        mac_uj=energy.mac_pj / _PJ_IN_UJ,
        requantisation_uj=energy.requantisation_pj / _PJ_IN_UJ,
        sram_uj=(energy.activation_sram_pj + energy.weight_sram_pj + energy.result_sram_pj) / _PJ_IN_UJ,
        off_chip_uj=energy.off_chip_pj / _PJ_IN_UJ,
        leakage_uj=energy.leakage_pj / _PJ_IN_UJ,
        off_chip_bytes=cost.off_chip_bytes,
        accuracy_percent=_published(assignment.workload, bits) if normalisation == UNIFORM else None,
        **values,
        **{f"{name.rpartition('_')[0]}_ratio": value / was[name] for name, value in values.items()},
    )


def _published(workload: Workload, bits: Width) -> float | None:
    """Of a network of the package, at one width; what is known of others is not in it."""
    if isinstance(bits, Pair) or not is_packaged(workload):
        return None
    return published_accuracy(str(workload.provenance.get("model", workload.name)), bits)
