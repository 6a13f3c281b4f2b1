"""Synthesis of tiny designs: the netlist does what the Verilog does, and the same input gives the same netlist."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.measurement.row import make_row
from hwmodel.netlist.area import area_parts
from hwmodel.synthesis.flow import Workspace, synthesise
from hwmodel.synthesis.mapping import SynthesisError
from hwmodel.synthesis.recipes import Recipe, looks_at_area_alone, recipe_named, recipes, rounds, search_of
from hwmodel.synthesis.selection import Netlist, nearly_fastest
from hwmodel.yosys.adders import fold_adders, map_adders, merge_adders
from hwmodel.yosys.gates import Gates
from hwmodel.yosys.polarity import choose_polarity
from rtl.mac import UniformSpec
from rtl.verilog import numbered_verilog
from siliquant.inputs import FileError

ADDER = """
module siliquant_full_adder(input a, input b, input c, output sum, output carry);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
"""
# Three products of two bits and an accumulator: two layers of full adders, then one carry-propagate adder.
DESIGN = (
    ADDER
    + """
module tiny(input clk, input rst, input in_valid, input [5:0] weights, input [2:0] activations,
             output reg out_valid, output [4:0] accumulator);
  reg [5:0] weights_q; reg [2:0] activations_q; reg [4:0] accumulator_q; reg valid_q;
  wire [2:0] low = {weights_q[4], weights_q[2], weights_q[0]} & activations_q;
  wire [2:0] high = {weights_q[5], weights_q[3], weights_q[1]} & activations_q;
  wire s0, c0, s1, c1;
  siliquant_full_adder f0 (.a(low[0]), .b(low[1]), .c(low[2]), .sum(s0), .carry(c0));
  siliquant_full_adder f1 (.a(high[0]), .b(high[1]), .c(high[2]), .sum(s1), .carry(c1));
  wire s2, c2;
  siliquant_full_adder f2 (.a(accumulator_q[1]), .b(c0), .c(s1), .sum(s2), .carry(c2));
  wire [4:0] next = {accumulator_q[4:2], s2, accumulator_q[0]} + {c1 & c2, c1 ^ c2, 1'b0, s0};
  assign accumulator = accumulator_q;
  always @(posedge clk) begin
    weights_q <= weights; activations_q <= activations;
    valid_q <= in_valid & ~rst; out_valid <= valid_q & ~rst;
    if (rst) accumulator_q <= 0; else if (valid_q) accumulator_q <= next;
  end
endmodule
"""
)


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


def simulate(tmp_path: Path, netlist: str, library: Library) -> str:
    """Compare netlist and source for 400 random cycles in Icarus; returns what it printed."""
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog (apt-get install iverilog) is not installed")
    commands = [
        f"read_liberty -ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch {library.slim_path}",
        "proc",
        f"write_verilog -noattr {tmp_path / 'cells.v'}",
    ]
    program = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
    subprocess.run([sys.executable, "-c", program, *commands], check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "bench.v").write_text(
        DESIGN
        + re.sub(r"\bmodule tiny\b", "module mapped", netlist)
        + """
module bench;
  reg clk = 0, rst, in_valid; reg [5:0] weights; reg [2:0] activations;
  wire [4:0] a, b; wire va, vb; integer i, wrong = 0;
  tiny one (clk, rst, in_valid, weights, activations, va, a);
  mapped two (.clk(clk), .rst(rst), .in_valid(in_valid), .weights(weights), .activations(activations),
              .out_valid(vb), .accumulator(b));
  initial begin
    for (i = 0; i < 400; i = i + 1) begin
      rst = i < 4; in_valid = $random; weights = $random; activations = $random;
      #5 clk = 1; #5 clk = 0;
      if (i > 4 && {a, va} !== {b, vb}) wrong = wrong + 1;
    end
    $display("%0d wrong, %b", wrong, ^{a, va});
  end
endmodule
"""
    )
    command = ["iverilog", "-g2005", "-s", "bench", "-o", str(tmp_path / "bench"), str(tmp_path / "bench.v")]
    subprocess.run([*command, str(tmp_path / "cells.v")], check=True)
    return subprocess.run([str(tmp_path / "bench")], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("cell", "chain", "area"),
        Recipe("cell", "brent-kung", "speed", 0.5),
        Recipe("cell", "han-carlson", "lut"),
        Recipe("logic", "ripple", "keep"),
    ],
    ids=lambda recipe: recipe.name,
)
def test_netlist_does_what_the_verilog_does(tmp_path: Path, library: Library, recipe: Recipe) -> None:
    result = synthesise(DESIGN, "tiny", library, 500, recipe=recipe)
    assert simulate(tmp_path, result.verilog, library) in ("0 wrong, 0", "0 wrong, 1")
    assert result.area_um2 == pytest.approx(sum(library.areas[kind] * n for kind, n in result.cells.items()))
    assert ("FA_X1" in result.cells) == (recipe.adders == "cell")


@pytest.mark.pdk
@pytest.mark.skipif(not os.environ.get("SILIQUANT_PDK_DIR"), reason="SILIQUANT_PDK_DIR names no folder of libraries")
@pytest.mark.parametrize(("name", "clock_mhz"), [("sky130hd", 100), ("ihp-sg13g2", 100), ("asap7", 800)])
def test_other_libraries_give_correct_netlists_too(tmp_path: Path, name: str, clock_mhz: int) -> None:
    other = find_library(name)
    result = synthesise(DESIGN, "tiny", other, clock_mhz, recipe=recipes("quick", other.full_adder is not None)[0])
    assert simulate(tmp_path, result.verilog, other) in ("0 wrong, 0", "0 wrong, 1")
    assert result.meets_clock


def test_search_keeps_the_smallest_that_meets_the_clock(library: Library) -> None:
    result = synthesise(DESIGN, "tiny", library, 500, effort="quick")
    assert [candidate.recipe for candidate in result.candidates] == [recipe.name for recipe in rounds("quick", True)[0]]
    assert result.timing is not None
    assert result.meets_clock
    assert result.area_um2 == min(candidate.area_um2 for candidate in result.candidates)
    assert set(result.timing.loads_ff) >= {"accumulator[0]", "clk"}
    instances = json.loads(result.netlist)["modules"]["tiny"]["cells"]
    assert {f"weights_q_{bit}_reg" for bit in range(6)} <= set(instances)
    assert {pin.split("/")[0] for pin in result.timing.slews_ns} == set(instances)
    row = make_row("tiny", {"lanes": 3}, DESIGN, library, 500, result, effort="quick")
    assert row.parts == area_parts(result.netlist, "tiny", library)
    assert row.parts.total_um2 == pytest.approx(row.area_um2)
    flip_flop = library.areas["DFF_X1"]
    assert row.parts.operand_registers_um2 == pytest.approx(9 * flip_flop)
    assert row.parts.accumulator_registers_um2 == pytest.approx(5 * flip_flop)
    assert row.parts.control_um2 >= 2 * flip_flop


def test_recipe_of_a_row_is_found_again() -> None:
    assert recipe_named("cell-sklansky-even-0.5-sized") == Recipe("cell", "sklansky", "even", 0.5)
    assert recipe_named("by hand") is None


def test_impossible_clock_gives_the_fastest_and_says_so(library: Library) -> None:
    result = synthesise(DESIGN, "tiny", library, 20_000, effort="quick")
    assert result.timing is not None
    assert result.meets_clock is False
    assert result.timing.worst_slack_ns < 0


def test_a_clock_is_given_up_only_where_it_is_far_off(library: Library) -> None:
    """The hybrid path meets a period of 0.74 of what the fastest netlist of full-adder cells takes."""
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=4, reduction_length=16)
    with Workspace(numbered_verilog([spec]), spec.name, library) as workspace:
        near, far = (workspace.synthesise(clock_mhz, screen=True) for clock_mhz in (1000 / 0.53, 20_000.0))
        whole = workspace.synthesise(20_000.0)
    period_ns = {candidate.recipe: candidate.minimum_period_ns for candidate in near.candidates}
    assert (period_ns["cell-sklansky-fast"] or 0.0) > 1.3 * 0.53
    assert near.meets_clock
    assert near.recipe == "hybrid-brent-kung-timed-1-sized"
    assert (far.recipe, far.meets_clock) == ("cell-ripple-area-screened", False)
    assert recipe_named(far.recipe) is None
    assert not looks_at_area_alone("cell-chain-area-screened")
    assert search_of(whole.recipe) == "-unscreened"
    assert whole.timing is not None
    assert far.timing is not None
    assert whole.timing.minimum_period_ns < far.timing.minimum_period_ns


def test_of_netlists_that_miss_the_clock_a_small_one_nearly_as_fast_as_any_is_kept() -> None:
    periods = {"fast": (1.00, 120.0), "near": (1.02, 100.0), "nearer": (1.01, 101.0), "slow": (1.03, 80.0)}
    found = [
        Netlist(name, Path(name), area_um2, slack_ns=0.5 - period_ns) for name, (period_ns, area_um2) in periods.items()
    ]
    assert nearly_fastest(found, 0.5).recipe == "near"
    assert nearly_fastest([found[0], found[3]], 0.5).recipe == "fast"


def test_same_input_gives_the_same_netlist(library: Library) -> None:
    one, two = (synthesise(DESIGN, "tiny", library, 500, effort="quick", jobs=jobs) for jobs in (1, 2))
    assert (one.verilog, one.netlist, one.recipe) == (two.verilog, two.netlist, two.recipe)


def test_areas_come_without_opensta(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSTA", "no-such-sta")
    result = synthesise(DESIGN, "tiny", library, 500, effort="quick")
    assert result.timing is None
    assert result.meets_clock is None
    assert result.recipe == "cell-chain-area"
    assert result.area_um2 > 0


def test_errors(library: Library) -> None:
    with pytest.raises(ValueError, match=r"^clock_mhz must be a positive number, not 0$"):
        synthesise(DESIGN, "tiny", library, 0)
    with pytest.raises(TypeError, match=r"^clock_mhz must be a positive number, not 'fast'$"):
        synthesise(DESIGN, "tiny", library, "fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^effort must be one of quick, normal, high, not 'none'$"):
        synthesise(DESIGN, "tiny", library, 500, effort="none")
    with pytest.raises(ValueError, match=r"^top must be a plain Verilog module name, not 'a; b'$"):
        synthesise(DESIGN, "a; b", library, 500)
    with pytest.raises(ValueError, match=r"^carry must be one of chain, .*, not 'fastest'$"):
        Recipe("cell", "fastest", "area")
    with pytest.raises(SynthesisError, match=r"Yosys stopped in the step elaborate of tiny: .*syntax error"):
        synthesise("module tiny(input clk; endmodule", "tiny", library, 500)
    with pytest.raises(SynthesisError, match="elaborate of absent"):
        synthesise(DESIGN, "absent", library, 500)


def module_of(adders: list[tuple[object, object, object]], outputs: int) -> Gates:
    """Full adders whose outputs are 100, 101, 102, ... in order; the last `outputs` of them are output ports."""
    cells, bit = {}, 100
    for number, (a, b, c) in enumerate(adders):
        pins = {"a": [a], "b": [b], "c": [c], "sum": [bit], "carry": [bit + 1]}
        directions = {pin: "output" if pin in ("sum", "carry") else "input" for pin in pins}
        cells[f"f{number}"] = {"type": "siliquant_full_adder", "port_directions": directions, "connections": pins}
        bit += 2
    ports = {f"y{n}": {"direction": "output", "bits": [bit - 1 - n]} for n in range(outputs)}
    return Gates({"ports": ports, "cells": cells, "netnames": {}}, {})


@pytest.mark.parametrize(
    ("inputs", "outputs", "kinds"),
    [
        ((2, 3, 4), 2, ["siliquant_full_adder"]),
        ((2, 3, "0"), 2, ["$_AND_", "$_XOR_"]),
        ((2, "1", 3), 2, ["$_OR_", "$_XNOR_"]),
        ((2, "1", "0"), 2, ["$_NOT_"]),
        ((2, "0", "0"), 2, []),
        ((2, 2, 3), 2, []),
        (("1", "0", "1"), 2, []),
        ((2, 3, 4), 1, ["$_AND_", "$_AND_", "$_OR_", "$_OR_"]),
    ],
)
def test_folding(inputs: tuple[object, object, object], outputs: int, kinds: list[str]) -> None:
    gates = module_of([inputs], outputs)
    fold_adders(gates)
    assert sorted(cell["type"] for cell in gates.cells.values()) == kinds


def test_adders_of_the_same_bits_become_one_and_so_do_those_behind_them() -> None:
    # f2 and f3 add the sums of f0 and f1, which add the same bits in another order; f4 adds others
    gates = module_of([(2, 3, 4), (4, 2, 3), (100, 5, 6), (6, 102, 5), (2, 3, 5)], 10)
    assert merge_adders(gates) == 2
    assert list(gates.cells) == ["f0", "f2", "f4"]
    outputs = [port["bits"][0] for port in gates.module["ports"].values()]
    assert outputs == [109, 108, 105, 104, 105, 104, 101, 100, 101, 100]
    assert merge_adders(gates) == 0


def test_inverted_adder_cells_alternate_instead_of_taking_inverters() -> None:
    areas = {"not": 1.0, "nand": 1.0, "nor": 1.0, "and": 2.0, "or": 2.0}
    gates = module_of([(2, 3, 4), (5, 6, 7), (8, 9, 10), (100, 102, 104)], 2)
    form = choose_polarity(gates, areas, {}, {"sum": True, "carry": True})
    assert [form[f"f{n}"] for n in range(4)] == [False, False, False, True]
    names = ("cell", "a", "b", "carry_in", "sum", "carry_out")
    pins = dict(zip(names, ("FA", "A", "B", "CI", "SN", "CON"), strict=True))
    map_adders(gates, {**pins, "sum_inverted": True, "carry_inverted": True}, form)
    kinds = [cell["type"] for cell in gates.cells.values()]
    assert kinds.count("FA") == 4
    last = gates.cells["f3"]["connections"]
    assert all(gates.driver[last[pin][0]][1] == "SN" for pin in ("A", "B", "CI"))


def test_a_full_disk_is_named_and_no_library_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that cannot write says anything; the folder that is full is asked."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("siliquant.files.temporary.full", lambda _: full)
    with pytest.raises(FileError) as caught, Workspace("module m; endmodule", "m", find_library()):
        raise SynthesisError("Yosys stopped")
    assert str(caught.value).startswith(f"{tmp_path}: No space left on device for a temporary file; ")
