"""Where an estimate comes from: every term of it, and the measured designs that are most like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.model import (
    FLIP_FLOPS,
    PARTS,
    Adders,
    Cost,
    LibraryModel,
    LongestPath,
    Part,
    Step,
    Vector,
    cost_of,
    counts_of,
    longest_path,
    transitions_of,
)
from hwmodel.operands import StreamPlan
from rtl.spec import MacSpec

from .fitting import Point
from .validation import Errors, errors_by, predictions

__all__ = ["Explanation", "Neighbour", "PartTerm", "StepTerm", "explain"]


@dataclass(frozen=True)
class PartTerm:
    """What one part of a design adds. ``*_each``: the coefficient; figures without clock pressure.

    fitted_designs: how many designs with such parts were fitted; fitted_most: the most of them that one had.
    """

    part: Part
    count: float
    area_um2_each: float
    area_um2: float
    leakage_nw: float
    settled: float
    settled_fj_each: float
    glitches: float
    glitch_fj_each: float
    pulses: float
    pulse_fj_each: float
    clock_fj: float
    energy_fj: float
    fitted_designs: int
    fitted_most: float


@dataclass(frozen=True)
class StepTerm:
    """What one kind of step adds to the longest path."""

    step: Step
    number: float
    ns_each: float

    @property
    def ns(self) -> float:
        """Its share of the path."""
        return self.number * self.ns_each


@dataclass(frozen=True)
class Neighbour:
    """A measured design like the one asked for. distance: 0 for the same parts in the same numbers."""

    point: Point
    cost: Cost
    distance: float


@dataclass(frozen=True)
class Explanation:
    """An estimate with all it is made of. errors: of the model on held-out designs, by quantity, in percent."""

    spec: MacSpec
    plan: StreamPlan
    model: LibraryModel
    cost: Cost
    parts: tuple[PartTerm, ...]
    relaxed: LongestPath
    relaxed_steps: tuple[StepTerm, ...]
    fastest: LongestPath
    fastest_steps: tuple[StepTerm, ...]
    errors: dict[str, Errors]
    errors_of: str
    neighbours: tuple[Neighbour, ...]


def explain(
    spec: MacSpec,
    plan: StreamPlan,
    model: LibraryModel,
    clock_mhz: float,
    points: Sequence[Point],
    neighbours: int = 5,
) -> Explanation:
    """Every term of an estimate. points: the calibration points of the library. Raises as
    hwmodel.model.model.cost_of."""
    cost = cost_of(spec, plan, model, clock_mhz)
    points = [point for point in points if isinstance(point.spec, MacSpec)]
    coefficients = model.coefficients
    relaxed = longest_path(spec, coefficients.relaxed_ns, Adders.RIPPLE)
    fastest = longest_path(spec, coefficients.fastest_ns, Adders.PREFIX)
    family = any(point.held_out and point.spec.design == spec.design for point in points)
    errors_of = f"held-out {spec.design}" if family else "all held-out designs"
    chosen = predictions(
        points, model, lambda each: bool(each.held_out) and (not family or each.spec.design == spec.design)
    )
    return Explanation(
        spec,
        plan,
        model,
        cost,
        _parts(spec, plan, model, points),
        relaxed,
        tuple(StepTerm(step, n, coefficients.relaxed_ns[step]) for step, n in relaxed.steps.items() if n),
        fastest,
        tuple(StepTerm(step, n, coefficients.fastest_ns[step]) for step, n in fastest.steps.items() if n),
        errors_by(chosen, lambda each: "all")["all"] if chosen else {},
        errors_of,
        _nearest(spec, model, points, neighbours),
    )


def _parts(spec: MacSpec, plan: StreamPlan, model: LibraryModel, points: Sequence[Point]) -> tuple[PartTerm, ...]:
    counts, found = counts_of(spec), model.coefficients
    moved = transitions_of(spec, plan)
    fitted = np.stack([counts_of(each) for each in dict.fromkeys(p.mac for p in points if not p.held_out)])
    terms = []
    for index, part in enumerate(PARTS):
        if not counts[index]:
            continue
        clock_fj = counts[index] * found.clock_fj if part in FLIP_FLOPS else 0.0
        if part is Part.CLOCK_GATES:
            clock_fj = counts[index] * (found.gate_fj or 0.0)
        moved_fj = (
            moved.settled[index] * found.settled_fj[index]
            + moved.glitches[index] * found.glitch_fj[index]
            + moved.pulses[index] * found.pulse_fj[index]
        )
        terms.append(
            PartTerm(
                part=part,
                count=float(counts[index]),
                area_um2_each=float(found.area_um2[index]),
                area_um2=float(counts[index] * found.area_um2[index]),
                leakage_nw=float(counts[index] * found.leakage_nw[index]),
                settled=float(moved.settled[index]),
                settled_fj_each=float(found.settled_fj[index]),
                glitches=float(moved.glitches[index]),
                glitch_fj_each=float(found.glitch_fj[index]),
                pulses=float(moved.pulses[index]),
                pulse_fj_each=float(found.pulse_fj[index]),
                clock_fj=clock_fj,
                energy_fj=float(clock_fj + moved_fj),
                fitted_designs=int((fitted[:, index] > 0).sum()),
                fitted_most=float(fitted[:, index].max()),
            )
        )
    return tuple(terms)


def _nearest(spec: MacSpec, model: LibraryModel, points: Sequence[Point], number: int) -> tuple[Neighbour, ...]:
    """Designs by the distance of the logarithms of their counts, each at its slowest clock."""
    slowest: dict[MacSpec, Point] = {}
    for point in points:
        known = slowest.get(point.mac)
        if known is None or point.clock_mhz < known.clock_mhz:
            slowest[point.mac] = point
    asked = counts_of(spec)
    ranked = sorted(slowest.values(), key=lambda point: (_distance(asked, counts_of(point.mac)), point.mac.name))
    return tuple(
        Neighbour(point, cost_of(point.mac, point.plan, model, point.clock_mhz), _distance(asked, counts_of(point.mac)))
        for point in ranked[:number]
    )


def _distance(one: Vector, other: Vector) -> float:
    return float(np.sqrt(np.mean((np.log2(1 + one) - np.log2(1 + other)) ** 2)))
