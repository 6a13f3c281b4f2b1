"""The analytical cost model: area, power and minimum period of any MAC design from counts and fitted coefficients.

    area      sum over parts of count x area
    leakage   sum over parts of count x leakage
    energy    flip-flops x clock energy + clock gates x theirs
              + sum over parts of transitions x energy, glitches and pulses apart
    idle      control flip-flops x clock energy + clock gates x that of one that holds the clock back
    period    the longest path, in steps of a fitted delay each

Counts come from hwmodel.model.structure, transitions from hwmodel.model.switching, paths from hwmodel.model.paths, each
kept once found (hwmodel.model.features). The coefficients are data: hwmodel.fit.fitting fits them to the calibration
table of a library. No tool is run here.

Clock pressure u is 0 where the smallest netlist meets the clock and 1 where only the fastest does, or none: u =
(relaxed - period) / (relaxed - fastest), from 0 to 1. A little of it costs little (a few larger cells), more of it ever
more, as full adders are dissolved into gates: strain s goes from 0 to 1 between two fitted pressures, by a fitted power
of the way between them. The area of gates and adders grows with s, that of flip-flops does not; leakage and the
energies of clocks, of settled transitions and of glitches grow by 1 + growth x s, each with its own growth, and gates
in the place of full adders glitch, by s times a share of the settled energy. As soon as there is any pressure,
carry-propagate adders look ahead, and each of their glitches takes more energy, the more the larger their share of the
longest path: where it is small, synthesis leaves them as they are. The netlist's minimum period is the relaxed one at u
= 0, between the clock's and the fastest while u is below 1, and the fastest at 1: recipes come in few sizes, and the
one that meets a clock is mostly faster than it must be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hwmodel.operands import StreamPlan
from rtl.spec import MacSpec
from siliquant.inputs import InputError

from .features import PARTS, Transitions, Vector, counts_of, periods_of, transitions_of
from .paths import Periods, Step
from .structure import FLIP_FLOPS, Part

__all__ = [
    "Coefficients",
    "Cost",
    "Energies",
    "LibraryModel",
    "Range",
    "Shape",
    "clock_pj",
    "cost_from",
    "cost_of",
    "energies_of",
    "idle_power_uw",
    "minimum_period_ns",
    "minimum_periods_ns",
    "pressure",
    "pressures",
    "shape_from",
    "shape_of",
    "still_cost",
    "strain",
    "strains",
]

_IS_FLIP_FLOP = np.array([part in FLIP_FLOPS for part in PARTS], dtype=np.float64)
_IS_CONTROL = np.array([part is Part.CONTROL_REGISTERS for part in PARTS], dtype=np.float64)
_IS_GATE = np.array([part is Part.CLOCK_GATES for part in PARTS], dtype=np.float64)
_IS_ADDER = np.array([part is Part.CARRY_BITS for part in PARTS], dtype=np.float64)
_LEAST_GAIN = 0.02  # of the relaxed period: what the fastest netlist is at least faster


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What one library's cells cost. Vectors are in the order of :data:`PARTS`.

    area_um2, leakage_nw: of one. clock_fj: of a flip-flop, a cycle. gate_fj, still_fj: of a clock gate, a cycle in
    which it lets the clock through and one in which it does not; None where nothing is known of clock gates, as of an
    older flow, whose flip-flops were all clocked in every cycle. settled_fj: of a transition of its output that
    remains at the end of the cycle; glitch_fj, pulse_fj: of a glitch and of a pulse of hwmodel.model.switching;
    ahead_fj: what a glitch in a carry-propagate adder takes more under pressure, were the whole path a ripple.
    relaxed_ns, fastest_ns: delay of each step of a path in the smallest and in the fastest netlist. strain_from,
    strain_to: the pressures between which costs grow; strain_power: of the way between them. strained_um2: what full
    strain adds to the area of one; growth: to leakage and to the energies of clocks, settled transitions and glitches,
    as a share; glitch_share: glitches that full strain adds, as a share of settled energy. margin: how far netlists
    under pressure are below the period of their clock, as a share of how far the fastest netlist is.
    """

    area_um2: Vector
    strained_um2: Vector
    leakage_nw: Vector
    clock_fj: float
    gate_fj: float | None
    still_fj: float | None
    settled_fj: Vector
    glitch_fj: Vector
    pulse_fj: Vector
    ahead_fj: float
    relaxed_ns: Mapping[Step, float]
    fastest_ns: Mapping[Step, float]
    strain_from: float
    strain_to: float
    strain_power: float
    leakage_growth: float
    clock_growth: float
    settled_growth: float
    glitch_growth: float
    glitch_share: float
    margin: float


