"""All of the Verilog of an array but its controllers is what is generated, wherever in the file its modules stand."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from rtl.array import ArraySpec
from rtl.mac import UniformSpec
from rtl.requant import ThresholdSpec
from rtl.verilog import to_verilog
from siliquant.inputs import InputError
from sim.controllers import array, prove_array, transition
from sim.controllers.structure import prove_same
from sim.proofs import ProofError
from sim.simulators import read_source

ARRAY = ArraySpec(
    mac=UniformSpec(lanes=1, weight_bits=2, activation_bits=2), rows=2, columns=2,
    requant=ThresholdSpec(accumulator_width=32, bits=1, groups=2), weight_depth=8, activation_depth=8, result_depth=8,
)  # fmt: skip
VERILOG = to_verilog([ARRAY])
TOP = ARRAY.name
FEED = re.findall(r"module (\w+_operand_controller) ", VERILOG)[0]
GRID = re.findall(r"module (siliquant_grid_\w+) ", VERILOG)[0]
ELEMENT = re.findall(r"module (siliquant_broadcast_element_\w+) ", VERILOG)[0]


READ = cache(transition.read_modules)


@pytest.fixture(autouse=True)
def equal_texts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generated array is the same in all tests."""
    monkeypatch.setattr(array, "read_modules", READ)


