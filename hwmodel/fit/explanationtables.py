"""The explanation of an estimate on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from hwmodel.model import strain
from siliquant.commandline import console, print_table

from .explanation import Explanation, StepTerm

__all__ = ["print_explanation"]

_AREA = ("part", "count", "um2 each", "area um2", "share %", "leakage nW", "fitted on")
_ENERGY = ("part", "settled", "glitches", "pulses", "clock fJ", "energy fJ", "share %")
_NEIGHBOURS = ("design", "use", "MHz", "area um2", "power uW", "min period ns", "operands")


def print_explanation(found: Explanation) -> None:
    """Prints everything, totals first."""
    out = console()
    cost, model = found.cost, found.model
    out.print(f"{found.spec.name}, {model.library} ({model.corner}), {cost.clock_mhz:g} MHz", soft_wrap=True)
    out.print(f"operands: {found.plan}", soft_wrap=True)
    out.print(f"area {cost.total_area_um2:,.0f} um2{_error(found, 'area')}")
    out.print(
        f"power {cost.power_uw:,.1f} uW with glitches{_error(found, 'power')}, {cost.settled_power_uw:,.1f} uW "
        f"without; leakage {cost.leakage_uw.sum():,.1f} uW of it", soft_wrap=True,
    )  # fmt: skip
    met = "meets" if cost.meets_clock else "misses"
    out.print(f"minimum period {cost.minimum_period_ns:.2f} ns{_error(found, 'period')}: {met} the clock")
    if cost.pressure:
        rise = model.coefficients
        s = strain(cost.pressure, rise)
        out.print(
            f"clock pressure {cost.pressure:.2f}, strain {s:.2f}: area x {1 + rise.area_growth * s:.3f} and "
            f"{s * rise.ahead_um2:.2f} um2 more for each carry-propagate bit, leakage x "
            f"{1 + rise.leakage_growth * s:.3f}, energy x {1 + rise.energy_growth * s:.3f}, "
            f"{rise.ahead_fj:.2f} fJ more for each glitch of carry-propagate bits", soft_wrap=True,
        )  # fmt: skip
    if found.errors:
        out.print(f"(errors: mean and largest over {found.errors_of}, none of them fitted)")
    for reason in cost.outside:
        out.print(f"outside the calibrated range: {reason}", soft_wrap=True)
    _print_parts(found, out)
    _print_steps(found.relaxed_steps, found.relaxed.ns, found.relaxed.stage, "smallest netlist", out)
    _print_steps(found.fastest_steps, found.fastest.ns, found.fastest.stage, "fastest netlist", out)
    _print_neighbours(found, out)
    about = model.provenance
    if about:
        out.print("; ".join(f"{name} {value}" for name, value in about.items()), soft_wrap=True)


def _error(found: Explanation, quantity: str) -> str:
    one = found.errors.get(quantity)
    return f" (+- {one.mean[0]:.1f} %, at most {one.largest[0]:.1f} %)" if one else ""


def _print_parts(found: Explanation, out: Console) -> None:
    """Two tables, the largest share first: area, and energy a cycle. Both without clock pressure."""
    area = sum(term.area_um2 for term in found.parts) or 1.0
    energy = sum(term.energy_fj for term in found.parts) or 1.0
    areas = [
        [
            term.part.value, f"{term.count:g}", f"{term.area_um2_each:.3f}", f"{term.area_um2:,.1f}",
            f"{100 * term.area_um2 / area:.1f}", f"{term.leakage_nw:,.0f}",
            f"{term.fitted_designs} designs, <= {term.fitted_most:g}",
        ]
        for term in sorted(found.parts, key=lambda term: -term.area_um2)
    ]  # fmt: skip
    print_table(out, "area by part, without clock pressure", _AREA, areas, left=(0,))
    energies = [
        [
            term.part.value, _product(term.settled, term.settled_fj_each), _product(term.glitches, term.glitch_fj_each),
            _product(term.pulses, term.pulse_fj_each), f"{term.clock_fj:,.0f}", f"{term.energy_fj:,.0f}",
            f"{100 * term.energy_fj / energy:.1f}",
        ]
        for term in sorted(found.parts, key=lambda term: -term.energy_fj)
    ]  # fmt: skip
    print_table(out, "energy a cycle by part: transitions x fJ each", _ENERGY, energies, left=(0,))


def _product(number: float, each: float) -> str:
    return f"{number:.1f} x {each:.2f}" if number * each else "-"


def _print_steps(steps: Sequence[StepTerm], ns: float, stage: int, name: str, out: Console) -> None:
    texts = [f"{term.number:g} x {term.step.value} ({term.ns_each:.4f}): {term.ns:.3f}" for term in steps if term.ns]
    out.print(f"longest path of the {name}, stage {stage}, {ns:.2f} ns = {'; '.join(texts)}", soft_wrap=True)


def _print_neighbours(found: Explanation, out: Console) -> None:
    lines = [
        [
            near.point.spec.name, near.point.held_out or "fitted", f"{near.point.clock_mhz:g}",
            f"{near.point.area_um2:,.0f} ({near.cost.total_area_um2:,.0f})",
            f"{near.point.power_uw:,.0f} ({near.cost.power_uw:,.0f})",
            f"{near.point.minimum_period_ns:.2f} ({near.cost.minimum_period_ns:.2f})",
            f"{near.point.plan.precision}, {near.point.plan.stream.name}",
        ]
        for near in found.neighbours
    ]  # fmt: skip
    if lines:
        print_table(out, "nearest measured designs: measured (model)", _NEIGHBOURS, lines, left=(0, 1, 6))