@dataclass(frozen=True, eq=False)
class Range:
    """Where the error is known: the largest count of each part, the smallest and largest area, and the parameters by
    which forms differ (:attr:`rtl.spec.MacSpec.form`).

    Of any design that was measured, fitted or held out.
    """

    counts: Vector
    smallest_um2: float
    largest_um2: float
    forms: tuple[str, ...]


LEFT_OUT_DESIGNS = "left_out_designs"
"""In the provenance of a model that was fitted to a part of the sweep: how many designs that left out."""


@dataclass(frozen=True, eq=False)
class LibraryModel:
    """The model of one library at one corner. ``provenance``: where the coefficients came from, as text by name."""

    library: str
    corner: str
    voltage_v: float
    coefficients: Coefficients
    range: Range
    provenance: Mapping[str, str]

    def forms(self, spec: MacSpec) -> tuple[MacSpec, ...]:
        """The forms of a design among which the model may choose: those of which it was fitted to some."""
        return tuple(form for form in spec.forms if set(form.form) <= set(self.range.forms))


@dataclass(frozen=True, eq=False)
class Shape:
    """What does not depend on clock and operands: costs without clock pressure by part, both periods, and the share of
    the longest path that ripples through adders.

    grows_um2: what full strain adds to the area. outside: why the design lies outside what the model was fitted on;
    empty where it does not.
    """

    area_um2: Vector
    leakage_nw: Vector
    grows_um2: Vector
    relaxed_ns: float
    fastest_ns: float
    ripple: float
    outside: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cost:
    """What a design costs at one clock under one operand stream; vectors by part, in the order of :data:`PARTS`.

    Energies are dynamic, of one cycle: with operands ``settled_pj`` without glitches and ``energy_pj`` with them, and
    ``idle_pj`` without operands. Costs add up (side by side in one chip, at one clock) and scale; of periods the
    longest counts.

    >>> from hwmodel.model import estimate
    >>> from rtl.mac import UniformSpec
    >>> small, large = (estimate(UniformSpec(lanes=lanes), "freepdk45", 500.0) for lanes in (4, 16))
    >>> both = 3 * small + large
    >>> round(both.total_area_um2 - 3 * small.total_area_um2 - large.total_area_um2, 6)
    0.0
    >>> both.minimum_period_ns == max(small.minimum_period_ns, large.minimum_period_ns)
    True
    >>> areas = [area for area, _ in both.by_part().values()]
    >>> round(sum(areas) - both.total_area_um2, 6)
    0.0
    """

    area_um2: Vector
    leakage_uw: Vector
    settled_pj: Vector
    energy_pj: Vector
    idle_pj: Vector
    minimum_period_ns: float
    clock_mhz: float
    pressure: float
    outside: tuple[str, ...]

    @property
    def meets_clock(self) -> bool:
        """Whether the minimum period is at most the clock's."""
        return self.minimum_period_ns <= 1000.0 / self.clock_mhz

    @property
    def total_area_um2(self) -> float:
        """Area of all parts."""
        return float(self.area_um2.sum())

    @property
    def power_uw(self) -> float:
        """Leakage and dynamic power, glitches included: pJ x MHz = uW."""
        return float(self.leakage_uw.sum() + self.energy_pj.sum() * self.clock_mhz)

    @property
    def idle_uw(self) -> float:
        """Leakage and dynamic power while no operands come."""
        return float(self.leakage_uw.sum() + self.idle_pj.sum() * self.clock_mhz)

    def power_at_uw(self, utilisation: float) -> float:
        """Power where a share of the cycles, from 0 to 1, has operands. Raises ValueError for what is no share."""
        if not 0 <= utilisation <= 1:
            raise InputError(f"utilisation must be a number from 0 to 1, not {utilisation:g}")
        return utilisation * self.power_uw + (1 - utilisation) * self.idle_uw

    @property
    def settled_power_uw(self) -> float:
        """Leakage and dynamic power without glitches."""
        return float(self.leakage_uw.sum() + self.settled_pj.sum() * self.clock_mhz)

    def by_part(self) -> dict[Part, tuple[float, float]]:
        """Area in um2 and power in uW of each part that the design has."""
        power_uw = self.leakage_uw + self.energy_pj * self.clock_mhz
        return {
            part: (float(area), float(power))
            for part, area, power in zip(PARTS, self.area_um2, power_uw, strict=True)
            if area or power
        }

    def __add__(self, other: Cost) -> Cost:
        if self.clock_mhz != other.clock_mhz:
            raise InputError(
                f"costs that are added must be at one clock, not {self.clock_mhz} and {other.clock_mhz} MHz"
            )
        return Cost(
            self.area_um2 + other.area_um2,
            self.leakage_uw + other.leakage_uw,
            self.settled_pj + other.settled_pj,
            self.energy_pj + other.energy_pj,
            self.idle_pj + other.idle_pj,
            max(self.minimum_period_ns, other.minimum_period_ns),
            self.clock_mhz,
            max(self.pressure, other.pressure),
            (*self.outside, *(reason for reason in other.outside if reason not in self.outside)),
        )

    def __mul__(self, number: float) -> Cost:
        return Cost(
            self.area_um2 * number,
            self.leakage_uw * number,
            self.settled_pj * number,
            self.energy_pj * number,
            self.idle_pj * number,
            self.minimum_period_ns,
            self.clock_mhz,
            self.pressure,
            self.outside,
        )

    __rmul__ = __mul__


