"""The explanation of an estimate on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from hwmodel.model import strain

from .explanation import Explanation, StepTerm

__all__ = ["print_explanation"]


def print_explanation(found: Explanation) -> None:
    """Prints everything, totals first."""
    console = Console(width=None if sys.stdout.isatty() else 220, highlight=False, markup=False)
    cost, model = found.cost, found.model
    console.print(f"{found.spec.name}, {model.library} ({model.corner}), {cost.clock_mhz:g} MHz", soft_wrap=True)
    console.print(f"operands: {found.plan.text_on(found.spec)}", soft_wrap=True)
    console.print(f"area {cost.total_area_um2:,.0f} um2{_error(found, 'area')}")
    console.print(
        f"power {cost.power_uw:,.1f} uW with glitches{_error(found, 'power')}, {cost.settled_power_uw:,.1f} uW "
        f"without; leakage {cost.leakage_uw.sum():,.1f} uW of it", soft_wrap=True,
    )  # fmt: skip
    met = "meets" if cost.meets_clock else "misses"
    console.print(f"minimum period {cost.minimum_period_ns:.2f} ns{_error(found, 'period')}: {met} the clock")
    if cost.pressure:
        rise = model.coefficients
        s = strain(cost.pressure, rise)
        console.print(
            f"clock pressure {cost.pressure:.2f}, strain {s:.2f}: area x {1 + rise.area_growth * s:.3f} and "
            f"{s * rise.ahead_um2:.2f} um2 more for each carry-propagate bit, leakage x "
            f"{1 + rise.leakage_growth * s:.3f}, energy x {1 + rise.energy_growth * s:.3f}, "
            f"{rise.ahead_fj:.2f} fJ more for each glitch of carry-propagate bits", soft_wrap=True,
        )  # fmt: skip
    if found.errors:
        console.print(f"(errors: mean and largest over {found.errors_of}, none of them fitted)")
    for reason in cost.outside:
        console.print(f"outside the calibrated range: {reason}", soft_wrap=True)
    _print_parts(found, console)
    _print_steps(found.relaxed_steps, found.relaxed.ns, found.relaxed.stage, "smallest netlist", console)
    _print_steps(found.fastest_steps, found.fastest.ns, found.fastest.stage, "fastest netlist", console)
    _print_neighbours(found, console)
    about = model.provenance
    if about:
        console.print("; ".join(f"{name} {value}" for name, value in about.items()), soft_wrap=True)


def _error(found: Explanation, quantity: str) -> str:
    one = found.errors.get(quantity)
    return f" (+- {one.mean[0]:.1f} %, at most {one.largest[0]:.1f} %)" if one else ""


def _print_parts(found: Explanation, console: Console) -> None:
    table = Table(title="parts, without clock pressure", title_justify="left", pad_edge=False)
    for column, header in enumerate((
        "part", "count", "um2 each", "area um2", "share %", "leakage nW", "transitions/cycle", "fJ each",
        "glitches/cycle", "fJ each", "pulses/cycle", "fJ each", "clock fJ", "energy fJ/cycle", "share %", "fitted on",
        "at most",
    )):  # fmt: skip
        table.add_column(header, justify="left" if column == 0 else "right", overflow="fold")
    area = sum(term.area_um2 for term in found.parts) or 1.0
    energy = sum(term.energy_fj for term in found.parts) or 1.0
    for term in found.parts:
        table.add_row(
            term.part.value,
            f"{term.count:g}",
            f"{term.area_um2_each:.3f}",
            f"{term.area_um2:,.1f}",
            f"{100 * term.area_um2 / area:.1f}",
            f"{term.leakage_nw:,.0f}",
            f"{term.settled:.2f}",
            f"{term.settled_fj_each:.2f}",
            f"{term.glitches:.2f}",
            f"{term.glitch_fj_each:.2f}",
            f"{term.pulses:.2f}",
            f"{term.pulse_fj_each:.2f}",
            f"{term.clock_fj:,.0f}",
            f"{term.energy_fj:,.0f}",
            f"{100 * term.energy_fj / energy:.1f}",
            f"{term.fitted_designs} designs",
            f"{term.fitted_most:g}",
        )
    console.print(table)


def _print_steps(steps: Sequence[StepTerm], ns: float, stage: int, name: str, console: Console) -> None:
    texts = [f"{term.number:g} x {term.step.value} ({term.ns_each:.4f}): {term.ns:.3f}" for term in steps if term.ns]
    console.print(f"longest path of the {name}, stage {stage}, {ns:.2f} ns = {'; '.join(texts)}", soft_wrap=True)


def _print_neighbours(found: Explanation, console: Console) -> None:
    table = Table(title="nearest measured designs: measured, and the model in brackets", title_justify="left")
    for header in ("design", "use", "MHz", "operands", "area um2", "power uW", "min period ns"):
        table.add_column(header, overflow="fold")
    for near in found.neighbours:
        point, cost = near.point, near.cost
        table.add_row(
            point.spec.name, point.held_out or "fitted", f"{point.clock_mhz:g}",
            f"{point.plan.precision}, {point.plan.stream.name}",
            f"{point.area_um2:,.0f} ({cost.total_area_um2:,.0f})", f"{point.power_uw:,.1f} ({cost.power_uw:,.1f})",
            f"{point.minimum_period_ns:.2f} ({cost.minimum_period_ns:.2f})",
        )  # fmt: skip
    if found.neighbours:
        console.print(table)
