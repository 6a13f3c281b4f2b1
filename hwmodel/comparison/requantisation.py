"""What requantisation costs: which units are measured beside which MAC, and the lines that say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwmodel.measurement import LARGE_FROM, Unit, UnitMeasurement
from hwmodel.operands import HEADS, PRODUCTS
from rtl.mac import UniformSpec
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import Precision
from siliquant.inputs import InputError

from .comparison import REDUCTION_LENGTH, Answer, Question, is_estimated

__all__ = [
    "EXACT",
    "HEAD_MULTIPLIER_WIDTH",
    "UnitAnswer",
    "UnitRow",
    "mac_question",
    "measured_unit",
    "unit_rows",
    "units",
]

EXACT = {2: (7, 14, 11), 3: (10, 19, 15), 4: (13, 24, 19), 8: (25, 44, 35)}
"""Multiplier width, offset width and shift, in bits, by code width: the least with which every output of
hwmodel.operands.requantstimulus.example_layer comes out exactly (rtl.requant.fit.fit_multiplier; the tests find them
again)."""
HEAD_MULTIPLIER_WIDTH = 12
"""Bits of the multiplier of each head in a partial sum: an error of at most 2**-13 of the largest scale."""


def mac_question(unit: Unit) -> Question:
    """What to ask for the MAC beside a unit."""
    return Question(unit.mac, (Precision(unit.bits, unit.bits),))


@dataclass(frozen=True)
class UnitAnswer:
    """What a unit costs at one clock, estimated or measured; None where a tool was missing.

    spec: with the pipelining chosen.  source: "model", or the recipe of synthesis.  effort: of synthesis.
    """

    spec: LoadableSpec
    area_um2: float
    power_uw: float | None
    minimum_period_ns: float | None
    meets_clock: bool | None
    source: str
    effort: str
    library: str
    corner: str
    clock_mhz: float
    activity: str


def measured_unit(measured: UnitMeasurement) -> UnitAnswer:
    """The answer of synthesis."""
    row, powered = measured.chosen.row, measured.chosen.powered
    return UnitAnswer(
        spec=measured.chosen.spec,
        area_um2=row.area_um2,
        power_uw=powered.power_uw,
        minimum_period_ns=row.minimum_period_ns,
        meets_clock=row.meets_clock,
        source=row.recipe,
        effort=row.effort,
        library=row.library,
        corner=row.corner,
        clock_mhz=row.clock_mhz,
        activity=str(powered.activity or "none"),
    )


@dataclass(frozen=True)
class UnitRow:
    """One line of the section on requantisation.

    energy_pj is for one accumulator, one a cycle. area_ratio is to the MAC named; energy_ratio to what that MAC takes
    for the products of one accumulator (``products``). source: "model", or the recipe of synthesis. Widths that a
    design does not have, timing and power where OpenSTA is missing are None. basis: "measured" (synthesised, on any
    machine) or "estimated".
    """

    bits: int
    design: str
    spec: str
    groups: int
    accumulator_width: int
    parameter_width: int
    multiplier_width: int | None
    offset_width: int | None
    shift: int | None
    pipeline_stages: int
    area_um2: float
    power_uw: float | None
    energy_pj: float | None
    minimum_period_ns: float | None
    meets_clock: bool | None
    mac: str
    products: int
    area_ratio: float
    energy_ratio: float | None
    source: str
    basis: str
    effort: str
    library: str
    corner: str
    clock_mhz: float
    activity: str


def units(widths: Sequence[int], lanes: int, reduction_length: int = REDUCTION_LENGTH) -> tuple[Unit, ...]:
    """Every unit of each code width of :data:`EXACT`, for one scale and for one a head, and partial sums of heads.

    lanes: of the uniform MAC. Raises ValueError for a width without known multipliers.
    """
    made = []
    for bits in widths:
        if bits not in EXACT:
            raise InputError(f"requant_bits must be among {', '.join(map(str, EXACT))}, not {bits}")
        mac = UniformSpec(weight_bits=bits, activation_bits=bits, lanes=lanes, reduction_length=reduction_length)
        width = mac.accumulator_width
        multiplier_width, offset_width, shift = EXACT[bits]
        specs: list[LoadableSpec] = []
        for groups in (1, HEADS):
            if groups == 1 or bits < LARGE_FROM:
                specs.append(ThresholdSpec(accumulator_width=width, bits=bits, groups=groups))
        for groups in (1, HEADS):
            specs.append(
                MultiplierSpec(
                    accumulator_width=width,
                    bits=bits,
                    groups=groups,
                    multiplier_width=multiplier_width,
                    offset_width=offset_width,
                    shift=shift,
                )
            )
        specs.append(PartialSumSpec(accumulator_width=width, groups=HEADS, multiplier_width=HEAD_MULTIPLIER_WIDTH))
        made += [Unit(bits, spec, mac) for spec in specs]
    return tuple(made)


def unit_rows(
    asked: Sequence[Unit], answer: Callable[[Unit], UnitAnswer], mac: Callable[[Question], Answer]
) -> list[UnitRow]:
    """The lines of the section, one a unit, in their order."""
    rows = []
    for unit in asked:
        found, beside = answer(unit), mac(mac_question(unit))
        spec, power_uw = found.spec, found.power_uw
        mac_uw = beside.power_uw[Precision(unit.bits, unit.bits)]
        # One accumulator takes the MAC as many cycles as its power was measured with.
        precision = Precision(unit.bits, unit.bits)
        sum_uw = None if mac_uw is None else mac_uw * PRODUCTS / beside.products_per_cycle[precision]
        rows.append(
            UnitRow(
                bits=unit.bits,
                design=spec.design,
                spec=spec.name,
                groups=spec.groups,
                accumulator_width=spec.accumulator_width,
                parameter_width=spec.parameter_width,
                multiplier_width=spec.parameters.get("multiplier_width"),
                offset_width=spec.parameters.get("offset_width"),
                shift=spec.parameters.get("shift"),
                pipeline_stages=spec.pipeline_stages,
                area_um2=found.area_um2,
                power_uw=power_uw,
                energy_pj=None if power_uw is None else power_uw / found.clock_mhz,
                minimum_period_ns=found.minimum_period_ns,
                meets_clock=found.meets_clock,
                mac=beside.spec.name,
                products=PRODUCTS,
                area_ratio=found.area_um2 / beside.area_um2,
                energy_ratio=None if power_uw is None or sum_uw is None else power_uw / sum_uw,
                source=found.source,
                basis="estimated" if is_estimated(found.source) else "measured",
                effort=found.effort,
                library=found.library,
                corner=found.corner,
                clock_mhz=found.clock_mhz,
                activity=found.activity,
            )
        )
    return rows
