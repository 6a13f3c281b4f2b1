"""Fits the coefficients of the cost model to a library's calibration points.

Everything is a non-negative least-squares fit (Lawson and Hanson, through scipy) of relative errors: each point counts
the same, small or large, and no coefficient is negative. Points far off are given less weight in two more rounds
(Huber's weights, at twice the median error). Only points that are not held out are looked at.

Paths are found with the delays and the delays fitted to the paths, in turns, because which path is longest depends on
the delays; the round with the least error is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy.optimize import least_squares, nnls

from hwmodel.model import (
    FLIP_FLOPS,
    PARTS,
    Adders,
    Coefficients,
    LibraryModel,
    Part,
    Range,
    Shape,
    Step,
    Vector,
    counts_of,
    longest_path,
    pressure,
    shape_of,
    strains,
    transitions_of,
)
from hwmodel.operands import StreamPlan
from hwmodel.synthesis import looks_at_area_alone
from rtl.array import CoreSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError, InputTypeError

__all__ = ["FEWEST_DESIGNS", "FULL_ADDERS", "Point", "fit"]

FEWEST_DESIGNS = 20
"""Designs to which a model is fitted at least."""

_STEPS = tuple(Step)
_ROUNDS = 8
_PULL = 0.05  # towards the delays of the round before, in units of a point's relative error
_STRAIN_STEP = 0.05  # of the pressures between which costs may grow
_STRAIN_POWERS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_NOTHING = 1e-6  # below it a growth is what the search left over
_USUAL = 0.03  # weight of the usual cost of a part, in units of a point's relative error
FULL_ADDERS: Mapping[Part, float] = {
    Part.AND_TERMS: 0.25,
    Part.OR_GATES: 0.25,
    Part.XOR_GATES: 0.4,
    Part.MULTIPLEXERS: 0.45,
    Part.FULL_ADDERS: 1.0,
    Part.HALF_ADDERS: 0.6,
    Part.CARRY_BITS: 1.0,
    Part.HOLDS: 0.45,
    Part.CLOCK_GATES: 0.9,
}
"""Usual area and leakage of parts, of flip-flops those of 1.1 full adders: where designs say little of a part, as of
gates that come beside others in all of them, its cost is not left to chance.
"""
_FLIP_FLOP = 1.1
_GROWING = (
    (Part.FULL_ADDERS, Part.HALF_ADDERS),
    (Part.AND_TERMS, Part.OR_GATES, Part.XOR_GATES, Part.MULTIPLEXERS),
    (Part.CARRY_BITS,),
)
"""Parts whose area grows under pressure, by the share of each group. Flip-flops, clock gates and hold multiplexers stay
as they are.
"""
_START_NS = {  # only where the search for paths begins; scaled to the library before the first fit
    Step.START: 0.08,
    Step.AND: 0.03,
    Step.OR: 0.03,
    Step.XOR: 0.05,
    Step.MUX: 0.05,
    Step.SUM: 0.1,
    Step.CARRY: 0.09,
    Step.HALF: 0.06,
    Step.RIPPLE: 0.05,
    Step.TOTAL: 0.05,
    Step.FAN_OUT: 0.01,
    Step.LOAD: 0.001,
    Step.BUFFERS: 0.05,
    Step.SETUP: 0.04,
}


@dataclass(frozen=True)
class Point:
    """One measured netlist under one operand stream.

    Energies are dynamic, in pJ a cycle: ``clock_pj`` of clock pins, ``settled_pj`` of the rest without glitches,
    ``glitch_pj`` of those; ``idle_pj`` of a cycle without operands, None where it was not measured. held_out: why the
    design is kept from the fit, or empty.
    """

    spec: MacSpec | CoreSpec
    plan: StreamPlan
    clock_mhz: float
    held_out: str
    area_um2: float
    minimum_period_ns: float
    meets_clock: bool
    recipe: str
    leakage_uw: float
    clock_pj: float
    settled_pj: float
    glitch_pj: float
    idle_pj: float | None = None

    @property
    def mac(self) -> MacSpec:
        """The design, which is a MAC. TypeError where it is an array, which no model is fitted to."""
        if not isinstance(self.spec, MacSpec):
            raise InputTypeError(f"a point that is fitted must be of a MAC, not of {self.spec.name}")
        return self.spec

    @property
    def relaxed(self) -> bool:
        """Whether only area was looked at when it was chosen."""
        return self.meets_clock and looks_at_area_alone(self.recipe)

    @property
    def dynamic_pj(self) -> float:
        """All dynamic energy of a cycle."""
        return self.clock_pj + self.settled_pj + self.glitch_pj

    @property
    def power_uw(self) -> float:
        """Leakage and dynamic power."""
        return self.leakage_uw + self.dynamic_pj * self.clock_mhz


def fit(
    points: Sequence[Point], library: str, corner: str, voltage_v: float, provenance: Mapping[str, str]
) -> LibraryModel:
    """The model of a library from its points, those held out left aside.

    Raises ValueError where there are fewer than FEWEST_DESIGNS to fit.
    """
    fitted = [point for point in points if not point.held_out]
    relaxed = list({point.mac: point for point in reversed(fitted) if point.relaxed}.values())
    if len(relaxed) < FEWEST_DESIGNS:
        raise InputError(f"a model must be fitted to at least {FEWEST_DESIGNS} designs, not {len(relaxed)}")
    counts = np.stack([counts_of(point.mac) for point in relaxed])
    area_um2 = _fit_parts(counts, np.array([point.area_um2 for point in relaxed]))
    leakage_nw = 1e3 * _fit_parts(counts, np.array([point.leakage_uw for point in relaxed]))
    relaxed_ns = _fit_delays(relaxed, Adders.RIPPLE)
    missed, met = _fastest(fitted)
    fastest_ns = _fit_delays(missed or met, Adders.PREFIX, met if missed else ())

    powered = [point for point in fitted if point.relaxed]
    clock_fj, gate_fj, still_fj = _fit_clocks(powered)
    transitions = [transitions_of(point.mac, point.plan) for point in powered]
    whole = np.array([point.dynamic_pj for point in powered])  # errors count as shares of the whole energy
    settled = np.stack([each.settled for each in transitions])
    settled_fj = 1e3 * _relative_fit(settled, np.array([point.settled_pj for point in powered]), whole)
    extra = np.stack([np.concatenate([each.glitches, each.pulses]) for each in transitions])
    glitch_fj, pulse_fj = np.split(
        1e3 * _relative_fit(extra, np.array([point.glitch_pj for point in powered]), whole), 2
    )

    still = Coefficients(
        area_um2=area_um2,
        leakage_nw=leakage_nw,
        clock_fj=clock_fj,
        gate_fj=gate_fj,
        still_fj=still_fj,
        settled_fj=settled_fj,
        glitch_fj=glitch_fj,
        pulse_fj=pulse_fj,
        strained_um2=np.zeros(len(PARTS)),
        ahead_fj=0.0,
        relaxed_ns=relaxed_ns,
        fastest_ns=fastest_ns,
        strain_from=0.0,
        strain_to=1.0,
        strain_power=1.0,
        leakage_growth=0.0,
        clock_growth=0.0,
        settled_growth=0.0,
        glitch_growth=0.0,
        glitch_share=0.0,
        margin=0.0,
    )
    # MACs that were held out count here: the error is known there.
    macs = [point for point in points if isinstance(point.spec, MacSpec)]
    every = np.stack([counts_of(point.mac) for point in macs])
    areas_um2 = [point.area_um2 for point in macs]
    forms = tuple(sorted({name for point in macs for name in point.mac.form}))
    known = Range(every.max(axis=0), min(areas_um2), max(areas_um2), forms)
    model = LibraryModel(library, corner, voltage_v, still, known, provenance)
    return _with_growth(model, fitted)


def _fit_clocks(points: Sequence[Point]) -> tuple[float, float | None, float | None]:
    """Energy of a cycle in fJ of the clock of a flip-flop, and of a clock gate that lets it through or does not.

    None of gates where idle energies were not measured.
    """
    counts = np.stack([counts_of(point.mac) for point in points])
    flip_flops = counts[:, [part in FLIP_FLOPS for part in PARTS]].sum(axis=1)
    clocks_pj = np.array([point.clock_pj for point in points])
    if any(point.idle_pj is None for point in points):
        return 1e3 * float(np.median(clocks_pj / flip_flops)), None, None
    gates, control = (counts[:, PARTS.index(part)] for part in (Part.CLOCK_GATES, Part.CONTROL_REGISTERS))
    clock_pj, gate_pj = _relative_fit(np.column_stack([flip_flops, gates]), clocks_pj)
    rest_pj = np.array([point.idle_pj or 0.0 for point in points]) - control * clock_pj
    # Leakage is another one without operands; at a slow clock that hides what the clock takes.
    clocks_mhz = np.array([point.clock_mhz for point in points])
    fast = clocks_mhz > clocks_mhz.min()
    seen = fast if fast.any() else np.ones_like(fast)
    still_pj = float(np.median(rest_pj[seen] / np.maximum(gates, 1)[seen]))
    return 1e3 * float(clock_pj), 1e3 * float(gate_pj), 1e3 * max(0.0, still_pj)


def _fit_parts(counts: Vector, values: Vector) -> Vector:
    """A coefficient for each part; all flip-flops are alike, whatever they hold."""
    together = np.array([part in FLIP_FLOPS for part in PARTS])
    columns = np.column_stack([counts[:, ~together], counts[:, together].sum(axis=1)])
    usual = np.array([*(FULL_ADDERS[part] for part in PARTS if part not in FLIP_FLOPS), _FLIP_FLOP])
    usual *= float(np.median(values / (columns @ usual)))
    found = _relative_fit(columns, values, usual=usual)
    result = np.empty(len(PARTS))
    result[~together], result[together] = found[:-1], found[-1]
    return result


def _relative_fit(features: Vector, values: Vector, scale: Vector | None = None, usual: Vector | None = None) -> Vector:
    """Non-negative coefficients with the least relative errors, outliers weighted down. usual: drawn towards these."""
    scale = values if scale is None else scale
    rows, wanted = features / scale[:, None], values / scale
    pull, pulled = np.empty((0, rows.shape[1])), np.empty(0)
    if usual is not None:
        pull, pulled = np.diag(_USUAL / usual), np.full(len(usual), _USUAL)
    root = np.ones(len(values))
    for last in (False, False, True):
        found, _ = nnls(np.vstack([rows * root[:, None], pull]), np.concatenate([wanted * root, pulled]))
        if last:
            break
        error = np.abs(rows @ found - wanted)
        root = np.sqrt(np.minimum(1.0, 2 * max(float(np.median(error)), 1e-6) / np.maximum(error, 1e-9)))
    return np.asarray(found, dtype=np.float64)


def _fastest(points: Sequence[Point]) -> tuple[list[Point], list[Point]]:
    """The fastest point of each design: of those that missed a clock, and of those that met every one.

    A clock that is missed leaves the smallest netlist within 2 % of the fastest (hwmodel.synthesis). A design that met
    every clock can be faster still: its period is a bound and no more.
    """
    best: dict[MacSpec, Point] = {}
    for point in points:
        known = best.get(point.mac)
        if known is None or point.minimum_period_ns < known.minimum_period_ns:
            best[point.mac] = point
    missed = {point.mac for point in points if not point.meets_clock}
    return (
        [point for spec, point in best.items() if spec in missed],
        [point for spec, point in best.items() if spec not in missed],
    )


def _fit_delays(points: Sequence[Point], adders: Adders, bounds: Sequence[Point] = ()) -> dict[Step, float]:
    """The delays of the steps of paths, from the minimum periods of some netlists.

    bounds: netlists whose period is at least what the path should take; they count where it takes more.
    """
    every = [*points, *bounds]
    wanted = np.array([point.minimum_period_ns for point in every])
    is_bound = np.arange(len(every)) >= len(points)
    delays = np.array([_START_NS[step] for step in _STEPS])

    def paths(delays: Vector) -> tuple[Vector, Vector]:
        named = dict(zip(_STEPS, delays.tolist(), strict=True))
        found = [longest_path(point.mac, named, adders) for point in every]
        return np.array([[path.steps[step] for step in _STEPS] for path in found]), np.array([p.ns for p in found])

    steps, times = paths(delays)
    delays = delays * float(np.median((wanted / times)[~is_bound]))
    best: tuple[float, Vector] | None = None
    for _ in range(_ROUNDS):
        steps, times = paths(delays)
        counts = ~is_bound | (times > wanted)
        error = float(np.sqrt(np.mean((times[counts] / wanted[counts] - 1) ** 2)))
        if best is None or error < best[0]:
            best = error, delays
        pull = np.diag(_PULL / np.maximum(delays, 1e-4 * wanted.mean()))
        rows = steps[counts] / wanted[counts, None]
        found, _ = nnls(np.vstack([rows, pull]), np.concatenate([np.ones(len(rows)), np.full(len(pull), _PULL)]))
        delays = (delays + found) / 2
    assert best is not None
    return dict(zip(_STEPS, best[1].tolist(), strict=True))


def _with_growth(model: LibraryModel, points: Sequence[Point]) -> LibraryModel:
    """The model with what clock pressure adds, from netlists under pressure against the relaxed one of their design."""
    base = {point.mac: point for point in reversed(points) if point.relaxed}
    pressed = [point for point in points if not point.relaxed and point.mac in base]
    shapes = [shape_of(point.mac, model) for point in pressed]
    us = np.array(
        [
            pressure(shape.relaxed_ns, shape.fastest_ns, point.clock_mhz)
            for shape, point in zip(shapes, pressed, strict=True)
        ]
    )
    before = [base[point.mac] for point in pressed]
    (start, end, power), strained_um2 = _fit_area_under_pressure(us, before, pressed, model.coefficients.area_um2)
    ss = strains(us, start, end, power)
    by_plan = {(point.mac, point.plan): point for point in reversed(points) if point.relaxed}
    pairs = [
        (u, s, shape.ripple, point, by_plan[point.mac, point.plan])
        for u, s, shape, point in zip(us.tolist(), ss.tolist(), shapes, pressed, strict=True)
        if (point.mac, point.plan) in by_plan
    ]
    leaks = sum(s * (point.leakage_uw / relaxed.leakage_uw - 1) for _, s, _, point, relaxed in pairs)
    settled_growth, glitch_growth, glitch_share, ahead_fj = _fit_energy_under_pressure(pairs)
    clocks = sum(s * (point.clock_pj / relaxed.clock_pj - 1) for _, s, _, point, relaxed in pairs)
    squares = max(1e-12, sum(s * s for _, s, *_ in pairs))
    new = replace(
        model.coefficients,
        ahead_fj=ahead_fj,
        strain_from=start,
        strain_to=end,
        strain_power=power,
        strained_um2=strained_um2,
        leakage_growth=max(0.0, leaks / squares),
        clock_growth=max(0.0, clocks / squares),
        settled_growth=settled_growth,
        glitch_growth=glitch_growth,
        glitch_share=glitch_share,
        margin=_fit_margin([(shape, point) for shape, point in zip(shapes, pressed, strict=True) if point.meets_clock]),
    )
    return replace(model, coefficients=new)


def _fit_margin(pairs: Sequence[tuple[Shape, Point]]) -> float:
    """How far netlists that meet a clock are below its period, as a share of how far the fastest is: least squares of
    relative errors, one unknown.
    """
    measured = np.array([point.minimum_period_ns for _, point in pairs])
    period_ns = np.array([1000.0 / point.clock_mhz for _, point in pairs])
    lower = np.maximum(0.0, (period_ns - np.array([shape.fastest_ns for shape, _ in pairs])) / measured)
    under = lower * np.array([shape.relaxed_ns > ns for (shape, _), ns in zip(pairs, period_ns, strict=True)])
    best = (under * (period_ns / measured - 1)).sum() / max(1e-12, (under * under).sum())
    return float(np.clip(best, 0.0, 1.0))


def _fit_area_under_pressure(
    us: Vector, before: Sequence[Point], after: Sequence[Point], area_um2: Vector
) -> tuple[tuple[float, float, float], Vector]:
    """The pressures between which area grows and the power, and um2 more of each part at full strain.

    us: the pressure of each netlist. area_um2: of each part without pressure. Adders of compressor trees, other gates
    and carry-propagate bits grow by a share of their own. Of pressures in steps and some powers, those with the least
    mean relative error.
    """
    if not after:
        return (0.0, 1.0, 1.0), np.zeros(len(PARTS))
    old_um2, new_um2 = (np.array([point.area_um2 for point in points]) for points in (before, after))
    counts = np.stack([counts_of(point.mac) for point in after])
    groups = np.array([[part in group for group in _GROWING] for part in PARTS], dtype=np.float64)
    grows = (counts * area_um2) @ groups
    best: tuple[float, tuple[float, float, float], Vector] | None = None
    ends = combinations(np.arange(0, 1 + _STRAIN_STEP / 2, _STRAIN_STEP).round(6).tolist(), 2)
    for power, (start, end) in product(_STRAIN_POWERS, ends):
        rows = grows * strains(us, start, end, power)[:, None]
        found = _relative_fit(rows, new_um2 - old_um2, new_um2)
        error = float(np.mean(np.abs(old_um2 + rows @ found - new_um2) / new_um2))
        if best is None or error < best[0]:
            best = error, (start, end, power), found
    assert best is not None
    return best[1], area_um2 * (groups @ best[2])


def _fit_energy_under_pressure(
    pairs: Sequence[tuple[float, float, float, Point, Point]],
) -> tuple[float, float, float, float]:
    """Growth of settled transitions and of glitches with the strain, glitches that it adds as a share of the settled
    energy, and fJ more for each glitch of an adder; of settled and of glitch energies apart.

    pairs: pressure, strain, share of the path that ripples, netlist under pressure, relaxed netlist. Relative errors,
    those beyond a tenth weighted down.
    """
    if not pairs:
        return 0.0, 0.0, 0.0, 0.0
    us, ss = (np.array([pair[at] for pair in pairs]) for at in (0, 1))
    adder = PARTS.index(Part.CARRY_BITS)
    glitches = np.array(
        [1e-3 * ripple * transitions_of(point.mac, point.plan).glitches[adder] for _, _, ripple, point, _ in pairs]
    )
    settled, extra = (
        np.array([[getattr(each, name) for each in pair[-2:]] for pair in pairs]).T
        for name in ("settled_pj", "glitch_pj")
    )
    whole = np.array([point.dynamic_pj for *_, point, _ in pairs])  # errors count as shares of the whole energy
    under = us > 0  # elsewhere the model has no pressure, whatever was measured

    def errors(found: Vector) -> Vector:
        of_settled, of_glitches, share, ahead = found
        now = settled[1] * (1 + of_settled * ss)
        more = (extra[1] + under * ahead * glitches) * (1 + of_glitches * ss) + share * ss * settled[1]
        return np.concatenate([(now - settled[0]) / whole, (more - extra[0]) / whole])

    result = least_squares(errors, [0.1, 0.1, 0.1, 1.0], bounds=(0.0, np.inf), loss="soft_l1", f_scale=0.1)
    of_settled, of_glitches, share, ahead = (value if value > _NOTHING else 0.0 for value in result.x.tolist())
    return of_settled, of_glitches, share, ahead
