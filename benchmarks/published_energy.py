"""Energy of plain multipliers beside what the authors of Bit Fusion state: which part is what, and when they agree.

    python benchmarks/published_energy.py [--out FILE]

Bit Fusion (Sharma et al., ISCA 2018) has, for 45 nm and 500 MHz, 172, 68 and 32 uW for fixed units of 8, 4 and 2 bits:
344, 136 and 64 fJ a product. It states no operands, and not what is registered. Here one lane of the uniform MAC of as
many bits, with an accumulator for a single product that is loaded anew in each cycle, is synthesised for the same clock
(freepdk45), and its power measured, glitches included, with operands of a stated activity: each code is drawn anew with
probability p in a cycle, else held, so a bit of an operand changes in p / 2 of all cycles. Registers are flip-flops,
their clock pins, clock gates and the clock net. "p that agrees"
is the p at which everything but the registers takes what the authors state, by a straight line between the two
measured values of p around it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hwmodel.library import Library, find_library
from hwmodel.measurement.dut import power_data
from hwmodel.netlist import read_netlist
from hwmodel.operands import StreamPlan
from hwmodel.operands.stimulus import check_sums, drive
from hwmodel.power import PowerReport, netlist_power, simulate, with_glitches
from hwmodel.power.power import REGISTER
from hwmodel.synthesis import Synthesis, synthesise
from rtl.mac import UniformSpec
from rtl.spec import IntArray, Precision
from rtl.verilog import numbered_verilog
from siliquant.commandline import Parser, run
from siliquant.files import write_atomically

PROG = "benchmarks/published_energy.py"
PUBLISHED_UW = {8: 172.0, 4: 68.0, 2: 32.0}
PUBLISHED_UM2 = {8: 688.0, 4: 282.0, 2: 125.0}
CLOCK_MHZ = 500.0  # theirs
RENEWED = (1.0, 0.5, 0.25, 0.1)  # the probabilities p
CYCLES = 1000


def held_codes(rng: np.random.Generator, values: IntArray, renewed: float) -> IntArray:
    """Codes [CYCLES], each drawn anew with probability ``renewed``, else that of the cycle before."""
    drawn = rng.choice(values, CYCLES)
    fresh = rng.random(CYCLES) < renewed
    fresh[0] = True
    return np.asarray(drawn[np.maximum.accumulate(np.where(fresh, np.arange(CYCLES), 0))], np.int64)


def measured(spec: UniformSpec, made: Synthesis, library: Library, renewed: float) -> PowerReport:
    """Power with operands of an activity; the sums are compared with the golden model's."""
    precision = Precision(spec.weight_bits, spec.activation_bits, True)
    rng = np.random.default_rng(1)
    values = [np.array(kind(precision).values) for kind in (spec.weight_values, spec.activation_values)]
    codes = [held_codes(rng, each, renewed)[:, None] for each in values]
    stimulus = drive(spec, precision, list(zip(*codes, strict=True)))
    netlist, data = read_netlist(made.netlist, spec.name), power_data(library.files)
    waves = simulate(netlist, data.cells, stimulus.words, count_from_cycle=stimulus.first_full_cycle)
    check_sums(spec, StreamPlan(precision), stimulus, waves.words("accumulator"), waves.words("out_valid"))
    assert made.timing is not None
    waves = with_glitches(
        waves, made.verilog, made.top, library, stimulus.words, period_ns=1000.0 / CLOCK_MHZ, cycles=CYCLES
    )
    return netlist_power(waves, data, slews_ns=made.timing.slews_ns, loads_ff=made.timing.loads_ff, clock_mhz=CLOCK_MHZ)


def agreeing(energies_fj: Sequence[float], published_fj: float) -> str:
    """The p at which a line through two neighbouring energies has the published one."""
    for (high, above), (low, below) in pairwise(zip(RENEWED, energies_fj, strict=True)):
        if below <= published_fj <= above:
            return f"{low + (high - low) * (published_fj - below) / (above - below):.2f}"
    return f"over {RENEWED[0]:g}" if published_fj > energies_fj[0] else f"under {RENEWED[-1]:g}"


def main() -> None:
    parser = Parser(prog=PROG, description="Compares energies of plain multipliers with published ones.")
    parser.add_argument("--out", metavar="FILE", help="write the table as JSON")
    out = parser.parse_args().out
    library, found = find_library("freepdk45"), []
    for bits, published_uw in PUBLISHED_UW.items():
        spec = UniformSpec(weight_bits=bits, activation_bits=bits, lanes=1, reduction_length=1)
        made = synthesise(numbered_verilog([spec]), spec.name, library, CLOCK_MHZ)
        registers_fj, rest_fj = [], []
        for renewed in RENEWED:
            report = measured(spec, made, library, renewed)
            registers_fj.append(1e3 * report.parts[REGISTER].power_uw / CLOCK_MHZ)
            rest_fj.append(1e3 * report.power_uw / CLOCK_MHZ - registers_fj[-1])
        published_fj = 1e3 * published_uw / CLOCK_MHZ
        found.append({
            "bits": bits,
            "area_um2": round(made.area_um2, 1),
            "published_um2": PUBLISHED_UM2[bits],
            "registers_fj": [round(energy, 1) for energy in registers_fj],
            "rest_fj": [round(energy, 1) for energy in rest_fj],
            "published_fj": published_fj,
            "agrees_at": agreeing(rest_fj, published_fj),
        })  # fmt: skip
    _print(found)
    if out:
        values = {"library": library.name, "clock_mhz": CLOCK_MHZ, "renewed": RENEWED, "units": found}
        write_atomically(Path(out), json.dumps(values, indent=1) + "\n")


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    table = Table("bits", "area um2", "theirs um2", "p", "registers fJ", "the rest fJ", "theirs fJ", "p that agrees")
    for unit in found:
        head = str(unit["bits"]), f"{unit['area_um2']:.0f}", f"{unit['published_um2']:.0f}"
        tail = f"{unit['published_fj']:.0f}", unit["agrees_at"]
        for renewed, registers, rest in zip(RENEWED, unit["registers_fj"], unit["rest_fj"], strict=True):
            table.add_row(*head, f"{renewed:g}", f"{registers:.0f}", f"{rest:.0f}", *tail)
            head, tail = ("", "", ""), ("", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    run(PROG, main)
