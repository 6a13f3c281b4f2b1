"""What names in the Verilog change in its netlist: areas of the text that people read and of the one that rows are of.

    python benchmarks/synthesis/texts.py [--library NAME | --liberty FILE] [--clock-mhz F] [--out FILE]

Both are written from one component (tests/rtl/verilog/test_writing.py has Yosys prove small ones equal); a synthesis
tool meets their nets in another order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.progress import track

from hwmodel.options import add_clock, add_library_file, library_of
from hwmodel.synthesis import synthesise
from rtl.mac import BitFusionSpec, BitSerialSpec, Dc1dSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.requant import MultiplierSpec, ThresholdSpec
from rtl.verilog import numbered_verilog, to_verilog
from siliquant.commandline import Parser, add_out_file, print_table, run
from siliquant.files import write_atomically
from siliquant.inputs import read_clock_mhz

DESIGNS = (
    UniformSpec(weight_bits=2, activation_bits=2), UniformSpec(), UniformSpec(pipeline_stages=1),
    UniformSpec(weight_bits=8, activation_bits=8, booth=True), PaddedSpec(gating=True), SubwordSpec(), Dc1dSpec(),
    BitFusionSpec(units=1), BitSerialSpec(), LoomSpec(), XnorSpec(), ThresholdSpec(groups=3), MultiplierSpec(groups=3),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/synthesis/texts.py", description=__doc__)
    add_library_file(parser)
    add_clock(parser)
    add_out_file(parser, "the areas, JSON (default: none)")
    options = parser.parse_args(arguments)
    library, clock_mhz = library_of(options), read_clock_mhz(options.clock_mhz)
    rows = []
    for spec in track(DESIGNS, description="designs", console=Console(stderr=True)):
        numbered, named = (
            synthesise(text([spec]), spec.name, library, clock_mhz).area_um2 for text in (numbered_verilog, to_verilog)
        )
        rows.append({"design": spec.name, "numbered_um2": numbered, "named_um2": named, "ratio": named / numbered})
    lines = [[r["design"], f"{r['numbered_um2']:,.0f}", f"{r['named_um2']:,.0f}", f"{r['ratio']:.3f}"] for r in rows]
    headers = ("design", "numbered, um2", "named, um2", "named/numbered")
    print_table(Console(), f"area in {library.name} at {clock_mhz:g} MHz", headers, lines)
    changes = [100 * (row["ratio"] - 1) for row in rows]
    print(
        f"named against numbered: {mean(changes):+.2f} % on average, from {min(changes):+.2f} to {max(changes):+.2f} %"
    )
    if options.out is not None:
        write_atomically(options.out, json.dumps({"clock_mhz": clock_mhz, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    run("benchmarks/synthesis/texts.py", main)
