"""Cycles, utilisation and memory traffic of one inference on an array: ``python -m hwmodel.latency``.

No synthesis and no cost of logic is needed for it; the energy shown is that of the memories.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hwmodel.inference import (
    DEPTH,
    Costs,
    Energy,
    GemmCost,
    MacCost,
    NetworkCost,
    Overlap,
    UnitCost,
    multiplier,
    network_cost,
    operand_depths,
    packaged_sram,
)
from hwmodel.workload import (
    Pair,
    Role,
    Scales,
    Width,
    assign,
    cache_bits,
    load_workload,
    mean_text,
    parts_of,
    read_assignment,
    read_sensitivity,
    read_width,
    uniform,
)
from rtl.array import Architecture, ArraySpec, drained
from rtl.mac import UniformSpec, design_named
from rtl.options import (
    DesignParser,
    add_architecture,
    add_array,
    add_depth,
    add_drains,
    array_size,
    read_drains,
    read_parameters,
)
from siliquant.commandline import add_format, console, print_table, run
from siliquant.inputs import InputError, csv_of, integer, read_clock_mhz

from .options import add_clock, add_memories, add_mix, add_network, read_mix

__all__ = ["main", "records_of"]

PROG = "hwmodel.latency"
EPILOG = """\
The parameters of another design: --design NAME --help.

