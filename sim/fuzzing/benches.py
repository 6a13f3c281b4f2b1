"""A plain Verilog bench for any module of ours: a word of all inputs a cycle in, one of all outputs out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtl.verilog import to_verilog
from siliquant.files import scratch
from siliquant.inputs import InputError
from siliquant.processes import run as processes
from siliquant.processes import shadows
from sim.simulators import ToolError, Verilator, executable, run_tool

from .cases import ENGINES, Spec

__all__ = ["run_bench", "verilog_of"]

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


def verilog_of(spec: Spec) -> str:
    """The Verilog of a design."""
    return to_verilog([spec])


def run_bench(
    spec: Spec, cycles: Sequence[Mapping[str, int]], engine: str, verilog: str | None = None
) -> list[tuple[str, str]]:
    """out_valid and the result of every cycle, before its clock edge, as bits; x where they are unknown.

    cycles: words of all inputs. engine: "icarus", "verilator", or "netlist", gates that Yosys makes of the Verilog,
    in Icarus. verilog: in place of that of ``spec``. Raises ToolError.
    """
    if engine not in ENGINES[1:]:
        raise InputError(f"engine must be one of {', '.join(ENGINES[1:])}, not {engine!r}")
    inputs = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
    outputs = [(port.name, port.width) for port in spec.ports if not port.is_input]
    with scratch("fuzz") as folder:
        (folder / "stimulus.hex").write_text("".join(f"{_joined(words, inputs):x}\n" for words in cycles))
        (folder / "bench.v").write_text(_bench(spec.name, inputs, outputs, len(cycles)))
        (folder / "design.v").write_text(verilog_of(spec) if verilog is None else verilog)
        if engine == "netlist":
            command = shadows.command("sim.fuzzing.netlist_worker", "design.v", "design.v", spec.name)
            done = processes.run(command, cwd=folder, env={**os.environ, **processes.TEMPORARY_HERE})
            if done.returncode != 0:
                raise ToolError(f"Yosys could not make gates: {(done.stderr or done.stdout).strip()[-500:]}")
        said = _in_verilator(folder) if engine == "verilator" else _in_icarus(folder)
    total = sum(width for _, width in outputs)
    lines = [line for line in said.splitlines() if len(line) == total and set(line) <= set("01xz")]
    if len(lines) != len(cycles):
        raise ToolError(f"{engine} must print {len(cycles)} cycles, not {len(lines)}: {json.dumps(said[-300:])}")
    valid = _place("out_valid", outputs)
    (result,) = (_place(name, outputs) for name, _ in outputs if name != "out_valid")
    return [(line[valid], line[result]) for line in lines]


def _in_icarus(folder: Path) -> str:
    (folder / "clock.v").write_text(_CLOCK)
    command = [executable("iverilog"), "-g2001", "-s", "siliquant_bench", "-o", "bench.vvp"]
    run_tool([*command, "clock.v", "bench.v", "design.v"], folder)
    return run_tool([executable("vvp"), "-n", "bench.vvp"], folder)


def _in_verilator(folder: Path) -> str:
    (folder / "main.cpp").write_text(_CLOCK_IN_CPP)
    verilator = Verilator()
    command = [verilator.program(), "--cc", "--exe", "-Wno-fatal", "--Mdir", "obj", "--prefix", "Vtop", "-o", "bench"]
    command += ["--top-module", "siliquant_cycles", "main.cpp", "bench.v", "design.v"]
    run_tool(command, folder, verilator.environment())
    verilator.take_runtime(folder / "obj")
    run_tool(verilator.make(), folder / "obj", verilator.environment())
    return run_tool([str(folder / "obj" / "bench")], folder)


def _joined(words: Mapping[str, int], inputs: Sequence[tuple[str, int]]) -> int:
    joined = low = 0
    for name, width in inputs:
        joined |= words.get(name, 0) << low
        low += width
    return joined


def _place(name: str, outputs: Sequence[tuple[str, int]]) -> slice:
    """Where a port lies in a line."""
    low = 0
    for known, width in outputs:
        if known == name:
            return slice(low, low + width)
        low += width
    raise InputError(f"a module must have the port {name}")


def _bench(module: str, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]], cycles: int) -> str:
    pins, low = [".clk(clk)"], 0
    for name, width in inputs:
        pins.append(f".{name}(now[{low + width - 1}:{low}])")
        low += width
    pins += [f".{name}(o_{name})" for name, _ in outputs]
    return _CYCLES.format(
        top=low - 1,
        last=cycles - 1,
        wires="\n".join(f"  wire [{width - 1}:0] o_{name};" for name, width in outputs),
        module=module,
        pins=", ".join(pins),
        names=", ".join(f"o_{name}" for name, _ in outputs),
    )
