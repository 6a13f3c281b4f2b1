"""The explanation of an estimate on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from hwmodel.model import Step, shape_of, strain
from siliquant.commandline import console, print_table

from .explanation import Explanation, StepTerm

__all__ = ["print_explanation"]

_AREA = ("part", "count", "um2 each", "area um2", "share %", "leakage nW", "designs fitted, most")
_ENERGY = ("part", "settled", "glitches", "pulses", "clock fJ", "energy fJ", "share %")
_STEPS = ("step", "number x ns, smallest", "ns", "number x ns, fastest", "ns")
_NEIGHBOURS = ("design", "use", "MHz", "area um2", "power uW", "min period ns")


def print_explanation(found: Explanation) -> None:
    """Prints everything, totals first."""
    out = console()
    cost, model = found.cost, found.model
    out.print(f"{found.spec.name}, {model.library} ({model.corner}), {cost.clock_mhz:g} MHz")
    out.print(f"operands: {found.plan.text_on(found.spec)}")
    out.print(f"area {cost.total_area_um2:,.0f} um2{_error(found, 'area')}")
    out.print(
        f"power {cost.power_uw:,.1f} uW with glitches{_error(found, 'power')}, {cost.settled_power_uw:,.1f} uW "
        f"without; leakage {cost.leakage_uw.sum():,.1f} uW of it"
    )  # fmt: skip
    if model.coefficients.still_fj is not None:
        out.print(f"power without operands {cost.idle_uw:,.1f} uW")
    met = "meets" if cost.meets_clock else "misses"
    out.print(f"minimum period {cost.minimum_period_ns:.2f} ns{_error(found, 'period')}: {met} the clock")
    if cost.pressure:
        rise = model.coefficients
        s = strain(cost.pressure, rise)
        more_um2 = s * shape_of(found.spec, model).grows_um2.sum()
        out.print(
            f"clock pressure {cost.pressure:.2f}, strain {s:.2f}: {more_um2:,.0f} um2 of the area, leakage x "
            f"{1 + rise.leakage_growth * s:.3f}, energy of clocks x {1 + rise.clock_growth * s:.3f}, of settled "
            f"transitions x {1 + rise.settled_growth * s:.3f}, of glitches x {1 + rise.glitch_growth * s:.3f} and "
            f"{rise.glitch_share * s:.3f} of settled ones, "
            f"{rise.ahead_fj:.2f} fJ more for each glitch of carry-propagate bits"
        )  # fmt: skip
    if found.errors:
        out.print(f"(errors: mean and largest over {found.errors_of}, none of them fitted)")
    for reason in cost.outside:
        out.print(f"outside the calibrated range: {reason}")
    _print_parts(found, out)
    _print_steps(found, out)
    _print_neighbours(found, out)
    about = model.provenance
    if about:
        out.print("; ".join(f"{name} {value}" for name, value in about.items()))


def _error(found: Explanation, quantity: str) -> str:
    one = found.errors.get(quantity)
    return f" (mean error {one.mean[0]:.1f} %, largest {one.largest[0]:.1f} %)" if one else ""


def _print_parts(found: Explanation, out: Console) -> None:
    """Two tables, the largest share first: area, and energy a cycle. Both without clock pressure."""
    area = sum(term.area_um2 for term in found.parts) or 1.0
    energy = sum(term.energy_fj for term in found.parts) or 1.0
    areas = [
        [
            term.part.value, f"{term.count:g}", f"{term.area_um2_each:.3f}", f"{term.area_um2:,.1f}",
            f"{100 * term.area_um2 / area:.1f}", f"{term.leakage_nw:,.0f}",
            f"{term.fitted_designs}, {term.fitted_most:g}",
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
    return f"{number:{'.0f' if number >= 100 else '.1f'}}x{each:.2f}" if number * each else "-"


def _print_steps(found: Explanation, out: Console) -> None:
    """The longest paths of the smallest and of the fastest netlist, step by step, the longest step first."""
    paths = (
        (found.relaxed, {term.step: term for term in found.relaxed_steps}),
        (found.fastest, {term.step: term for term in found.fastest_steps}),
    )
    steps = dict.fromkeys(step for _, terms in paths for step, term in terms.items() if term.ns)
    lines = [[step.value, *(cell for _, terms in paths for cell in _step(terms.get(step)))] for step in steps]
    order = sorted(range(len(lines)), key=lambda each: -max(_ns(terms, list(steps)[each]) for _, terms in paths))
    last = ["all", "", f"{found.relaxed.ns:.2f}", "", f"{found.fastest.ns:.2f}"]
    stages = f"stage {found.relaxed.stage} and stage {found.fastest.stage}"
    title = f"longest path of the smallest and of the fastest netlist, {stages}"
    print_table(out, title, _STEPS, [*(lines[each] for each in order), last])


def _step(term: StepTerm | None) -> tuple[str, str]:
    return ("", "") if term is None or not term.ns else (f"{term.number:.4g}x{term.ns_each:.4f}", f"{term.ns:.3f}")


def _ns(terms: Mapping[Step, StepTerm], step: Step) -> float:
    return terms[step].ns if step in terms else 0.0


def _print_neighbours(found: Explanation, out: Console) -> None:
    lines = [
        [
            near.point.spec.name, near.point.held_out or "fitted", f"{near.point.clock_mhz:g}",
            f"{near.point.area_um2:,.0f} ({near.cost.total_area_um2:,.0f})",
            f"{near.point.power_uw:,.0f} ({near.cost.power_uw:,.0f})",
            f"{near.point.minimum_period_ns:.2f} ({near.cost.minimum_period_ns:.2f})",
        ]
        for near in found.neighbours
    ]  # fmt: skip
    if lines:
        print_table(out, "nearest measured designs: measured (model)", _NEIGHBOURS, lines, left=(0, 1))
