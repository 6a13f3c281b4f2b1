"""A plain Verilog bench for any module: a word of all inputs a cycle in, one of all outputs out. No cocotb."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rtl.logic import placed
from siliquant.files import scratch

from .toolchain import ToolError, Verilator, executable, run_tool

__all__ = ["Ports", "run_cycles"]

Ports = Sequence[tuple[str, int]]
"""Names and widths."""
_CYCLES = """\
module siliquant_cycles(input clk);
  reg [{top}:0] words [0:{last}];
  integer cycle;
  wire [{top}:0] now = words[cycle];
{wires}
  {module} unit({pins});
  initial begin
    cycle = 0;
    $readmemh("stimulus.hex", words);
  end
  always @(posedge clk) begin
    $display("%b", {{{names}}});
    if (cycle == {last}) $finish;
    cycle <= cycle + 1;
  end
endmodule
"""
_CLOCK = """\
module siliquant_bench;
  reg clk = 0;
  siliquant_cycles cycles(clk);
  always #1 clk = ~clk;
endmodule
"""
_CLOCK_IN_CPP = """\
#include "Vtop.h"
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vtop top{&context};
    top.clk = 0;
    top.eval();
    while (!context.gotFinish()) {
        top.clk = !top.clk;
        top.eval();
    }
}
"""


def run_cycles(
    verilog: str,
    module: str,
    inputs: Ports,
    outputs: Ports,
    words: Sequence[int],
    engine: str,
    seeds: Sequence[int] = (),
) -> list[list[str]]:
    """The outputs of every cycle, before its clock edge, as bits side by side, the first port first; x where unknown.

    words: the inputs of each cycle but the clock, the first port lowest. engine: "icarus", or "verilator". There
    registers are 0 at first, or random: one list for each of ``seeds``. Raises ToolError.
    """
    with scratch("cycles") as folder:
        (folder / "stimulus.hex").write_text("".join(f"{word:x}\n" for word in words))
        (folder / "bench.v").write_text(_bench(module, inputs, outputs, len(words)))
        (folder / "design.v").write_text(verilog)
        said = _in_icarus(folder) if engine == "icarus" else _in_verilator(folder, seeds)
    total = sum(width for _, width in outputs)
    found = [[line for line in text.splitlines() if len(line) == total and set(line) <= set("01xz")] for text in said]
    for lines, text in zip(found, said, strict=True):
        if len(lines) != len(words):
            raise ToolError(f"{engine} must print {len(words)} cycles, not {len(lines)}: {json.dumps(text[-300:])}")
    return found


def _in_icarus(folder: Path) -> list[str]:
    (folder / "clock.v").write_text(_CLOCK)
    command = [executable("iverilog"), "-g2001", "-s", "siliquant_bench", "-o", "bench.vvp"]
    run_tool([*command, "clock.v", "bench.v", "design.v"], folder)
    return [run_tool([executable("vvp"), "-n", "bench.vvp"], folder)]


def _in_verilator(folder: Path, seeds: Sequence[int]) -> list[str]:
    (folder / "main.cpp").write_text(_CLOCK_IN_CPP)
    verilator = Verilator()
    command = [verilator.program(), "--cc", "--exe", "-Wno-fatal", "--Mdir", "obj", "--prefix", "Vtop", "-o", "bench"]
    if seeds:
        command += ["--x-initial", "unique", "--x-assign", "unique"]
    command += ["--top-module", "siliquant_cycles", "main.cpp", "bench.v", "design.v"]
    run_tool(command, folder, verilator.environment())
    verilator.compile(folder / "obj")
    runs = [["+verilator+rand+reset+2", f"+verilator+seed+{seed}"] for seed in seeds] or [[]]
    return [run_tool([str(folder / "obj" / "bench"), *given], folder) for given in runs]


def _bench(module: str, inputs: Ports, outputs: Ports, cycles: int) -> str:
    pins = [".clk(clk)", *(f".{name}(now[{low + width - 1}:{low}])" for name, low, width in placed(inputs))]
    pins += [f".{name}(o_{name})" for name, _ in outputs]
    return _CYCLES.format(
        top=sum(width for _, width in inputs) - 1,
        last=cycles - 1,
        wires="\n".join(f"  wire [{width - 1}:0] o_{name};" for name, width in outputs),
        module=module,
        pins=", ".join(pins),
        names=", ".join(f"o_{name}" for name, _ in outputs),
    )