def module(name: str) -> str:
    """The text of a module."""
    found = re.search(rf"^module {name} .*?^endmodule\n", VERILOG, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def refused(verilog: str) -> str:
    with pytest.raises((ProofError, InputError)) as caught:
        prove_array(ARRAY, read_source(verilog.encode()))
    return re.sub(r"\(line \d+\)|line \d+", "(line)", str(caught.value))


def test_a_decoy_does_not_count() -> None:
    """The right controller is in the file, under its name, and another one in its place in the array."""
    wrong = module(FEED).replace(FEED, "wrong").replace("& ~hold", "& hold")
    verilog = VERILOG.replace(f"  {FEED} operand_controller (", "  wrong operand_controller (") + wrong
    assert refused(verilog) == (
        f"wrong (line): {TOP}, operand controller: this does not hold: the registers stay those of the model"
    )


def test_names_of_modules_and_wires_and_the_order_of_a_file_are_free() -> None:
    verilog = to_verilog([ARRAY], "mine_").replace(FEED, "feed").replace("draining", "goes_on")
    first, *rest = verilog.split("`ifndef ")
    verilog = "`ifndef " + "`ifndef ".join(rest) + "\n" + first
    assert verilog.index(f"module {TOP} ") > verilog.index("module mine_grid")
    assert prove_array(ARRAY, read_source(verilog.encode())).claims == 19


def test_a_file_of_another_array_is_refused() -> None:
    other = ArraySpec(mac=ARRAY.mac, rows=2, columns=1)
    assert refused(to_verilog([other])) == f"must have the module {TOP} of these options; it has {other.name} (line)"
    assert refused(to_verilog([other]).replace(other.name, TOP)) == (
        "(line): port activation_address must be an input of 3 bits, as the manifest says, not an input of 11 bits"
    )


def test_controllers_instantiate_nothing_and_arrays_have_no_parameters() -> None:
    inside = VERILOG.replace("  assign issue = ", "  siliquant_full_adder spare (.a(clear));\n  assign issue = ", 1)
    assert refused(inside) == (
        f"{FEED} (line): a controller has no instances, latches, memories or registers with another reset"
    )
    assert refused(VERILOG.replace(f"module {TOP} (", f"module {TOP} #(parameter X = 1) (")) == (
        f"(line): {TOP} must have no parameters, as X is"
    )


@pytest.mark.parametrize("name", [TOP, FEED, ELEMENT])
def test_a_loop_that_nothing_reads_is_refused(name: str) -> None:
    whole = module(name)
    looped = VERILOG.replace(whole, whole.replace("endmodule", "  wire o; assign o = ~(o & rst);\nendmodule"))
    assert refused(looped) == f"(line): no signal of {name} must depend on itself without a register between"


def test_every_instance_is_looked_at() -> None:
    """Also a second one of a module, and one that nothing reads."""
    other = module(ELEMENT).replace(ELEMENT, "other")
    assert refused(VERILOG.replace(f"{ELEMENT} element_1_1 ", "other element_1_1 ") + other) == (
        f"{GRID}: instance element_1_1 (line) is of another module, or has other parameters, {OTHERS}"
    )
    modules = {
        "top": _module({"a": _cell("part"), "b": _cell("part")}),
        "part": _module({}, {"o": {"direction": "output", "bits": ["0"]}}),
    }
    found = {**modules, "top": _module({"a": _cell("part"), "b": _cell("more")}), "more": modules["part"]}
    with pytest.raises(ProofError, match=rf"^top: instance b is of another module, or has other parameters, {OTHERS}$"):
        prove_same(found, modules, "top", lambda _: False)


def _module(cells: dict[str, Any], ports: dict[str, Any] | None = None) -> dict[str, Any]:
    """A module as Yosys writes it in JSON."""
    return {"ports": ports or {}, "cells": cells, "netnames": {}}


def _cell(kind: str, **pins: list[int | str]) -> dict[str, Any]:
    directions = {pin: "output" if pin == "Y" else "input" for pin in pins}
    return {"type": kind, "connections": pins, "port_directions": directions, "parameters": {}}


@pytest.mark.parametrize(("cell", "said"), [
    (_cell("$mux", A=["x"], B=[2], S=[3], Y=[4]), "a signal depends on x"),
    (_cell("$mux", A=[2], B=[2], S=["x"], Y=[4]), "an operation depends on x"),
    (_cell("$and", A=[2], B=["x"], Y=[4]), "an operation depends on x"),
])  # fmt: skip
def test_what_depends_on_x_is_equal_to_nothing(cell: dict[str, Any], said: str) -> None:
    """Each x may be another value, so even a module is not known to be equal to itself."""
    ports = {"a": {"direction": "input", "bits": [2]}, "s": {"direction": "input", "bits": [3]},
             "y": {"direction": "output", "bits": [4]}}  # fmt: skip
    modules = {"top": _module({"one": cell}, ports)}
    with pytest.raises(ProofError, match=rf"^top: {said}$"):
        prove_same(modules, modules, "top", lambda _: False)


OTHERS = "than in the generated array"
FAULTS = (
    ("an input is tied", r"\.hold\(hold\)", ".hold(1'b0)",
     f"{TOP}: instance operand_controller (line): hold[0] is connected to something else {OTHERS}"),
    ("outputs are swapped", r"\.clear\(clear\), \.last\(last\)", ".clear(last), .last(clear)",
     f"{TOP}: register clear_q[0] (line) takes another value {OTHERS}"),
    ("an output of the array is another", r"assign busy = running;", "assign busy = ~running;",
     f"{TOP}: output busy[0] (line) has another value {OTHERS}"),
    ("a register takes another port", r"run_steps <= steps;", "run_steps <= row_tiles;",
     f"{TOP}: register run_steps[0] (line) takes another value {OTHERS}"),
    ("a register is never reset", r"tile_q <= 1'b0;", "tile_q <= last_d2;",
     f"{TOP}: register tile_q[0] (line) takes another value {OTHERS}"),
    ("the clock is another port", r"(siliquant_grid_\w+ grid \(\s+)\.clk\(clk\)", r"\1.clk(rst)",
     f"{TOP}: instance grid (line): clk[0] is connected to something else {OTHERS}"),
    ("an instance more", r"  wire launch = ", "  siliquant_full_adder spare (.a(start));\n  wire launch = ",
     f"{TOP}: instance spare (line) is none of the generated array"),
    ("a controller twice", r"  wire launch = ", f"  {FEED} second (.clk(clk));\n  wire launch = ",
     f"{TOP}: instance second (line) is none of the generated array"),
    ("an instance has another name", r" operand_controller \(", " feed (",
     f"{TOP}: instance feed (line) is none of the generated array"),
    ("a register is the alias of another", r"reg +tile_q;(.*?)tile_q <= 1'b0;(.*?)tile_q <= [^;]*;",
     r"wire tile_q = last_d2;\1\2",
     f"{TOP}: tile_q[0] (line) must be a register of its own, as in the generated array, not last_d2[0] (line)"),
    ("a register is an alias of a port", r"reg +tile_q;(.*?)tile_q <= 1'b0;(.*?)tile_q <= [^;]*;",
     r"wire tile_q = start;\1\2",
     f"{TOP}: tile_q[0] (line) must be a register, as in the generated array"),
    ("a memory reads where it writes", r"read_data <= words\[read_address\]", "read_data <= words[write_address]",
     f"siliquant_memory_1r1w: memory words (line): RD_ADDR[0] is connected to something else {OTHERS}"),
    ("a memory is shorter", r"DEPTH\(8\)", "DEPTH(7)",
     f"{TOP}: instance weight_0 (line) is of another module, or has other parameters, {OTHERS}"),
    ("a memory writes always", r"if \(write_enable\) ", "",
     f"siliquant_memory_1r1w: memory words (line): WR_ADDR[0] is connected to something else {OTHERS}"),
    ("a memory reads always", r"if \(read_enable\) ", "",
     f"siliquant_memory_1r1w: register read_data[0] (line) takes another value {OTHERS}"),
    ("rows are exchanged", r"activations\[1:0\]\)", "activations[3:2])",
     f"{GRID}: instance element_0_0 (line): activations[0] is connected to something else {OTHERS}"),
    ("the drain skips a row", r"\.drain_in\(drain_out_0_0\)", ".drain_in(16'd0)",
     f"{GRID}: instance element_1_0 (line): drain_in[0] is connected to something else {OTHERS}"),
    ("an element adds otherwise", r"\{16\{clear\}\} \|", "{16{clear}} ^",
     f"{ELEMENT}: register accumulator_q[0] (line) takes another value {OTHERS}"),
    ("a register more that is read", r"reg +\[15:0\] drain_q;(.*?)\{16\{clear\}\}",
     r"reg [15:0] drain_q; reg late; always @(posedge clk) late <= clear;\1{16{late}}",
     f"{ELEMENT}: register late[0] (line) is none of the generated array"),
    ("a full adder forgets", r"\(a & b\) \| ", "",
     f"siliquant_full_adder: output carry[0] (line) has another value {OTHERS}"),
    ("a module has one instance", r"(siliquant_broadcast_element_\w+) element_0_0 ", r"other element_0_0 ",
     "(line): instance element_0_0 is of the module other, which the file must have, too"),
    ("a port is wider", rf"(module {FEED} \(.*?)output wire +issue", r"\1output wire [1:0] issue",
     f"{TOP}: instance operand_controller (line) has another pin issue {OTHERS}"),
    ("a port more", rf"(module {FEED} \()", r"\1output wire spare,",
     f"{FEED} (line): port spare must be missing, as in the generated array, not an output of 1 bit"),
    ("the requantiser chooses otherwise", r"group_in_q \? ", "~group_in_q ? ",
     f"siliquant_thresholds_n32_g2_b1_s1: register code_q[0] (line) takes another value {OTHERS}"),
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "put", "said"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_faults_outside_of_the_controllers_are_refused(pattern: str, put: str, said: str) -> None:
    verilog, count = re.subn(pattern, put, VERILOG, count=1, flags=re.DOTALL)
    assert count == 1
    assert refused(verilog) == said