class Energies(NamedTuple):
    """Dynamic energy of a cycle by part, in pJ: with operands of the clock, of transitions that remain and of glitches,
    what adders that look ahead add to these, and without operands.
    """

    clock_pj: Vector
    settled_pj: Vector
    glitch_pj: Vector
    ahead_pj: Vector
    idle_pj: Vector


@lru_cache(maxsize=65536)
def shape_of(spec: MacSpec, model: LibraryModel) -> Shape:
    """A design in a library. Milliseconds the first time, remembered afterwards."""
    found = model.coefficients
    shape = shape_from(counts_of(spec), periods_of(spec, found.relaxed_ns, found.fastest_ns), model)
    unknown = [f"{name}, with which no design was calibrated" for name in spec.form if name not in model.range.forms]
    return replace(shape, outside=(*shape.outside, *unknown))


def shape_from(counts: Vector, periods: Periods, model: LibraryModel) -> Shape:
    """Anything with these counts and longest paths."""
    found = model.coefficients
    area_um2 = counts * found.area_um2
    return Shape(
        area_um2,
        counts * found.leakage_nw,
        counts * found.strained_um2,
        periods.relaxed_ns,
        min(periods.fastest_ns, (1 - _LEAST_GAIN) * periods.relaxed_ns),
        periods.ripple,
        _outside(counts, float(area_um2.sum()), model.range),
    )


def pressure(relaxed_ns: float, fastest_ns: float, clock_mhz: float) -> float:
    """Clock pressure from 0 to 1; see the module."""
    return min(1.0, max(0.0, (relaxed_ns - 1000.0 / clock_mhz) / (relaxed_ns - fastest_ns)))


def pressures(relaxed_ns: Vector, fastest_ns: Vector, clock_mhz: Vector) -> Vector:
    """:func:`pressure` of arrays."""
    return np.clip((relaxed_ns - 1000.0 / clock_mhz) / (relaxed_ns - fastest_ns), 0.0, 1.0)


def strain(pressure: float, found: Coefficients) -> float:
    """How far costs have grown at some pressure, from 0 to 1; see the module."""
    way = (pressure - found.strain_from) / (found.strain_to - found.strain_from)
    return float(min(1.0, max(0.0, way)) ** found.strain_power)


def strains(pressures: Vector, start: Vector | float, end: Vector | float, power: Vector | float) -> Vector:
    """:func:`strain` of arrays, between two pressures by a power."""
    return np.asarray(np.clip((pressures - start) / (end - start), 0.0, 1.0) ** power)


def minimum_period_ns(relaxed_ns: float, fastest_ns: float, clock_mhz: float, margin: float) -> float:
    """The minimum period of the netlist that synthesis keeps for a clock."""
    period_ns = 1000.0 / clock_mhz
    if relaxed_ns <= period_ns:
        return relaxed_ns
    return max(fastest_ns, period_ns - margin * (period_ns - fastest_ns))


def minimum_periods_ns(relaxed_ns: Vector, fastest_ns: Vector, clock_mhz: Vector, margin: Vector | float) -> Vector:
    """:func:`minimum_period_ns` of arrays."""
    period_ns = 1000.0 / clock_mhz
    pressed_ns = np.maximum(fastest_ns, period_ns - margin * (period_ns - fastest_ns))
    return np.where(relaxed_ns <= period_ns, relaxed_ns, pressed_ns)


@lru_cache(maxsize=65536)
def energies_of(spec: MacSpec, plan: StreamPlan, model: LibraryModel) -> Energies:
    """Dynamic energy of a cycle by part."""
    return _energies(counts_of(spec), transitions_of(spec, plan), model.coefficients)