examples:
  python -m hwmodel.latency --model deit-tiny --bits 4
  python -m hwmodel.latency --model deit-tiny --bits 4/8
  python -m hwmodel.latency --mean 3 --mix-widths 2,4,8 --design bitfusion --array 10x18"""
HEADERS = (
    "GEMMs", "calls", "M MACs", "bits", "passes", "cycles", "utilisation", "loads", "SRAM uJ", "off chip kB"
)  # fmt: skip


def records_of(cost: NetworkCost) -> list[dict[str, Any]]:
    """A record for each role, and the total as role "all": cycles, shares from 0 to 1, units in the names.

    ``activation_depth_words`` and ``weight_depth_words``, of the operand memories, are the same in all. Of a decoder's
    workload ``cache_bytes`` has the memory of the keys (role "scores") and values ("context") of all
    tokens, as packed codes. Where weights and activations of any GEMM have different widths, ``bits`` has them as
    ``4/8``, and ``weight_bits`` and ``activation_bits`` have those of each operand.
    """
    roles = dict.fromkeys(kind.role for kind in cost.kinds)
    by_role = [_record(role, [kind for kind in cost.kinds if kind.role is role]) for role in roles]
    depths = {
        "activation_depth_words": cost.array.activation_depth, "weight_depth_words": cost.array.weight_depth
    }  # fmt: skip
    found = [record | depths for record in (*by_role, _record(None, cost.kinds))]
    if cached := cache_bits(cost.assignment):
        sizes = [*(cached.get(role, 0) for role in roles), sum(cached.values())]
        found = [record | {"cache_bytes": size / 8} for record, size in zip(found, sizes, strict=True)]
    if not any(isinstance(kind.bits, Pair) for kind in cost.kinds):
        return found
    widths = [*({kind.bits for kind in cost.kinds if kind.role is role} for role in roles),
              {kind.bits for kind in cost.kinds}]  # fmt: skip
    return [record | _operands(each) for record, each in zip(found, widths, strict=True)]


def _operands(widths: Iterable[Width]) -> dict[str, str]:
    """The bits of each operand."""
    both = zip(*map(parts_of, widths), strict=True)
    names = ("weight_bits", "activation_bits")
    return {name: " ".join(map(str, sorted(set(bits)))) for name, bits in zip(names, both, strict=True)}


def _record(role: Role | None, kinds: Sequence[GemmCost]) -> dict[str, Any]:
    cycles = sum(kind.cycles * len(kind.gemms) for kind in kinds)
    loads = sum(kind.load_cycles * len(kind.gemms) for kind in kinds)
    runs = sum(kind.run_cycles * len(kind.gemms) for kind in kinds)
    energy = sum((kind.total_energy for kind in kinds), Energy())
    return {
        "role": "all" if role is None else role.value,
        "calls": sum(len(kind.gemms) for kind in kinds),
        "macs": sum(gemm.macs for kind in kinds for gemm in kind.gemms),
        "bits": " ".join(map(str, sorted({kind.bits for kind in kinds}, key=parts_of))),
        "passes": " ".join(map(str, sorted({kind.passes for kind in kinds}))),
        "cycles": cycles,
        "utilisation": sum(kind.useful_cycles * len(kind.gemms) for kind in kinds) / cycles,
        "load_share": loads / (loads + runs),
        "sram_uj": (energy.activation_sram_pj + energy.weight_sram_pj + energy.result_sram_pj) / 1e6,
        "off_chip_bytes": sum(kind.off_chip_bits * len(kind.gemms) for kind in kinds) / 8,
    }


def _cells(record: Mapping[str, Any]) -> list[str]:
    """Cells under HEADERS."""
    return [
        record["role"], str(record["calls"]), f"{record['macs'] / 1e6:,.1f}", record["bits"], record["passes"],
        f"{record['cycles']:,}", f"{record['utilisation']:.1%}", f"{record['load_share']:.1%}",
        f"{record['sram_uj']:,.2f}", f"{record['off_chip_bytes'] / 1e3:,.0f}",
    ]  # fmt: skip


def parser() -> DesignParser:
    """The options, those of the design too."""
    made = DesignParser(prog=PROG, description=__doc__, epilog=EPILOG, default=UniformSpec.design)
    add_network(made, "deit-tiny")
    made.add_argument(
        "--bits",
        metavar="B",
        help="bits of weights and activations, everywhere (default 4); 4/8: of weights, of activations",
    )
    add_mix(made, None)
    made.add_argument("--policy", type=Path, metavar="FILE", help="bits of every GEMM, from siliquant policy --out")
    add_array(made, "16x16")
    add_depth(made, DEPTH, grows=True)
    add_architecture(made, Architecture.BROADCAST.value)
    add_drains(made)
    made.add_argument("--scales", choices=[each.value for each in Scales], default="head", metavar="NAME",
                      help="one scale a tensor, a head, or a head along the sums of projections too")  # fmt: skip
    made.add_argument("--overlap", choices=[each.value for each in Overlap], default="none", metavar="NAME",
                      help="of loads and runs: one after the other, or double-buffered")  # fmt: skip
    made.add_argument("--no-requantise", action="store_true", help="no requantisers at the end of the columns")
    add_memories(made)
    add_clock(made)
    add_format(made, "table", "csv", "json")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--mean", options.mean is not None, "--mix-widths", "--sensitivity")
    design = design_named(options.design)
    workload = load_workload(options.model)
    given = [f"--{name}" for name in ("mean", "bits", "policy") if getattr(options, name) is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} must not be given together")
    if options.policy is not None:
        assignment = read_assignment(options.policy, workload)
    elif options.mean is None:
        assignment = uniform(workload, read_width("bits", options.bits or "4"))
    else:
        table = None if options.sensitivity is None else read_sensitivity(options.sensitivity)
        mean, widths, of_activations = read_mix(options)
        assignment = assign(workload, mean, widths, activation_widths=of_activations, sensitivity=table)
    rows, columns = array_size(options.array)
    depth = DEPTH if options.depth is None else integer("depth", options.depth)
    scales = Scales(options.scales)
    parameters = read_parameters(options, design)
    if design is UniformSpec and "weight_bits" not in parameters and "activation_bits" not in parameters:
        parameters |= dict(zip(("weight_bits", "activation_bits"), assignment.uniform_bits, strict=True))
    plain = design(**parameters)
    longest = assignment.workload.longest_sum(scales)
    if "reduction_length" not in parameters and longest > plain.reduction_length:
        plain = replace(plain, reduction_length=longest)
    depths = dict.fromkeys(("activation_depth", "weight_depth"), depth)
    if options.depth is None:
        depths = operand_depths(plain, assignment, scales=scales)
    array = ArraySpec(
        mac=plain, rows=rows, columns=columns, architecture=Architecture(options.architecture), **depths,
        requant=None if options.no_requantise else multiplier(assignment.drained_bits),
        **drained(rows, read_drains(options, rows), depth),
    )  # fmt: skip
    costs = Costs(
        mac=lambda element, precision, role: MacCost(**_NOTHING, energy_pj_per_cycle=0.0),
        unit=lambda spec: UnitCost(**_NOTHING, energy_pj=0.0),
        clock_mhz=read_clock_mhz(options.clock_mhz),
        sram=packaged_sram(device=options.memories),
    )
    cost = network_cost(array, assignment, costs, scales=scales, overlap=Overlap(options.overlap))
    if options.format == "json":
        print(json.dumps(records_of(cost), indent=1))
    elif options.format == "csv":
        import pandas as pd

        sys.stdout.write(csv_of(pd.DataFrame(records_of(cost))))
    else:
        _print(cost, grown=options.depth is None)


_NOTHING: dict[str, Any] = {"area_um2": 0.0, "idle_pj_per_cycle": 0.0, "leakage_uw": 0.0, "minimum_period_ns": 0.0}


def _print(cost: NetworkCost, *, grown: bool) -> None:
    """grown: whether operand memories have more words than DEPTH where the network needs them."""
    out = console()
    name = cost.assignment.workload.name
    print_table(out, f"{name} on {cost.array.name}", HEADERS, [_cells(record) for record in records_of(cost)])
    mean = cost.assignment.mean_bits
    out.print(
        f"mean of {mean_text(mean)} bits; {cost.latency_us:,.1f} us at {cost.clock_mhz:g} MHz; memories "
        f"{(cost.area.total_um2 - cost.area.logic_um2) / 1e6:.2f} mm2 "
        f"({_operands_text(cost, grown)})"
    )
    if cached := cache_bits(cost.assignment):
        keys, values = cached[Role.SCORES], cached[Role.CONTEXT]
        out.print(
            f"keys and values of all tokens: {keys + values:,} bits ({(keys + values) / 8:,.0f} bytes), keys {keys:,} "
            f"and values {values:,} bits"
        )


def _operands_text(cost: NetworkCost, grown: bool) -> str:
    activations, weights = cost.array.activation_depth, cost.array.weight_depth
    text = f"operands {activations} words each"
    if activations != weights:
        text = f"operands {activations} words of activations, {weights} of weights"
    if grown and max(activations, weights) > DEPTH:
        longest = cost.assignment.workload.longest_sum(cost.scales)
        text += f", more than {DEPTH} to hold a tile of the longest sums, {longest:,} products"
    return text


if __name__ == "__main__":
    run(PROG, main)
