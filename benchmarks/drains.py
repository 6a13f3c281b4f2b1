"""What several drains of an array cost, and what they gain: area around the elements, cycles, area times cycles.

    python benchmarks/drains.py [--array 16x16] [--drains 1,2,4,8] [--models deit-tiny,...] [--bits 3] [--out FILE]

Around the elements are the controller, the registers at the edge, and the way of sums to the result memory; that is
synthesised (freepdk45, plain `synth; abc`), without memories, for uniform 4x4 bits and 16 lanes. Elements and
requantisers are those of the comparison of networks, by the cost model; the cycles are exact. Every design runs every
network on an array of the same rows and columns, so what it gains is its own; the last table has the geometric mean
over the networks. Its last columns are a bound on area times cycles of arrays without drain registers, relative to
those with them: an element less by those registers and by nothing else, and each tile after the drain of the one
before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from hwmodel.comparison import contenders
from hwmodel.inference import Costs, costs_of, elements_of, multiplier, network_cost, sram_of
from hwmodel.inference.inference import matrices_of
from hwmodel.inference.result import NetworkCost
from hwmodel.inference.tiles import tile_words
from hwmodel.library import find_library
from hwmodel.model import LibraryModel, Share, load_model, share_cost, share_counts
from hwmodel.model.features import PARTS
from hwmodel.model.structure import Part
from hwmodel.operands import StreamPlan
from hwmodel.workload import Assignment, Workload, assign, load_workload, standard_mixture, uniform
from rtl.array import Architecture, ArraySpec, drained
from rtl.mac import UniformSpec
from rtl.names import MEMORY_NAME
from rtl.options import add_array, array_size
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.commandline import Parser, run
from siliquant.files import write_atomically
from siliquant.inputs import integer

CLOCK_MHZ, DEPTH = 500.0, 512
MAC = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)
YOSYS = "import sys; from pyosys import libyosys; d = libyosys.Design(); [d.run_pass(c) for c in sys.argv[1:]]"


def around_um2(spec: ArraySpec, liberty: Path) -> float:
    """Area of an array without its elements and memories."""
    text = to_verilog([spec])
    for name in (spec.grid.name, MEMORY_NAME, spec.element.name):
        text = text.replace(f"\nmodule {name} ", f"\n(* blackbox *) module {name} ")
    with TemporaryDirectory() as folder:
        (Path(folder) / "array.v").write_text(text)
        (Path(folder) / "cells.lib").write_bytes(liberty.read_bytes())
        commands = [
            "read_verilog array.v", f"synth -flatten -top {spec.name}", "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib", "opt_clean", "tee -o area.txt stat -liberty cells.lib",
        ]  # fmt: skip
        command = [sys.executable, "-c", YOSYS, *commands]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
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


def gains_of(
    mac: MacSpec,
    assignments: Sequence[Assignment],
    size: tuple[int, int],
    drains: Mapping[int, float],
    costs: Costs,
    model: LibraryModel,
) -> dict[str, list[float]]:
    """Cycles, and area times cycles, with each number of drains but the first relative to that, geometric means.

    drains: by number, the area around the elements. "without": with each number, the bound for area times cycles of
    arrays without drain registers, relative to that with them.
    """
    cycles, products, without = [], [], []
    for assignment in assignments:
        each_cycles, each_product, bounds = [], [], []
        for number, around in drains.items():
            spec = array_of(mac, size, number, Architecture.BROADCAST)
            cost = network_cost(replace(spec, requant=multiplier(assignment.drained_bits)), assignment, costs)
            each_cycles.append(cost.cycles)
            area_um2 = cost.area.logic_um2 + around
            each_product.append(cost.cycles * area_um2)
            less_um2 = area_um2 - drain_registers_um2(cost.array, model)
            bounds.append((cost.cycles + waiting_cycles(cost)) * less_um2 / each_product[-1])
        without.append(bounds)
        cycles.append(np.divide(each_cycles, each_cycles[0])[1:])
        products.append(np.divide(each_product, each_product[0])[1:])
    names = ("cycles", "area_cycles", "without")
    means = (np.exp(np.log(each).mean(0)) for each in (cycles, products, without))
    return {name: [round(float(value), 4) for value in each] for name, each in zip(names, means, strict=True)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = Parser(prog="benchmarks/drains.py", description=__doc__)
    add_array(made, "16x16")
    made.add_argument("--drains", metavar="N,N,...", default="1,2,4,8", help="the first is what others are compared to")
    made.add_argument("--models", metavar="NAME,...", default="deit-tiny,deit-base,swin-tiny,bert-base-128")
    made.add_argument("--bits", metavar="B", default="3", help="mean bits of the networks")
    made.add_argument("--out", metavar="FILE", help="write the tables as JSON")
    options = made.parse_args(arguments)
    size, bits = array_size(options.array), integer("bits", options.bits)
    drains = [integer("drains", text) for text in options.drains.split(",")]
    networks = [load_workload(name) for name in options.models.split(",")]
    out = Console()

    liberty = find_library("freepdk45").slim()
    around = {
        number: {each.value: round(around_um2(array_of(MAC, size, number, each), liberty)) for each in Architecture}
        for number in drains
    }
    area = Table("drains", *(f"{each.value} um2" for each in Architecture), title="around the elements")
    for number, found in around.items():
        area.add_row(str(number), *(f"{um2:,}" for um2 in found.values()))
    out.print(area)

    model = load_model("freepdk45")
    costs = costs_of(model, CLOCK_MHZ, sram_of("freepdk45"), rows=size[0], columns=size[1])
    longest = max(each.longest_sum() for each in networks)
    elements = elements_of(16, contenders(), model, CLOCK_MHZ, longest_sum=longest)(bits, standard_mixture(bits))
    broadcast = {number: float(found[Architecture.BROADCAST.value]) for number, found in around.items()}
    gains = {}
    for mac in elements:
        assignments = [assignment_of(network, mac, bits) for network in networks]
        gains[mac.label] = gains_of(mac, assignments, size, broadcast, costs, model)
    titles = [f"{kind}, {number}" for kind in ("cycles", "area x cycles") for number in drains[1:]]
    gain = Table(
        "design",
        *titles,
        *(f"without, {number}" for number in drains),
        title=f"relative to {drains[0]}, mean of {bits} bits",
    )
    for label, each in gains.items():
        gain.add_row(label, *(f"{value:.3f}" for values in each.values() for value in values))
    out.print(gain)
    if options.out:
        values = {"array": options.array, "bits": bits, "drains": drains, "around_um2": around, "gains": gains}
        write_atomically(Path(options.out), json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    run("benchmarks/drains.py", main)
