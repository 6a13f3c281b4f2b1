"""What several drains of an array cost, and what they gain: area around the elements, cycles, area times cycles.

    python benchmarks/drains.py [--array 16x16] [--drains 1,2,4,8] [--models deit-tiny,...] [--bits 3]

Around the elements are the controller, the registers at the edge, and the way of sums to the result memory; that is
synthesised (freepdk45, plain `synth; abc`), without memories, for uniform 4x4 bits and 16 lanes. Elements and
requantisers are those of the comparison of networks, by the cost model; the cycles are exact. Every design runs every
network on an array of the same rows and columns, so what it gains is its own; the last table has the geometric mean
over the networks. Its last column is a bound on what arrays without drain registers would be, relative to the last
number of drains: an element less by those registers and by nothing else, and each tile after the drain of the one
before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from hwmodel.comparison import contenders
from hwmodel.inference import costs_of, elements_of, multiplier, network_cost, sram_of
from hwmodel.inference.inference import matrices_of
from hwmodel.inference.result import NetworkCost
from hwmodel.inference.tiles import tile_words
from hwmodel.library import find_library
from hwmodel.model import LibraryModel, Share, load_model, share_cost, share_counts
from hwmodel.model.features import PARTS
from hwmodel.model.structure import Part
from hwmodel.operands import StreamPlan
from hwmodel.workload import Assignment, Workload, assign, load_workload, uniform
from rtl.array import Architecture, ArraySpec, drained
from rtl.mac import UniformSpec
from rtl.names import MEMORY_NAME
from rtl.options import add_array, array_size
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.commandline import Parser, run
from siliquant.inputs import integer

CLOCK_MHZ, DEPTH = 500.0, 512
MAC = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)
SCRIPT = """
from pyosys import libyosys
design = libyosys.Design()
for command in {commands!r}:
    design.run_pass(command)
"""


def around_um2(spec: ArraySpec, liberty: Path) -> float:
    """Area of an array without its elements and memories."""
    text = to_verilog([spec])
    for name in (spec.grid.name, MEMORY_NAME, spec.element.name):
        text = text.replace(f"\nmodule {name}(", f"\n(* blackbox *) module {name}(")
        text = text.replace(f"\nmodule {name} ", f"\n(* blackbox *) module {name} ")
    with TemporaryDirectory() as folder:
        (Path(folder) / "array.v").write_text(text)
        (Path(folder) / "cells.lib").write_bytes(liberty.read_bytes())
        commands = [
            "read_verilog array.v", f"synth -flatten -top {spec.name}", "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib", "opt_clean", "tee -o area.txt stat -liberty cells.lib",
        ]  # fmt: skip
        script = SCRIPT.format(commands=commands)
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)
        (line,) = (line for line in (Path(folder) / "area.txt").read_text().splitlines() if "Chip area for" in line)
    return float(line.split(":")[-1])


def array_of(mac: MacSpec, size: tuple[int, int], drains: int, architecture: Architecture) -> ArraySpec:
    """With the memories of the comparison of networks."""
    return ArraySpec(
        mac=mac, rows=size[0], columns=size[1], architecture=architecture, activation_depth=DEPTH, weight_depth=DEPTH,
        requant=None, **drained(size[0], drains, DEPTH),
    )  # fmt: skip


def assignment_of(workload: Workload, mac: MacSpec, bits: int) -> Assignment:
    """The mixed network at that mean, or that of one width on the uniform design."""
    return uniform(workload, bits) if isinstance(mac, UniformSpec) else assign(workload, bits, (2, 4, 8))


def waiting_cycles(cost: NetworkCost) -> int:
    """Cycles that an inference takes more where a tile begins when the one before has drained."""
    spec, found = cost.array, 0
    for kind in cost.kinds:
        product = matrices_of(kind.gemms[0], kind.bits, cost.scales, spec)
        words = tile_words(spec.mac, product.k, product.passes(spec.mac))
        follow = kind.result_writes // (spec.rows * kind.passes) - kind.parts
        drains = [spec.drain_cycles(changed=changed) for changed in product.changed(spec.mac, spec.requant)]
        beside = sum(min(each.cycles, drain) for each, drain in zip(words, drains, strict=True))
        found += len(kind.gemms) * follow * beside
    return found


def drain_registers_um2(spec: ArraySpec, model: LibraryModel) -> float:
    """Area of the drain registers of all elements."""
    plan = StreamPlan(spec.mac.precisions[0])
    area_um2 = share_cost(spec.core, Share.ELEMENT, plan, model, CLOCK_MHZ).by_part()[Part.ACCUMULATOR_REGISTERS][0]
    registers = share_counts(spec.core, Share.ELEMENT)[PARTS.index(Part.ACCUMULATOR_REGISTERS)]
    return float(area_um2 / registers) * spec.mac.accumulator_width * spec.rows * spec.columns


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = Parser(prog="benchmarks/drains.py", description=__doc__)
    add_array(made, "16x16")
    made.add_argument("--drains", metavar="N,N,...", default="1,2,4,8", help="the first is what others are compared to")
    made.add_argument("--models", metavar="NAME,...", default="deit-tiny,deit-base,swin-tiny,bert-base-128")
    made.add_argument("--bits", metavar="B", default="3", help="mean bits of the networks")
    options = made.parse_args(arguments)
    size, bits = array_size(options.array), integer("bits", options.bits)
    drains = [integer("drains", text) for text in options.drains.split(",")]
    networks = [load_workload(name) for name in options.models.split(",")]
    out = Console()

    liberty = find_library("freepdk45").slim_path
    area = Table("drains", *(f"{each.value} um2" for each in Architecture), title="around the elements")
    around: dict[int, float] = {}
    for number in drains:
        found = [around_um2(array_of(MAC, size, number, each), liberty) for each in Architecture]
        around[number] = found[0]
        area.add_row(str(number), *(f"{um2:,.0f}" for um2 in found))
    out.print(area)

    model = load_model("freepdk45")
    costs = costs_of(model, CLOCK_MHZ, sram_of("freepdk45"), rows=size[0], columns=size[1])
    longest = max(each.longest_sum for each in networks)
    titles = (
        *(f"cycles, {number}" for number in drains[1:]),
        *(f"area x cycles, {number}" for number in drains[1:]),
        "none",
    )
    gain = Table("design", *titles, title=f"relative to {drains[0]}, mean of {bits} bits")
    for mac in elements_of(16, contenders(), model, CLOCK_MHZ, longest_sum=longest)(bits):
        cycles, products, without = [], [], []
        for network in networks:
            assignment = assignment_of(network, mac, bits)
            each_cycles, each_product = [], []
            for number in drains:
                spec = array_of(mac, size, number, Architecture.BROADCAST)
                requant = multiplier(assignment.drained_bits)
                cost = network_cost(replace(spec, requant=requant), assignment, costs)
                each_cycles.append(cost.cycles)
                each_product.append(cost.cycles * (cost.area.logic_um2 + around[number]))
            less_um2 = cost.area.logic_um2 + around[number] - drain_registers_um2(cost.array, model)
            without.append([(cost.cycles + waiting_cycles(cost)) * less_um2 / each_product[-1]])
            cycles.append(np.divide(each_cycles, each_cycles[0])[1:])
            products.append(np.divide(each_product, each_product[0])[1:])
        cells = [np.exp(np.log(each).mean(0)) for each in (cycles, products, without)]
        gain.add_row(mac.label, *(f"{value:.3f}" for each in cells for value in each))
    out.print(gain)


if __name__ == "__main__":
    run("benchmarks/drains.py", main)
