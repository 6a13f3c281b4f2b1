"""Synthesises one design: its area, timing and power in a standard-cell library: ``python -m hwmodel.synthesise``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtl.options import DesignParser, add_architecture, add_array, array_size
from siliquant.commandline import add_format, add_jobs, add_out_folder, called, read_jobs, run, working
from siliquant.files import filled
from siliquant.inputs import InputError, read_clock_mhz

from .options import (
    add_clock,
    add_effort,
    add_fresh,
    add_library_file,
    add_operands,
    add_placement,
    add_utilisation,
    check_library_options,
    library_of,
    naming,
    placing_of,
    plan_of,
    read_utilisation,
    spec_of,
)

if TYPE_CHECKING:
    from argparse import Namespace

    from hwmodel.measurement import Bench, SynthesisRow
    from hwmodel.operands import StreamPlan
    from hwmodel.placement import Placing, Wiring
    from rtl.array import CoreSpec
    from rtl.spec import MacSpec

__all__ = ["lines_of", "main", "parser"]

PROG = "hwmodel.synthesise"
EPILOG = """\
What is known already is looked up. DIR gets NAME.v, the netlist, simulated against the golden model, and NAME.json,
the row; with --place NAME.svg, a picture, and NAME.spef, the wires. --array takes elements with the registers between
them. Parameters of another design: --design NAME --help.

