"""Simulation models of cells: gates against the library's own Verilog, what stores with unknown edges and enables."""

import re
import subprocess
from pathlib import Path

import pytest

from hwmodel.gatelevel.cells import cell_model
from hwmodel.liberty.clockgates import ClockGate
from hwmodel.liberty.functions import Not, Variable, parse_function
from hwmodel.liberty.models import CellModel, FlipFlop
from hwmodel.power.icarus import find_icarus, icarus_version

from .netlists import cells, library

pytestmark = pytest.mark.skipif(icarus_version() is None, reason="Icarus Verilog is not installed")


def simulated(folder: Path, text: str) -> list[str]:
    compiler, engine = find_icarus()
    (folder / "bench.v").write_text(text)
    subprocess.run([compiler, "-g2005", "-o", "bench.vvp", "bench.v"], cwd=folder, check=True)
    done = subprocess.run([engine, "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_every_gate_is_that_of_the_verilog_that_comes_with_the_library(tmp_path: Path) -> None:
    """For all inputs of 0, 1 and x: where both know the output, it is the same, and for 0 and 1 both know it."""
    own = Path(library().files.paths[0]).with_suffix(".v").read_text()
    gates = [cells()[name] for name in sorted(library().areas) if cells()[name].flip_flop is None]
    gates = [gate for gate in gates if gate.clock_gate is None and gate.inputs]
    assert len(gates) > 80
    text = own + "".join(
        cell_model(gate).replace(f"module {gate.name} ", f"module our_{gate.name} ", 1) for gate in gates
    )
    body, states = [], "01x"
    for number, gate in enumerate(gates):
        width = len(gate.inputs)
        ins = ", ".join(f".{pin}(i{number}[{place}])" for place, pin in enumerate(gate.inputs))
        for kind, prefix in (("a", ""), ("b", "our_")):
            outs = ", ".join(f".{pin}({kind}{number}[{place}])" for place, pin in enumerate(gate.outputs))
            body.append(f"  wire [{len(gate.outputs) - 1}:0] {kind}{number};")
            body.append(f"  {prefix}{gate.name} {kind}_u{number} ({ins}, {outs});")
        body.append(f"  reg [{width - 1}:0] i{number}; initial begin")
        for case in range(3**width):
            bits = "".join(states[case // 3**place % 3] for place in reversed(range(width)))
            body.append(
                f'    i{number} = {width}\'b{bits}; #1 $display("{gate.name} {bits} %b %b", a{number}, b{number});'
            )
        body.append("  end")
    lines = simulated(tmp_path, text + "module bench;\n" + "\n".join(body) + "\nendmodule\n")
    assert len(lines) == sum(3 ** len(gate.inputs) for gate in gates)
    for line in lines:
        _, bits, theirs, ours = line.split()
        for one, other in zip(theirs, ours, strict=True):
            assert one == other or "x" in (one, other), line
            assert "x" in bits or {one, other} <= {"0", "1"}, line


FLOP = CellModel("FLOP", 1.0, {"D": 1.0, "C": 1.0, "R": 1.0}, {"Q": Variable("IQ"), "N": Variable("IN")},
                 FlipFlop("IQ", "IN", Variable("D"), Variable("C"), Not(Variable("R")), None))  # fmt: skip
STEPS = [  # of clock, data and reset (active low), and what the output is then
    ("1 0 1", "x"),  # an edge from unknown: perhaps one, perhaps none
    ("0 0 1", "x"),
    ("1 0 1", "0"),
    ("1 1 1", "0"),
    ("x 1 1", "0"),  # falling or not
    ("1 1 1", "x"),  # rising again, or never low
    ("0 1 1", "x"),
    ("1 1 1", "1"),
    ("0 1 1", "1"),
    ("x 1 1", "1"),  # whether it rises or not, it holds 1
    ("0 0 1", "1"),
    ("x 0 1", "x"),
    ("0 0 0", "0"),  # cleared at any time
    ("0 1 1", "0"),
    ("0 1 x", "x"),  # cleared or not, and what follows is not looked at
    ("1 1 1", "1"),
    ("1 1 x", "x"),
    ("1 1 1", "x"),
]


def test_a_flip_flop_is_unknown_where_an_edge_may_have_been_one(tmp_path: Path) -> None:
    drive = "".join(f'    {{C, D, R}} = 3\'b{step.replace(" ", "")}; #1 $display("%b%b", Q, N);\n' for step, _ in STEPS)
    bench = (
        f"module bench; reg C, D, R; wire Q, N; FLOP unit(D, C, R, Q, N);\n  initial begin\n{drive}  end\nendmodule\n"
    )
    inverse = {"0": "1", "1": "0", "x": "x"}
    assert simulated(tmp_path, cell_model(FLOP) + bench) == [q + inverse[q] for _, q in STEPS]


def test_a_clock_gate_is_unknown_where_its_enable_was(tmp_path: Path) -> None:
    gate = CellModel("GATE", 1.0, {"CK": 1.0, "E": 1.0, "T": 1.0}, {"G": parse_function("CK & E")}, None,
                     ClockGate("CK", "E", "G", ("T",)))  # fmt: skip
    steps = ["0x0", "1x0", "110", "010", "110", "100", "000", "100", "001", "101", "x01", "x00", "100", "000", "100"]
    wanted = ["0", "x", "x", "0", "1", "1", "0", "0", "0", "1", "x", "x", "x", "0", "0"]
    drive = "".join(f'    {{CK, E, T}} = 3\'b{step}; #1 $display("%b", G);\n' for step in steps)
    bench = f"module bench; reg CK, E, T; wire G; GATE unit(CK, E, T, G);\n  initial begin\n{drive}  end\nendmodule\n"
    assert simulated(tmp_path, cell_model(gate) + bench) == wanted


def test_states_are_drawn_where_they_are_not_unknown(tmp_path: Path) -> None:
    model = cell_model(FLOP, random=True)
    units = "".join(f"  FLOP u{number}(1'b0, 1'b0, 1'b1, q[{number}], n[{number}]);\n" for number in range(64))
    found = []
    for seed in (1, 2, 1):
        bench = f"""`timescale 1ns/1ps
{model}
module bench; integer seed; wire [63:0] q, n;
{units}  initial begin seed = {seed}; #1 $display("%b", q); end
endmodule
"""
        (line,) = simulated(tmp_path, bench)
        assert re.fullmatch("[01]{64}", line)
        assert 10 < line.count("1") < 54
        found.append(line)
    assert found[0] == found[2] != found[1]
