"""The numbers of a demonstration on one screen, and as a page that needs no network; both show the same lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reports.values import counted, fill

from .figures import Accuracy, Block, Figures

__all__ = ["Line", "Section", "html", "notes", "screen", "sections", "title"]

WIDTH = 100
"""Columns of the screen, at most."""
UNKNOWN = "unknown: OpenSTA is not installed"


@dataclass(frozen=True)
class Line:
    """One number or a few: what it is, its text with units, and the name of the step that it comes from."""

    label: str
    value: str
    source: str


@dataclass(frozen=True)
class Section:
    """Lines under a title."""

    title: str
    lines: tuple[Line, ...]


def title(figures: Figures) -> str:
    """What it is about, in one line."""
    return (
        f"From a trained network to silicon numbers: {figures.network}, {figures.bits} bits, {figures.rows} x "
        f"{figures.columns} elements"
    )


def sections(figures: Figures) -> tuple[Section, ...]:
    """Everything that is shown, in order."""
    done, element, requantiser = figures.simulated, figures.element, figures.requantiser
    clock = f"{figures.clock_mhz:g} MHz"
    network = Section(
        "network",
        (
            Line("accuracy, full precision", _accuracy(figures.full_precision), "train"),
            Line(f"accuracy, {figures.bits} bits", _accuracy(figures.quantised), "quantise"),
            Line("as integers", figures.agreement.split(" (")[0], "export"),
        ),
    )
    simulation = Section(
        f"simulation of the Verilog, {counted(done.images, 'image')}",
        (
            Line(
                "accumulators",
                f"{done.equal_accumulators:,} in {counted(done.gemms, 'GEMM')} equal PyTorch's, "
                f"{counted(done.accumulator_mismatches, 'mismatch', 'mismatches')}",
                "simulate",
            ),
            Line(
                "requantised codes",
                f"{done.equal_codes:,} equal PyTorch's, {counted(done.code_mismatches, 'mismatch', 'mismatches')}",
                "simulate",
            ),
            Line("logits", f"equal PyTorch's bit for bit; {done.predicted_right} of {done.images} right", "simulate"),
            Line("MACs an image", f"{figures.macs_per_image:,.0f}", "simulate"),
            Line(
                "cycles an image",
                f"{figures.run_cycles_per_image:,.0f} in runs, with operands in "
                f"{figures.operand_cycles_per_image:,.0f}; {figures.load_cycles_per_image:,.0f} in loads",
                "simulate",
            ),
            Line(
                "utilisation",
                f"{figures.utilisation:.1%} of {figures.macs_per_cycle} MACs a cycle in runs, "
                f"{figures.utilisation_with_loads:.1%} with loads",
                "simulate",
            ),
        ),
    )
    silicon = Section(
        f"silicon: {figures.library}, {figures.corner}, {clock}",
        (
            Line("a MAC", _block(element), "synthesise"),
            Line("a requantiser", _block(requantiser), "synthesise"),
            Line(f"{element.count} MACs", _all(element), "synthesise"),
            Line(f"{requantiser.count} requantisers", _all(requantiser), "synthesise"),
            Line("together", f"{figures.area_um2:,.0f} um2, {_milliwatts(figures.power_uw, 'at full rate')}",
                 "synthesise"),
        ),
    )  # fmt: skip
    image = Section(
        "an image",
        (
            Line(
                "time",
                f"{figures.time_us_per_image:,.1f} us of runs, "
                f"{figures.time_us_per_image_with_loads:,.1f} us with loads",
                "simulate",
            ),
            *_energy(figures),
        ),
    )
    return network, simulation, silicon, image


def notes(figures: Figures) -> tuple[str, ...]:
    """The formula of the energy, and what is not in the numbers."""
    further = f"{figures.code_cycles_per_image:,.0f}"
    registers = (
        f"the drain register of each element, {figures.drain_bits} bits, and its control"
        if figures.architecture == "systolic"
        else f"each MAC has {figures.operand_bits} bits of operand registers, which elements share at the edge, but "
        f"not the drain register of {figures.drain_bits} bits"
    )
    formula = (
        "Energy of runs = operand cycles x power at full rate / clock + other cycles x idle power / clock; "
        "requantisers are at full rate for one cycle a code. In loads everything is idle."
    )
    glitches = "" if figures.element.toggles == "glitch-aware" else ", glitches"
    left_out = (
        f"Not in it: memories, controller, wires, clock tree{glitches}; layer norms, softmax and GELU, which the host "
        f"computes; {registers}."
    )
    meaning = (
        "Power at full rate is that of uniform random codes, not of the network's. Every GEMM counts once; runs that "
        f"were repeated to compare codes ({further} cycles an image, with loads) do not."
    )
    return formula, left_out, meaning


def screen(figures: Figures, folder: Path) -> None:
    """Prints it, in at most 40 lines of 100 columns, with the files in ``folder``."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.width = min(console.width, WIDTH)
    console.print(title(figures), style="bold", markup=False)
    for section in sections(figures):
        table = Table.grid(padding=(0, 2))
        table.add_column(width=26)
        table.add_column()
        for line in section.lines:
            table.add_row(f"  {line.label}", escape(line.value))
        console.print(section.title, style="bold", markup=False)
        console.print(table)
    for note in notes(figures):
        console.print(note, style="dim", markup=False)
    console.print(f"{folder / 'demo.html'}, {folder / 'demo.json'}", markup=False, soft_wrap=True)


def html(figures: Figures) -> str:
    """The page: one file, nothing from elsewhere."""
    return fill("demo.html.j2", figures=figures, title=title(figures), sections=sections(figures), notes=notes(figures))


def _accuracy(found: Accuracy) -> str:
    return (
        f"{found.score:.2%} of {found.samples:,} images (95 % interval {found.low:.2%} to {found.high:.2%}), "
        f"{counted(found.epochs, 'epoch')}"
    )


def _block(block: Block) -> str:
    area = f"{block.area_um2:,.1f} um2"
    if block.minimum_period_ns is None or block.power_uw is None or block.idle_uw is None:
        return f"{area}; timing and power {UNKNOWN}"
    misses = "" if block.meets_clock else ", misses the clock"
    return (
        f"{area}, period {block.minimum_period_ns:.2f} ns{misses}, {block.power_uw:,.1f} uW at full rate, "
        f"{block.idle_uw:,.1f} uW idle"
    )


def _all(block: Block) -> str:
    return f"{block.total_area_um2:,.0f} um2, {_milliwatts(block.total_power_uw, 'at full rate')}"


def _milliwatts(power_uw: float | None, when: str) -> str:
    return f"power {UNKNOWN}" if power_uw is None else f"{power_uw / 1e3:,.2f} mW {when}"


def _energy(figures: Figures) -> tuple[Line, ...]:
    spent, each = figures.energy_per_image, figures.energy_pj_per_mac
    if spent is None or each is None:
        return (Line("energy", UNKNOWN, "synthesise"),)
    return (
        Line("energy of runs", f"{spent.elements_pj / 1e3:,.1f} nJ MACs, {spent.requantisers_pj / 1e3:,.1f} nJ "
             "requantisers", "synthesise"),
        Line("energy of loads", f"{spent.loads_pj / 1e3:,.1f} nJ", "synthesise"),
        Line("energy", f"{spent.total_pj / 1e3:,.1f} nJ, {each:.3f} pJ a MAC", "synthesise"),
    )  # fmt: skip
