"""hwmodel.power.activity: mapped netlists against golden numbers, and toggles against Icarus."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.liberty.functions import parse_function
from hwmodel.netlist.netlist import read_netlist
from hwmodel.operands.streams import Stream, pack
from hwmodel.power.activity import simulate
from tests.hwmodel.mapping import (
    LIBRARIES,
    MAC,
    liberty_path,
    library_cells,
    map_verilog,
    multiply_accumulate,
    netlist_of,
)

CYCLES = 700  # more than two blocks of the repeated evaluation
RESET = [1, 1] + [0] * (CYCLES - 2)

SERIAL = """
module serial(input clk, input rst, input bit_in, input [3:0] step, output [7:0] shifted, output [11:0] counter,
              output [6:0] lfsr);
  reg [7:0] shifted; reg [11:0] counter; reg [6:0] lfsr;
  always @(posedge clk) if (rst) begin shifted <= 0; counter <= 0; lfsr <= 1; end else begin
    shifted <= ({1'b0, shifted} + {5'b0, step}) >> 1;
    counter <= counter == 12'd900 ? 12'd0 : counter + {8'd0, step} ;
    lfsr <= {lfsr[5:0], lfsr[6] ^ lfsr[5] ^ bit_in};
  end
endmodule
"""


def _mac_stimulus(cycles: int) -> tuple[dict[str, list[int]], list[int]]:
    weights = Stream(seed=3).codes(cycles, 2, 4, signed=True, operand="weights")
    activations = Stream(seed=3).codes(cycles, 2, 4, signed=True, operand="activations")
    rst = [1, 1] + [0] * (cycles - 2)
    stimulus = {"rst": rst, "clear": [0] * cycles, "weights": pack(weights, 4), "activations": pack(activations, 4)}
    return stimulus, multiply_accumulate(weights.tolist(), activations.tolist(), rst)


@pytest.mark.parametrize("name", LIBRARIES)
def test_mapped_netlist_is_golden(name: str, tmp_path: Path) -> None:
    """A 28-bit accumulator that is never cleared, in every library, bit for bit."""
    netlist, _ = map_verilog(MAC, "mac", name, tmp_path)
    stimulus, golden = _mac_stimulus(CYCLES)
    waves = simulate(netlist, library_cells(name), stimulus, count_from_cycle=3)
    assert waves.words("result")[2:] == golden[2:]
    assert waves.words("weights") == stimulus["weights"]
    assert waves.counted_cycles == CYCLES - 3


def test_loops_of_many_registers(tmp_path: Path) -> None:
    """A shifting accumulator, a wrapping counter and a feedback shift register, cycle by cycle."""
    netlist, _ = map_verilog(SERIAL, "serial", "freepdk45", tmp_path)
    draw = random.Random(5)
    stimulus = {
        "rst": RESET,
        "bit_in": [draw.getrandbits(1) for _ in RESET],
        "step": [draw.getrandbits(4) for _ in RESET],
    }
    waves = simulate(netlist, library_cells("freepdk45"), stimulus)
    shifted = counter = lfsr = 0
    for cycle, rst in enumerate(RESET):
        if cycle >= 2:
            got = (waves.words("shifted")[cycle], waves.words("counter")[cycle], waves.words("lfsr")[cycle])
            assert got == (shifted, counter, lfsr)
        step, bit = stimulus["step"][cycle], stimulus["bit_in"][cycle]
        shifted = 0 if rst else (shifted + step) >> 1 & 0xFF
        counter = 0 if rst or counter == 900 else (counter + step) & 0xFFF
        lfsr = 1 if rst else (lfsr << 1 | (lfsr >> 6 ^ lfsr >> 5 ^ bit) & 1) & 0x7F


_TESTBENCH = """
module tb;
  reg clk = 0;
  reg [WIDTH-1:0] vectors [0:CYCLES-1];
  reg [WIDTH-1:0] now;
  integer cycle = 0;
  mac dut(.clk(clk), .rst(now[0]), .clear(now[1]), .weights(now[9:2]), .activations(now[17:10]), .result());
  initial begin
    $readmemh("vectors.hex", vectors);
    now = vectors[0];
    $dumpfile("mac.vcd");
    $dumpvars(1, dut);
    #10;
    for (cycle = 1; cycle < CYCLES; cycle = cycle + 1) begin clk = 1; now <= vectors[cycle]; #5; clk = 0; #5; end
    $finish;
  end
endmodule
"""


_CELL_MODELS = """
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in (f"read_liberty -ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch {sys.argv[1]}",
                "proc", f"write_verilog -noattr {sys.argv[2]}"):
    design.run_pass(command)
"""


def _icarus_toggles(
    folder: Path, mapped: Path, liberty: Path, stimulus: dict[str, list[int]], first: int
) -> dict[str, int]:
    """Changes of every net of dut from cycle `first` on, by the names in the VCD file."""
    models = folder / "models.v"
    command = [sys.executable, "-c", _CELL_MODELS, str(liberty), str(models)]
    subprocess.run(command, check=True, capture_output=True)
    cycles = len(stimulus["rst"])
    words = zip(stimulus["rst"], stimulus["clear"], stimulus["weights"], stimulus["activations"], strict=True)
    (folder / "vectors.hex").write_text("\n".join(f"{r | c << 1 | w << 2 | a << 10:x}" for r, c, w, a in words))
    (folder / "tb.v").write_text(_TESTBENCH.replace("WIDTH", "18").replace("CYCLES", str(cycles)))
    subprocess.run(
        ["iverilog", "-g2005", "-s", "tb", "-o", "mac.vvp", "tb.v", str(mapped), str(models)], cwd=folder, check=True
    )
    subprocess.run(["vvp", "-n", "mac.vvp"], cwd=folder, check=True, capture_output=True)
    header, _, body = (folder / "mac.vcd").read_text().partition("$enddefinitions $end")
    names: dict[str, tuple[str, int]] = {}  # code to name and lowest bit
    widths: dict[str, int] = {}
    for width, code, name, low in re.findall(r"\$var \w+ (\d+) (\S+) (\S+) (?:\[(?:\d+:)?(\d+)\] )?\$end", header):
        names[code], widths[code] = (name.removeprefix("\\"), int(low or 0)), int(width)
    values: dict[str, str] = {}
    toggles: dict[str, int] = {}
    time = 0
    for line in body.splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif line and line[0] in "01xzb":
            new, code = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            new = new.rjust(widths[code], "0")
            for bit, (old_bit, new_bit) in enumerate(zip(values.get(code, new)[::-1], new[::-1], strict=True)):
                name = names[code][0] + (f"[{names[code][1] + bit}]" if widths[code] > 1 else "")
                toggles[name] = toggles.get(name, 0) + (time >= first * 10 and old_bit != new_bit)
            values[code] = new
    return toggles


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog (iverilog) is not installed")
def test_toggles_equal_icarus(tmp_path: Path) -> None:
    """Every net of the mapped MAC toggles as often as in Icarus with the library's own functions."""
    netlist, mapped = map_verilog(MAC, "mac", "freepdk45", tmp_path)
    stimulus, _ = _mac_stimulus(200)
    waves = simulate(netlist, library_cells("freepdk45"), stimulus, count_from_cycle=6)
    expected = _icarus_toggles(tmp_path, mapped, liberty_path("freepdk45"), stimulus, first=6)
    ours = {name: waves.toggles[net] for net, names in enumerate(netlist.net_names) for name in names}
    compared = expected.keys() & ours.keys() - {"clk"}
    assert len(compared) > 300
    assert {name: ours[name] for name in compared} == {name: expected[name] for name in compared}
    assert ours["clk"] == 2 * 194 == expected["clk"]


_bits = st.lists(st.integers(0, 1), min_size=2, max_size=600)


@settings(max_examples=50, deadline=None)
@given(_bits, st.integers(1, 3))
def test_one_register_loop(enable: list[int], kind: int) -> None:
    """q' = q ^ en, q' = !(q & en), q' = en | q, by hand, with an unconnected QN."""
    gate = {1: "XOR2_X1", 2: "NAND2_X1", 3: "OR2_X1"}[kind]
    pins: dict[str, int | str] = {"A" if kind == 1 else "A1": 3, "B" if kind == 1 else "A2": 4}
    netlist = netlist_of(
        {"clk": [2], "en": [3]},
        {"q": [4]},
        {"flop": ("DFF_X1", {"CK": 2, "D": 5, "Q": 4}), "gate": (gate, pins | {"Z" if kind == 1 else "ZN": 5})},
    )
    waves = simulate(netlist, library_cells("freepdk45"), {"en": enable})
    q, expected = 0, []
    for en in enable:
        expected.append(q)
        q = {1: q ^ en, 2: 1 - (q & en), 3: q | en}[kind]
    assert waves.words("q") == expected
    changes = sum(a != b for a, b in pairwise(expected))
    assert waves.toggles[netlist.outputs["q"][0]] == changes
    assert waves.toggles[waves.pins[0]["QN"]] == changes
    assert waves.one_probability(netlist.outputs["q"][0]) == pytest.approx(sum(expected[1:]) / (len(enable) - 1))


@pytest.mark.parametrize(("cell", "pin", "value"), [("DFFR_X1", "RN", 0), ("DFFS_X1", "SN", 1)])
def test_clear_and_preset(cell: str, pin: str, value: int) -> None:
    """They act at once and hold until the edge after they are released."""
    netlist = netlist_of(
        {"clk": [2], "d": [3], "n": [4]}, {"q": [5]}, {"flop": (cell, {"CK": 2, "D": 3, pin: 4, "Q": 5})}
    )
    d, n = [0, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 1, 0, 1]
    waves = simulate(netlist, library_cells("freepdk45"), {"d": d, "n": n})
    assert waves.words("q") == [0, 0, 1, value, value, value, value]


def test_states_and_other_toggles() -> None:
    """Joint probabilities, the clock as half, and counts from another simulation."""
    netlist = netlist_of(
        {"clk": [2], "a": [3], "b": [3 + 1]},
        {"y": [5], "q": [6]},
        {"gate": ("AND2_X1", {"A1": 3, "A2": 4, "ZN": 5}), "flop": ("DFF_X1", {"CK": 2, "D": 5, "Q": 6})},
    )
    waves = simulate(netlist, library_cells("freepdk45"), {"a": [0, 1, 1, 0, 1], "b": [0, 1, 0, 1, 1]})
    assert waves.state_probability(0, parse_function("A1 & A2")) == 0.5
    assert waves.state_probability(0, parse_function("A1 & !ZN")) == 0.25
    assert waves.state_probability(1, parse_function("CK & D")) == 0.25
    assert waves.one_probability(netlist.inputs["clk"][0]) == 0.5
    assert waves.toggles_per_cycle(netlist.inputs["clk"][0]) == 2
    net = netlist.outputs["y"][0]
    assert waves.toggles_per_cycle(net) == 0.75
    glitches = waves.with_toggles({net: 60}, 40, "glitch-aware")
    assert (glitches.toggles_per_cycle(net), glitches.toggles_per_cycle(net + 1)) == (1.5, 0.5)
    assert (waves.activity_source, glitches.activity_source) == ("zero-delay", "glitch-aware")


_INV = {"inv": ("INV_X1", {"A": 3, "ZN": 4})}
_AB = {"clk": [2], "a": [3]}


@pytest.mark.parametrize(
    ("inputs", "cells", "stimulus", "message"),
    [
        (_AB, _INV, {}, "stimulus must name the input ports of top, a; a is missing"),
        (_AB, _INV, {"a": [0, 1], "c": [1, 1]}, "stimulus must name the input ports of top, a; c is none of them"),
        (_AB, _INV, {"a": [0, 2]}, "word 1 of port a must be from 0 to 1, not 2"),
        (_AB, _INV, {"a": [0]}, "stimulus must have at least 2 cycles, not 1"),
        (_AB, {"l": ("DLH_X1", {"D": 3, "G": 2, "Q": 4})}, {"a": [0, 1]},
         "cell 'DLH_X1' must be combinational or a flip-flop, but it has a latch group"),
        (_AB, {"u": ("NOPE_X1", {"A": 3})}, {"a": [0, 1]},
         "every cell of a netlist must be in the library NangateOpenCellLibrary; NOPE_X1 is not"),
        (_AB, {"u": ("INV_X1", {"B": 3, "ZN": 4})}, {"a": [0, 1]}, "pin B of u must be a pin of INV_X1"),
        (_AB, {"u": ("AND2_X1", {"A1": 3, "ZN": 4})}, {"a": [0, 1]}, "input A2 of u (AND2_X1) must be connected"),
        (_AB, {"u": ("INV_X1", {"A": 9, "ZN": 4})}, {"a": [0, 1]}, "net n9 must have a driver"),
        (_AB, _INV | {"v": ("INV_X1", {"A": 3, "ZN": 4})}, {"a": [0, 1]},
         "net n4 must have one driver, but v is another"),
        (_AB, {"u": ("NAND2_X1", {"A1": 3, "A2": 4, "ZN": 4})}, {"a": [0, 1]},
         "the netlist must not have loops without a register, but it has one through n4"),
        (_AB, {"u": ("NAND2_X1", {"A1": 2, "A2": 3, "ZN": 4})}, {"a": [0, 1]},
         "pin A1 of u (NAND2_X1) must not read the clock clk: only flip-flops, buffers, inverters and clock gates may"),
        (_AB, {"u": ("INV_X1", {"A": 2, "ZN": 4}), "f": ("DFF_X1", {"CK": 4, "D": 3, "Q": 5})}, {"a": [0, 1]},
         "flip-flop f (DFF_X1) must be clocked by the rising edge of clk"),
        (_AB, {"f": ("DFF_X1", {"CK": 3, "D": 3, "Q": 5})}, {"a": [0, 1]},
         "flip-flop f (DFF_X1) must be clocked by the rising edge of clk"),
    ],
)  # fmt: skip
def test_refusals(
    inputs: dict[str, list[int]],
    cells: dict[str, tuple[str, dict[str, int | str]]],
    stimulus: dict[str, list[int]],
    message: str,
) -> None:
    """What cannot be simulated is refused with a sentence."""
    with pytest.raises(ValueError) as caught:
        simulate(netlist_of(inputs, {}, cells), library_cells("freepdk45"), stimulus)
    assert str(caught.value).endswith(message)


def test_buffered_clock_and_ports() -> None:
    """Two inverters leave the edge as it is; an unknown port or cycle is refused."""
    cells: dict[str, tuple[str, dict[str, int | str]]] = {
        "i": ("INV_X1", {"A": 2, "ZN": 4}),
        "j": ("INV_X1", {"A": 4, "ZN": 5}),
        "f": ("DFF_X1", {"CK": 5, "D": 3, "Q": 6}),
    }
    netlist = netlist_of({"clk": [2], "a": [3]}, {"q": [6]}, cells)
    waves = simulate(netlist, library_cells("freepdk45"), {"a": [1, 0, 1, 1]})
    assert waves.words("q") == [0, 1, 0, 1]
    assert sorted(waves.pulses.values()) == [0b1111] * 3
    with pytest.raises(ValueError, match="port must be one of clk, a, q, not 'z'"):
        waves.words("z")
    with pytest.raises(ValueError, match="count_from_cycle must be from 1 to 3, not 4"):
        simulate(netlist, library_cells("freepdk45"), {"a": [1, 0, 1, 1]}, count_from_cycle=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a netlist must be JSON as written by Yosys' write_json, and this is not"),
        ("[]", "a netlist must be JSON as written by Yosys' write_json, and this is not"),
        ('{"modules": {}}', "a mapped netlist must have one module that is not a library cell, not none"),
    ],
)
def test_bad_netlists(text: str, message: str) -> None:
    """What is not a netlist is refused."""
    with pytest.raises(ValueError) as caught:
        read_netlist(text)
    assert str(caught.value).endswith(message)