def _energies(counts: Vector, moved: Transitions, found: Coefficients) -> Energies:
    return Energies(
        _clocks_pj(counts, found),
        moved.settled * found.settled_fj * 1e-3,
        (moved.glitches * found.glitch_fj + moved.pulses * found.pulse_fj) * 1e-3,
        moved.glitches * _IS_ADDER * found.ahead_fj * 1e-3,
        _idle_pj(counts, found),
    )


def _clocks_pj(counts: Vector, found: Coefficients) -> Vector:
    """The clock of a cycle with operands, by part."""
    return (counts * _IS_FLIP_FLOP * found.clock_fj + counts * _IS_GATE * (found.gate_fj or 0.0)) * 1e-3


def _idle_pj(counts: Vector, found: Coefficients) -> Vector:
    """The clock of a cycle without, by part."""
    if found.still_fj is None:
        return _clocks_pj(counts, found)
    return (counts * _IS_CONTROL * found.clock_fj + counts * _IS_GATE * found.still_fj) * 1e-3


def clock_pj(counts: Vector, pressure: float, found: Coefficients) -> float:
    """Energy of a cycle of the clock pins of flip-flops and of clock gates, in pJ, as it is in the costs of a design
    with operands at that pressure.
    """
    return float(_clocks_pj(counts, found).sum()) * (1 + found.clock_growth * strain(pressure, found))


def cost_of(spec: MacSpec, plan: StreamPlan, model: LibraryModel, clock_mhz: float) -> Cost:
    """The cost of one design. Raises ValueError where the clock is not positive or the design lacks the precision."""
    return _cost(shape_of(spec, model), energies_of(spec, plan, model), model, clock_mhz)


def idle_power_uw(spec: MacSpec, model: LibraryModel, clock_mhz: float) -> float:
    """Leakage and dynamic power while no operands come: that of :func:`cost_of`, for which no transition is counted.

    Raises ValueError where the clock is not positive.
    """
    nothing = np.zeros(len(PARTS))
    counts, still = counts_of(spec), Transitions(nothing, nothing, nothing)
    return cost_from(shape_of(spec, model), counts, still, model, clock_mhz).idle_uw


def cost_from(shape: Shape, counts: Vector, transitions: Transitions, model: LibraryModel, clock_mhz: float) -> Cost:
    """The cost of anything with these counts and transitions a cycle. Raises ValueError as :func:`cost_of`."""
    return _cost(shape, _energies(counts, transitions, model.coefficients), model, clock_mhz)


def still_cost(shape: Shape, model: LibraryModel, clock_mhz: float) -> Cost:
    """The cost of anything of that shape while nothing moves: only energies are not those of :func:`cost_from`.

    Raises ValueError as :func:`cost_of`.
    """
    nothing = np.zeros(len(PARTS))
    return _cost(shape, Energies(nothing, nothing, nothing, nothing, nothing), model, clock_mhz)


def _cost(shape: Shape, energies: Energies, model: LibraryModel, clock_mhz: float) -> Cost:
    if not 0 < clock_mhz < math.inf:
        raise InputError(f"clock_mhz must be a positive number, not {clock_mhz}")
    coefficients = model.coefficients
    u = pressure(shape.relaxed_ns, shape.fastest_ns, clock_mhz)
    s = strain(u, coefficients)
    clocks = 1 + coefficients.clock_growth * s
    settled_pj = energies.clock_pj * clocks + energies.settled_pj * (1 + coefficients.settled_growth * s)
    glitch_pj = energies.glitch_pj + shape.ripple * energies.ahead_pj if u > 0 else energies.glitch_pj
    return Cost(
        shape.area_um2 + s * shape.grows_um2,
        shape.leakage_nw * (1e-3 * (1 + coefficients.leakage_growth * s)),
        settled_pj,
        settled_pj
        + glitch_pj * (1 + coefficients.glitch_growth * s)
        + energies.settled_pj * (coefficients.glitch_share * s),
        energies.idle_pj * clocks,
        minimum_period_ns(shape.relaxed_ns, shape.fastest_ns, clock_mhz, coefficients.margin),
        clock_mhz,
        u,
        shape.outside,
    )


def _outside(counts: Vector, area_um2: float, known: Range) -> tuple[str, ...]:
    reasons = [
        f"{count:g} {part.value}, at most {most:g} were calibrated"
        for part, count, most in zip(PARTS, counts, known.counts, strict=True)
        if count > most
    ]
    if area_um2 < known.smallest_um2:
        reasons.append(f"{area_um2:,.0f} um2, at least {known.smallest_um2:,.0f} um2 were calibrated")
    if area_um2 > known.largest_um2:
        reasons.append(f"{area_um2:,.0f} um2, at most {known.largest_um2:,.0f} um2 were calibrated")
    return tuple(reasons)
