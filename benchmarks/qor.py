"""Quality of results: the area of `uniform` against plain RTL of the same function and registers.

    python benchmarks/qor.py [--library NAME | --liberty FILE] [--clock-mhz F] [--out FILE]

Plain RTL is `sum + w0*a0 + w1*a1 + ...` with the same ports, registers, enable and clear, for any synthesiser to make
the best of. Both go through Yosys' default flow (synth, dfflibmap, abc) and through this package's.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hwmodel.library import Library
from hwmodel.options import add_clock, add_library_file, library_of
from hwmodel.synthesis import ToolMissing, analyse, synthesise
from rtl.mac import UniformSpec
from rtl.verilog import to_verilog
from siliquant.commandline import Parser, add_out_file, run
from siliquant.files import write_atomically
from siliquant.inputs import read_clock_mhz

LANES = 16
BITS = (2, 3, 4, 8)
DEFAULT_FLOW = """
import sys
from pyosys import libyosys
design = libyosys.Design()
source, top, liberty, target = sys.argv[1:]
for command in (
    f"read_verilog {source}", f"synth -flatten -top {top}", f"dfflibmap -liberty {liberty}", f"abc -liberty {liberty}",
    "opt_clean -purge", f"tee -q -o {target}.json stat -json -liberty {liberty}",
    f"write_verilog -noattr -noexpr -simple-lhs {target}.v",
):
    design.run_pass(command)
"""


def plain_rtl(spec: UniformSpec) -> str:
    """The same module as ``spec`` in behavioural Verilog: signed products, one sum, no adder said."""
    w, a, lanes, width = spec.weight_bits, spec.activation_bits, spec.lanes, spec.accumulator_width
    products = "".join(
        f"\n      + $signed(weights_q[{w * k} +: {w}])"
        f" * $signed({{activation_signed_q & activations_q[{a * k + a - 1}], activations_q[{a * k} +: {a}]}})"
        for k in range(lanes)
    )
    return f"""\
module plain(input clk, input rst, input in_valid, input clear, input [{w * lanes - 1}:0] weights,
             input [{a * lanes - 1}:0] activations, input activation_signed,
             output reg out_valid, output [{width - 1}:0] accumulator);
  reg valid_q0, activation_signed_q, clear_q;
  reg [{w * lanes - 1}:0] weights_q;
  reg [{a * lanes - 1}:0] activations_q;
  reg signed [{width - 1}:0] accumulator_q;
  wire signed [{width - 1}:0] base = clear_q ? {width}'sd0 : accumulator_q;
  assign accumulator = accumulator_q;
  always @(posedge clk) begin
    valid_q0 <= rst ? 1'b0 : in_valid;
    out_valid <= rst ? 1'b0 : valid_q0;
    weights_q <= weights;
    activations_q <= activations;
    activation_signed_q <= activation_signed;
    clear_q <= clear;
    if (valid_q0) accumulator_q <= base{products};
  end
endmodule
"""


def default_flow(verilog: str, top: str, library: Library, period_ns: float) -> tuple[float, float | None]:
    """(area_um2, minimum_period_ns) of Yosys' own flow with the library, no adder cell and no constraint given."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "design.v"), Path(name, "mapped")
        source.write_text(verilog)
        command = [sys.executable, "-c", DEFAULT_FLOW, str(source), top, str(library.slim_path), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        area_um2 = float(json.loads(target.with_suffix(".json").read_text())["design"]["area"])
        netlist = target.with_suffix(".v")
        netlist.write_text(netlist.read_text().replace(" signed ", " "))
        try:
            return area_um2, analyse(netlist, top, library, period_ns).minimum_period_ns
        except ToolMissing:
            return area_um2, None


def our_flow(verilog: str, top: str, library: Library, clock_mhz: float) -> tuple[float, float | None]:
    """(area_um2, minimum_period_ns) of this package's flow."""
    result = synthesise(verilog, top, library, clock_mhz)
    return result.area_um2, result.timing.minimum_period_ns if result.timing else None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/qor.py", description=__doc__)
    add_library_file(parser)
    add_clock(parser)
    add_out_file(parser, "the figures, JSON (default: none)")
    options = parser.parse_args(arguments)
    clock_mhz = read_clock_mhz(options.clock_mhz)
    library = library_of(options)
    period_ns = 1e3 / clock_mhz
    table = Table(title=f"{library.name}, {LANES} lanes; area um2 (minimum period ns)", title_justify="left")
    for header in ("bits", "plain, default flow", "plain, our flow", "uniform, default flow", "uniform, our flow",
                   f"same at {clock_mhz:g} MHz", "uniform ours / plain default"):  # fmt: skip
        table.add_column(header, justify="right")
    figures = []
    for bits in BITS:
        spec = UniformSpec(weight_bits=bits, activation_bits=bits, lanes=LANES)
        plain, ours = plain_rtl(spec), to_verilog([spec])
        relaxed_mhz = 10.0  # a clock that every netlist meets: the smallest is kept
        columns = [
            default_flow(plain, "plain", library, period_ns),
            our_flow(plain, "plain", library, relaxed_mhz),
            default_flow(ours, spec.name, library, period_ns),
            our_flow(ours, spec.name, library, relaxed_mhz),
            our_flow(ours, spec.name, library, clock_mhz),
        ]
        ratio = columns[3][0] / columns[0][0]
        figures.append({"bits": bits, "columns": columns, "ratio": ratio})
        table.add_row(str(bits), *(f"{area:,.0f} ({_period(period)})" for area, period in columns), f"{ratio:.3f}")
    geomean = math.exp(sum(math.log(figure["ratio"]) for figure in figures) / len(figures))
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(table)
    console.print(f"geometric mean over bits of the last column: {geomean:.3f}")
    if options.out:
        write_atomically(options.out, json.dumps({"library": library.name, "rows": figures, "geomean": geomean}) + "\n")


def _period(period_ns: float | None) -> str:
    return "unknown" if period_ns is None else f"{period_ns:.2f}"


if __name__ == "__main__":
    run("benchmarks/qor.py", main)
