"""Area, timing and power of the modules of an array that was simulated, and its Verilog, from the record of that
simulation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwmodel.options import add_clock
from reports.demonstration import Block
from siliquant.commandline import Parser, add_out_folder, run
from siliquant.files import write_atomically
from siliquant.inputs import InputError, belongs, json_object, member, read_clock_mhz, read_text

if TYPE_CHECKING:
    from hwmodel.measurement import Bench
    from rtl.array import ArraySpec

__all__ = ["array_of", "blocks", "main"]

PROG = "reports.silicon"
EPILOG = """\
DIR gets the Verilog of the array, its manifest, and silicon.json. Where OpenSTA is missing there are areas only.

example:
  python -m reports.silicon --equivalence build/demo/equivalence.json --out build/demo/silicon"""


def array_of(record: Mapping[str, Any]) -> ArraySpec:
    """The array that a record of sim.equivalence is about.

    Raises ValueError unless it is one of uniform MACs with requantisers by thresholds, made by this version.
    """
    from rtl.mac import UniformSpec
    from rtl.manifests import array_from_parameters
    from rtl.requant import ThresholdSpec

    made = array_from_parameters(record["spec"])
    if not isinstance(made.mac, UniformSpec) or not isinstance(made.requant, ThresholdSpec):
        raise InputError("the array must have uniform MACs and requantisers by thresholds; see sim.equivalence --help")
    if made.name != record["array"]:
        raise InputError(f"the array must be {made.name}, as its parameters say, not {record['array']}")
    return made


def blocks(array: ArraySpec, bench: Bench) -> tuple[Block, Block]:
    """The MAC of an element and a requantiser, from the rows that are kept or synthesised now.

    Raises SynthesisError where a tool fails and Mismatch where a netlist does not compute what its spec does.
    """
    from hwmodel.measurement import RowStore, Unit, measure, measure_unit
    from rtl.mac import UniformSpec
    from rtl.requant import ThresholdSpec
    from rtl.spec import Precision

    mac, requant, store = array.mac, array.requant, RowStore()
    assert isinstance(mac, UniformSpec)
    assert isinstance(requant, ThresholdSpec)
    precision = Precision(mac.weight_bits, mac.activation_bits)
    found = measure(mac, [precision], bench, store)
    element = Block.of(mac.name, array.rows * array.columns, found.row, found.powered[precision])
    print(_line(element), flush=True)
    unit = measure_unit(Unit(requant.bits, requant, mac), bench, store)
    requantiser = Block.of(requant.name, array.columns, unit.row, unit.powered)
    print(_line(requantiser), flush=True)
    return element, requantiser


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument(
        "--equivalence", type=Path, required=True, metavar="FILE", help="what sim.equivalence --out wrote"
    )
    add_out_folder(made, "Verilog, manifest and numbers", required=True)
    add_clock(made)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    clock_mhz = read_clock_mhz(options.clock_mhz)
    array = array_of(_record(options.equivalence))

    from hwmodel.library import find_library
    from hwmodel.measurement import Bench, tool_versions
    from rtl.manifests import array_manifest
    from rtl.verilog import to_verilog

    bench = Bench(find_library(), clock_mhz)
    verilog = to_verilog([array])
    file = options.out / f"{array.name}.v"
    write_atomically(file, verilog)
    write_atomically(file.with_suffix(".json"), json.dumps(array_manifest(array), indent=2) + "\n")
    print(f"{file}: {len(verilog.splitlines())} lines", flush=True)
    element, requantiser = blocks(array, bench)
    found = {
        "array": array.name,
        "verilog": {
            "file": file.name,
            "lines": len(verilog.splitlines()),
            "sha256": hashlib.sha256(verilog.encode()).hexdigest(),
        },
        "macs_per_cycle": array.macs_per_cycle,
        "drain_bits": array.mac.accumulator_width,
        "operand_bits": sum(port.width for port in array.mac.operand_ports),
        "element": asdict(element),
        "requantiser": asdict(requantiser),
        "library": bench.library.name,
        "corner": bench.library.corner,
        "clock_mhz": bench.clock_mhz,
        "versions": tool_versions(),
    }
    write_atomically(options.out / "silicon.json", json.dumps(found, indent=1) + "\n")
    total = element.total_area_um2 + requantiser.total_area_um2
    print(f"{element.count} elements and {requantiser.count} requantisers: {total:,.0f} um2")


def _record(path: Path) -> dict[str, Any]:
    with belongs(path, "a record of sim.equivalence --out"):
        found = json_object(read_text(path))
        for name, kind in (("array", str), ("spec", dict), ("gemms", list)):
            member(found, name, kind)
        return found


def _line(block: Block) -> str:
    if block.minimum_period_ns is None or block.power_uw is None:
        return f"{block.name}: {block.area_um2:,.1f} um2; no timing and power without OpenSTA"
    return f"{block.name}: {block.area_um2:,.1f} um2, {block.minimum_period_ns:.2f} ns, {block.power_uw:,.1f} uW"


if __name__ == "__main__":
    run(PROG, main)
