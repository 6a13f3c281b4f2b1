"""Cycles, utilisation and memory traffic of one inference on an array: ``python -m hwmodel.latency``.

No synthesis and no cost of logic is needed for it; the energy shown is that of the memories.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hwmodel.network import Costs, MacCost, UnitCost, network_cost
from hwmodel.networkresult import Energy, GemmCost, NetworkCost
from hwmodel.networkrows import multiplier
from hwmodel.policy import Assignment, assign, uniform
from hwmodel.sensitivity import read_sensitivity
from hwmodel.sram import DEFAULT_DEVICE, packaged_sram
from hwmodel.tiling import Overlap
from hwmodel.workload import Role, Scales, load_workload, workload_names
from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, UniformSpec
from rtl.options import add_parameters, design_named, integer, read_parameters
from siliquant.cli import Parser, run

__all__ = ["HEADERS", "lines_of", "main"]

PROG = "hwmodel.latency"
EPILOG = """\
examples:
  python -m hwmodel.latency --model deit-tiny --bits 4
  python -m hwmodel.latency --model deit-tiny --mean 3 --widths 2,4,8 --design bitfusion --array 10x18"""
HEADERS = (
    "GEMMs", "calls", "M MACs", "bits", "passes", "cycles", "utilisation", "loads", "SRAM uJ", "off chip kB"
)  # fmt: skip


def lines_of(cost: NetworkCost) -> list[list[str]]:
    """Cells under HEADERS: a line for each role, and the total."""
    lines = []
    for role in dict.fromkeys(kind.role for kind in cost.kinds):
        lines.append(_line(role, [kind for kind in cost.kinds if kind.role is role]))
    return [*lines, _line(None, cost.kinds)]


def _line(role: Role | None, kinds: Sequence[GemmCost]) -> list[str]:
    calls = sum(len(kind.gemms) for kind in kinds)
    cycles = sum(kind.cycles * len(kind.gemms) for kind in kinds)
    loads = sum(kind.load_cycles * len(kind.gemms) for kind in kinds)
    runs = sum(kind.run_cycles * len(kind.gemms) for kind in kinds)
    energy = sum((kind.total_energy for kind in kinds), Energy())
    sram_pj = energy.activation_sram_pj + energy.weight_sram_pj + energy.result_sram_pj
    return [
        "all" if role is None else role.value,
        str(calls),
        f"{sum(gemm.macs for kind in kinds for gemm in kind.gemms) / 1e6:,.1f}",
        " ".join(map(str, sorted({kind.bits for kind in kinds}))),
        " ".join(map(str, sorted({kind.passes for kind in kinds}))),
        f"{cycles:,}",
        f"{sum(kind.useful_cycles * len(kind.gemms) for kind in kinds) / cycles:.1%}",
        f"{loads / (loads + runs):.1%}",
        f"{sram_pj / 1e6:,.2f}",
        f"{sum(kind.off_chip_bits * len(kind.gemms) for kind in kinds) / 8e3:,.0f}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    first = Parser(prog=PROG, description=None, add_help=False)
    first.add_argument("--design", default=UniformSpec.design)
    design = design_named(first.parse_known_args(given)[0].design)
    parser = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    parser.add_argument("--model", default="deit-tiny", metavar="NAME",
                        help=f"one of {', '.join(workload_names())} (default deit-tiny)")  # fmt: skip
    parser.add_argument("--bits", metavar="B", help="one width for the body (default 4)")
    parser.add_argument("--mean", metavar="B", help="mixed precision at this mean instead")
    parser.add_argument("--widths", default="2,4,8", metavar="LIST", help="widths of a mix (default 2,4,8)")
    parser.add_argument("--sensitivity", type=Path, metavar="FILE", help="JSON or CSV (default: the paper's order)")
    parser.add_argument("--design", default=UniformSpec.design, metavar="NAME",
                        help=f"{', '.join(each.design for each in DESIGNS)} (default uniform)")  # fmt: skip
    parser.add_argument("--array", default="16x16", metavar="ROWSxCOLUMNS", help="default 16x16")
    parser.add_argument("--depth", default="512", metavar="N", help="words of each memory (default 512)")
    parser.add_argument("--architecture", choices=[each.value for each in Architecture], default="broadcast",
                        help="how operands reach the elements (default broadcast)")  # fmt: skip
    parser.add_argument("--scales", choices=[each.value for each in Scales], default="head",
                        help="one a tensor, one a head, or also one a head along the sums of projections "
                        "(default head)")  # fmt: skip
    parser.add_argument("--overlap", choices=[each.value for each in Overlap], default="none",
                        help="loads one after the other with runs, or double-buffered (default none)")  # fmt: skip
    parser.add_argument("--no-requantise", action="store_true", help="no requantisers at the end of the columns")
    parser.add_argument("--memories", default=DEFAULT_DEVICE, metavar="NAME",
                        help=f"transistors of the memories: hp, lop, lstp-lop (default {DEFAULT_DEVICE})")  # fmt: skip
    parser.add_argument("--clock-mhz", default="500", metavar="F", help="clock (default 500)")
    add_parameters(parser, design)
    options = parser.parse_args(given)
    workload = load_workload(options.model)
    if options.mean is not None and options.bits is not None:
        raise ValueError("--mean and --bits must not be given together")
    if options.mean is None:
        assignment = uniform(workload, integer("bits", options.bits or "4"))
    else:
        table = None if options.sensitivity is None else read_sensitivity(options.sensitivity)
        widths = [integer("widths", part) for part in options.widths.split(",")]
        assignment = assign(workload, _number("mean", options.mean), widths, sensitivity=table)
    places = re.fullmatch(r"(\d+)x(\d+)", options.array)
    if places is None:
        raise ValueError(f"array must be ROWSxCOLUMNS, as in 16x16, not {options.array!r}")
    depth = integer("depth", options.depth)
    parameters = read_parameters(options, design)
    if design is UniformSpec and "weight_bits" not in parameters and "activation_bits" not in parameters:
        parameters |= {"weight_bits": _widest(assignment), "activation_bits": _widest(assignment)}
    array = ArraySpec(
        mac=design(**parameters), rows=int(places[1]), columns=int(places[2]),
        architecture=Architecture(options.architecture), activation_depth=depth, weight_depth=depth,
        result_depth=max(depth, int(places[1])),
    )  # fmt: skip
    if not options.no_requantise:
        array = replace(array, requant=multiplier(assignment.drained_bits))
    costs = Costs(
        mac=lambda element, precision, role: MacCost(**_NOTHING, energy_pj_per_cycle=0.0),
        unit=lambda spec: UnitCost(**_NOTHING, energy_pj=0.0),
        clock_mhz=_number("clock_mhz", options.clock_mhz),
        sram=packaged_sram(device=options.memories),
    )
    cost = network_cost(array, assignment, costs, scales=Scales(options.scales), overlap=Overlap(options.overlap))
    _print(cost, options.model)


_NOTHING: dict[str, Any] = {"area_um2": 0.0, "idle_pj_per_cycle": 0.0, "leakage_uw": 0.0, "minimum_period_ns": 0.0}


def _print(cost: NetworkCost, model: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(title=f"{model} on {cost.array.name}", title_justify="left", pad_edge=False)
    for column, header in enumerate(HEADERS):
        table.add_column(header, justify="right" if column else "left", overflow="fold")
    for line in lines_of(cost):
        table.add_row(*line)
    console.print(table)
    mean = float(cost.assignment.mean_bits)
    console.print(
        f"mean of {mean:g} bits; {cost.latency_us:,.1f} us at {cost.clock_mhz:g} MHz; memories "
        f"{(cost.area.total_um2 - cost.area.logic_um2) / 1e6:.2f} mm2 ({cost.array.activation_depth} words each)",
        soft_wrap=True,
    )


def _widest(assignment: Assignment) -> int:
    return max(bits for bits, _ in assignment.mixture().shares)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None


if __name__ == "__main__":
    run(PROG, main)
