"""Yosys reads plain Verilog, whatever is drawn of it, as a simulator does that shares no reader with it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from siliquant.inputs import InputError
from sim.simulators import read_source
from tests.sim.simulators.drawn import Drawn, drawn

YOSYS = """
from pyosys import libyosys
design = libyosys.Design()
for command in ("read_verilog design.v", "hierarchy -check", "proc -noopt", "memory_collect", "opt_clean", "memory",
                "simplemap", "opt_clean", "write_verilog -noattr netlist.v"):
    design.run_pass(command)
"""
CYCLES = 60


def modules(seed: int, count: int) -> list[Drawn]:
    """Those of them that are taken."""
    random = Random(seed)
    found: list[Drawn] = []
    while len(found) < count:
        below = found[:5] if len(found) > 5 else []
        made = drawn(random, f"m{len(found)}", below)
        with contextlib.suppress(InputError):
            read_source("".join(each.text for each in (*below, made)).encode())
            found.append(made)
    return found


def bench(found: list[Drawn], seed: int) -> str:
    """Both readings of each module beside each other; what differs is printed, and what is X in the first."""
    lines = [f"module bench;\n  reg clk = 0, rst = 1;\n  integer cycle, seed = {seed};\n  always #5 clk = ~clk;"]
    draw, check = "", ""
    for each in found:
        name = each.name
        for port, bits in each.inputs.items():
            lines.append(f"  reg [{bits - 1}:0] {name}_{port};")
            draw += f"{name}_{port} = $random(seed); "
        for port, bits in each.outputs.items():
            lines.append(f"  wire [{bits - 1}:0] {name}_{port}_m, {name}_{port}_n;")
            one, other = f"{name}_{port}_m", f"{name}_{port}_n"
            check += f'if ({one} !== {other} || ^{one} === 1\'bx) $display("{name} {port} %b %b", {one}, {other});\n'
        for kind in "mn":
            pins = [f".{port}({name}_{port})" for port in each.inputs]
            pins += [f".{port}({name}_{port}_{kind})" for port in each.outputs]
            lines.append(f"  {kind}{name[1:]} {name}_{kind} (.clk(clk), .rst(rst), {', '.join(pins)});")
    lines.append(
        f"  initial begin {draw}\n    for (cycle = 0; cycle < {CYCLES}; cycle = cycle + 1) begin\n"
        f"      @(negedge clk); rst = cycle < 3 || cycle == 30; {draw} #2;\n      if (cycle > 3) begin {check} end\n"
        '    end\n    $display("end"); $finish;\n  end\nendmodule\n'
    )
    return "\n".join(lines)


def differences(found: list[Drawn], seed: int, folder: Path) -> str:
    (folder / "design.v").write_text("".join(each.text for each in found))
    subprocess.run([sys.executable, "-c", YOSYS], cwd=folder, check=True, capture_output=True)
    netlist = (folder / "netlist.v").read_text()
    (folder / "netlist.v").write_text(re.sub(r"\bm(?=\d+\b)", "n", netlist))
    (folder / "bench.v").write_text(bench(found, seed))
    command = ["iverilog", "-g2005", "-s", "bench", "-o", "bench", "design.v", "netlist.v", "bench.v"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True, text=True)
    return "\n".join(line for line in done.stdout.splitlines() if "$finish" not in line)


@pytest.mark.parametrize("seed", [1, 2])
def test_yosys_reads_as_icarus_does(seed: int, tmp_path: Path) -> None:
    assert differences(modules(seed, 30), seed, tmp_path) == "end"


OTHERWISE = (
    (
        "if (rst) y <= 1'd0; else begin if (a0) y <= a1; y <= 1'd0; end",
        "y must not be assigned to behind the if or case",
    ),
    ("if (rst) y <= 1'd0; else case (1'd0) a0: y <= a1; default y <= ~a1; endcase", "a case must be of a word"),
)


@pytest.mark.parametrize(("statement", "said"), OTHERWISE)
def test_what_yosys_reads_otherwise_is_refused(statement: str, said: str, tmp_path: Path) -> None:
    """Where there is no difference, a newer Yosys reads it as others do."""
    head = "module m0 (input wire clk, input wire rst, input wire a0, input wire a1, output reg y);"
    made = Drawn("m0", {"a0": 1, "a1": 1}, {"y": 1}, f"{head}\n  always @(posedge clk) {statement}\nendmodule\n")
    with pytest.raises(InputError, match=rf"^line 2: {said}"):
        read_source(made.text.encode())
    assert "m0 y " in differences([made], 1, tmp_path)