examples:
  python -m hwmodel.synthesise --bits 4 --lanes 16
  python -m hwmodel.synthesise --lanes 4 --array 4x4 --architecture systolic --place --out build/placed
  python -m hwmodel.synthesise --design loom --liberty my.lib.gz --format json"""


def parser() -> DesignParser:
    """The options, those of the design too."""
    made = DesignParser(prog=PROG, description=__doc__, epilog=EPILOG, default="uniform")
    add_operands(made)
    add_utilisation(made)
    add_array(made, None)
    add_architecture(made, None)
    add_library_file(made)
    add_placement(made)
    add_clock(made)
    add_effort(made)
    add_jobs(made)
    add_fresh(made)
    add_out_folder(made, "netlist and row (default: none is written)")
    add_format(made, "table", "json")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    check_library_options(made, options)
    clock_mhz, jobs = read_clock_mhz(options.clock_mhz), read_jobs(options.jobs)
    mac = spec_of(options)
    plan, utilisation = plan_of(options, mac), read_utilisation(options)
    spec = _core_of(made, options, mac) or mac
    if spec is not mac and utilisation < 1:
        raise InputError(f"utilisation must be 1 for an array, not {utilisation:g}")

    from hwmodel.measurement import Bench

    library = library_of(options)
    bench = Bench(library, clock_mhz, options.effort, options.fresh, jobs, placing_of(made, options, library))
    held = nullcontext() if options.out is None else filled(options.out)
    with held, naming(library), working(f"synthesising {spec.name}", lines=(60.0,)):
        plans = (plan, *([replace(plan, utilisation=utilisation)] if utilisation < 1 else []))
        row, *partly = _rows(options, spec, plans, bench)
    _say_without_glitches(row)
    if options.format == "json":
        shown = {"name": spec.name, **_shown(spec, plan, row)}
        power = ("power_uw", "energy_pj_per_cycle")
        if partly:
            shown["partly"] = {"utilisation": utilisation} | {name: getattr(partly[0], name) for name in power}
        print(json.dumps(shown, indent=1))
    else:
        print("\n".join(lines_of(spec, plan, row, library.no_power(row.histogram), partly=_at(utilisation, partly))))


def _say_without_glitches(row: SynthesisRow) -> None:
    """On standard error, where power is lower than it is because the program is missing that finds glitches."""
    from hwmodel.power import GLITCH_AWARE, no_glitches

    if row.power_uw is not None and row.toggles != GLITCH_AWARE and (why := no_glitches()) is not None:
        print(f"{called(PROG)}: {why}", file=sys.stderr)


def _core_of(made: DesignParser, options: Namespace, mac: MacSpec) -> CoreSpec | None:
    """The core of the array that the options ask for, if any. Raises InputError."""
    from rtl.array import Architecture, CoreSpec

    made.only_with("--array", options.array is not None, "--architecture")
    if options.array is None:
        return None
    rows, columns = array_size(options.array)
    architecture = Architecture(options.architecture or Architecture.BROADCAST)
    return CoreSpec(mac=mac, rows=rows, columns=columns, architecture=architecture)


def _rows(
    options: Namespace, spec: MacSpec | CoreSpec, plans: tuple[StreamPlan, ...], bench: Bench
) -> tuple[SynthesisRow, ...]:
    """The rows with power; the first written with its netlist where a folder is given."""
    from dataclasses import replace

    from hwmodel.measurement import DesignUnderTest, RowStore
    from siliquant.files import write_atomically

    store = RowStore(report=lambda text: print(text, file=sys.stderr))
    with DesignUnderTest(spec, bench, store, screen=False) as dut:
        found = dut.at(bench.clock_mhz, plans)
    netlist = store.netlist(found.row.key)
    if options.out is not None and netlist is None:  # the row came with the package
        with DesignUnderTest(spec, replace(bench, fresh=True), store, screen=False) as dut:
            found = dut.at(bench.clock_mhz, plans)
        netlist = store.netlist(found.row.key)
    rows = tuple(found.powered[plan] for plan in plans)
    if options.out is not None:
        assert netlist is not None
        folder: Path = options.out
        write_atomically(folder / f"{spec.name}.v", netlist)
        write_atomically(folder / f"{spec.name}.json", json.dumps(asdict(rows[0]), indent=1) + "\n")
        if bench.placing is not None:
            _write_placement(folder, spec.name, netlist, bench, bench.placing)
    return rows


def _write_placement(folder: Path, name: str, netlist: str, bench: Bench, placing: Placing) -> None:
    """Places the netlist of a row again, as it was placed for the row, and writes picture and wires."""
    from hwmodel.placement import place
    from hwmodel.synthesis import read_back
    from siliquant.files import write_atomically

    mapped = read_back(netlist, name, bench.library, bench.clock_mhz)
    placed = place(mapped, bench.library, placing, bench.clock_mhz)
    write_atomically(folder / f"{name}.svg", placed.svg)
    write_atomically(folder / f"{name}.spef", placed.mapped.spef or "")


def _shown(spec: MacSpec | CoreSpec, plan: StreamPlan, row: SynthesisRow) -> dict[str, object]:
    """The row as JSON types, with what really ran: the row itself is found by the text of the plan."""
    return asdict(row) | ({} if row.activity is None else {"activity": plan.text_on(_mac_of(spec))})


def _mac_of(spec: MacSpec | CoreSpec) -> MacSpec:
    """The MAC, or that of each element."""
    from rtl.array import CoreSpec

    return spec.mac if isinstance(spec, CoreSpec) else spec


def lines_of(
    spec: MacSpec | CoreSpec,
    plan: StreamPlan,
    row: SynthesisRow,
    no_power: str = "",
    partly: tuple[float] | tuple[float, SynthesisRow] = (1.0,),
) -> list[str]:
    """What is printed of a row: figures with their units, and where they come from.

    no_power: what the library does not state of the row's cells. partly: a utilisation, and the row with power at it.
    """
    shares = ", ".join(
        f"{name.removesuffix('_um2').replace('_', ' ')} {area:,.1f}" for name, area in asdict(row.parts).items()
    )
    lines = [
        f"{spec.name}: {row.library}, {row.corner}, {row.clock_mhz:g} MHz",
        f"area            {row.area_um2:,.1f} um2 in {row.cells:,} cells ({shares})",
    ]
    if row.minimum_period_ns is None or row.slack_ns is None:
        lines.append("timing, power   none without OpenSTA: apt-get install opensta")
    else:
        met = "meets the clock" if row.meets_clock else "misses the clock"
        lines.append(f"minimum period  {row.minimum_period_ns:.2f} ns: {met} (slack {row.slack_ns:.2f} ns)")
        if row.power_uw is None:
            lines.append(f"power           not known: {row.library} states {no_power or 'no power of its cells'}")
    if row.wiring is not None:
        lines += wires_of(row, row.wiring)
    if row.power_uw is not None:
        mac = _mac_of(spec)
        energy = row.energy_pj_per_cycle or 0.0
        share = f", {energy / plan.products_per_cycle(mac):.4g} pJ a product" if mac is spec else ""
        power = {"clock": row.clock_uw, "internal": row.internal_uw, "switching": row.switching_uw}
        terms = ", ".join(
            f"{name} {value or 0.0:,.1f}" for name, value in (power | {"leakage": row.leakage_uw}).items()
        )
        lines += [
            f"power           {row.power_uw:,.1f} uW ({terms}), {row.toggles}",
            f"energy          {energy:.4g} pJ a cycle{share}",
            f"idle power      {row.idle_uw or 0.0:,.1f} uW while no operands come",
            *_partly_lines(mac, plan, *partly),
            f"operands        {plan.text_on(mac)}",
        ]
    tools = ", ".join(
        f"{name} {row.tools[name]}" for name in ("yosys", "opensta", "icarus", "coloquinte") if name in row.tools
    )
    return [*lines, f"made by         recipe {row.recipe}, effort {row.effort}; {tools}"]


def _at(utilisation: float, rows: list[SynthesisRow]) -> tuple[float] | tuple[float, SynthesisRow]:
    return (utilisation, rows[0]) if rows else (utilisation,)


def _partly_lines(spec: MacSpec, plan: StreamPlan, utilisation: float, row: SynthesisRow | None = None) -> list[str]:
    """Power where only a share of the cycles has operands, and what a product takes then."""
    if row is None or row.power_uw is None:
        return []
    energy = (row.energy_pj_per_cycle or 0.0) / (utilisation * plan.products_per_cycle(spec))
    at = f"with operands in {utilisation:.6g} of the cycles"
    return [f"at utilisation  {row.power_uw:,.1f} uW, {energy:.4g} pJ a product, {at}"]


def wires_of(row: SynthesisRow, wiring: Wiring) -> list[str]:
    """What is printed of a placement."""
    size = f"{wiring.core_width_um:.1f} x {wiring.core_height_um:.1f} um"
    clock = f"clock {wiring.clock_um:,.0f} um with {wiring.clock_ff:,.0f} fF"
    made_for = f"; made for {wiring.made_for_mhz:g} MHz" if wiring.made_for_mhz > row.clock_mhz else ""
    return [
        f"placement       core {size}, {wiring.utilisation:.1f} % of it cells; {row.wires}{made_for}",
        f"wires           {wiring.wire_um:,.0f} um with {wiring.wire_ff:,.0f} fF in {wiring.nets:,} nets; {clock}",
    ]


if __name__ == "__main__":
    run(PROG, main)
