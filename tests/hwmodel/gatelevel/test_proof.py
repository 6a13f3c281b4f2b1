"""Netlists against RTL: what is right is proved, and each planted fault is found and named."""

import copy
import json
from dataclasses import replace

import pytest

from hwmodel.gatelevel.proof import Undecided, prove_gates
from hwmodel.gatelevel.simulation import simulate_gates
from hwmodel.gatelevel.stimuli import power_up
from hwmodel.operands.stimulus import Mismatch
from hwmodel.synthesis.flow import Mapped, Synthesis, read_back
from hwmodel.synthesis.mapping import SynthesisError, plain_gates
from siliquant.inputs import InputError

from .netlists import SPEC, cells, changed, library, mapped, verilog

TWO = """
module two(input clk, input rst, input [1:0] a, output reg [1:0] y, output reg z);
  reg one, same, never;
  always @(posedge clk) begin
    one <= a[0]; same <= a[0]; never <= 1'b0;
    if (rst) y <= 2'd0; else y <= y + {same, one} + never;
    z <= ~(one & same);
  end
endmodule
"""


def test_a_netlist_is_proved_to_do_what_its_rtl_does() -> None:
    proof = prove_gates(verilog(), mapped(verilog()), cells())
    assert (proof.registers, proof.outputs, proof.merged) == (14, 7, 0)
    assert 0 < proof.alike < proof.registers + proof.outputs  # some bits were left to ABC


def test_registers_that_synthesis_has_once_for_two_or_not_at_all_are_proved_too() -> None:
    netlist = mapped(TWO, "two")
    proof = prove_gates(TWO, netlist, cells())
    assert proof.registers + proof.merged == 6
    assert proof.merged == 2
    split = TWO.replace("same <= a[0]", "same <= a[1]")
    with pytest.raises(Mismatch, match="two: "):
        prove_gates(split, netlist, cells())
    with pytest.raises(Mismatch, match="two: "):
        prove_gates(TWO.replace("never <= 1'b0", "never <= a[1]"), netlist, cells())


def test_two_registers_for_one_are_refused_since_they_may_differ_after_power_up() -> None:
    text = TWO.replace("same <= a[0]; ", "").replace("reg one, same, never;", "reg one, never; wire same = one;")
    netlist = mapped(text, "two")
    assert prove_gates(text, netlist, cells()).registers == 4
    data = json.loads(netlist.netlist)
    gates = data["modules"]["two"]["cells"]
    for name, said in (
        ("copy_reg", "the netlist has a register copy_reg, and the RTL none like it"),
        ("same_reg", "registers one_reg and same_reg of the netlist both stand for one of the RTL"),
    ):
        copied = copy.deepcopy(data)
        copied["modules"]["two"]["cells"][name] = {
            **gates["one_reg"], "connections": {**gates["one_reg"]["connections"], "Q": [9999], "QN": [9998]},
        }  # fmt: skip
        with pytest.raises(Mismatch, match=said):
            prove_gates(text, replace(netlist, netlist=json.dumps(copied)), cells())


TWINS = """
module twins(input clk, input rst, input a, input b, output reg y, output reg z);
  reg p, n;
  always @(posedge clk) begin
    p <= a; n <= ~a;
    y <= p & b; z <= n | b;
  end
endmodule
"""


@pytest.mark.parametrize("names", [("one", "two"), ("two", "one")])
def test_registers_of_other_names_that_hold_complements_find_their_partners(names: tuple[str, str]) -> None:
    """Each of a pair is as like the one as the other; what reads them tells."""
    netlist = mapped(TWINS, "twins")
    renamed = TWINS.replace("p <=", "P <=").replace("n <=", "N <=").replace("p &", "P &").replace("n |", "N |")
    renamed = renamed.replace("reg p, n", "reg P, N").replace("P", names[0]).replace("N", names[1])
    assert prove_gates(renamed, netlist, cells()).registers == 4
    crossed = renamed.replace(f"y <= {names[0]} ", f"y <= {names[1]} ").replace(
        f"z <= {names[1]} ", f"z <= {names[0]} "
    )
    with pytest.raises(Mismatch, match="twins: "):
        prove_gates(crossed, netlist, cells())


FAULTS = {
    "an inverted reset": ("if (rst) begin", "if (~rst) begin", "register .* takes another value"),
    "a valid bit without reset": ("    valid_q0 <= 1'b0;\n", "", "valid_q0 takes"),
    "an enable that is always 1": ("if (in_valid) begin", "begin", "(weights|activations|activation_signed|clear)_q"),
    "a sum that is not cleared in one bit": ("{6{clear_q}} |", "{{5{clear_q}}, 1'b0} |", "accumulator_q_"),
    "an enable of the accumulator that is early": ("if (valid_q0) acc", "if (in_valid) acc", "accumulator_q_"),
    "an output that is inverted": ("assign out_valid = valid_q1", "assign out_valid = ~valid_q1", "output out_valid"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_netlist_of_a_faulty_design_differs(name: str) -> None:
    old, new, place = FAULTS[name]
    netlist = mapped(changed(old, new))
    with pytest.raises(Mismatch, match=place):
        prove_gates(verilog(), netlist, cells())


def swapped(netlist: Synthesis, old: str, new: str, place: int) -> Mapped:
    """The netlist with another cell in one place."""
    text, spot = netlist.verilog, -1
    for _ in range(place + 1):
        spot = text.index(f"  {old} ", spot + 1)
    other = text[:spot] + text[spot:].replace(old, new, 1)
    return read_back(other, netlist.top, library(), 100.0)


@pytest.mark.parametrize(("old", "new"), [("NAND2_X1", "NOR2_X1"), ("NOR2_X1", "NAND2_X1")])
def test_a_cell_that_is_swapped_is_found(old: str, new: str) -> None:
    netlist, power = mapped(verilog()), power_up(SPEC)
    for place in (0, netlist.cells[old] - 1):
        other = swapped(netlist, old, new, place)
        with pytest.raises(Mismatch, match=r"(register \w+|output \w+\[\d+\]) (takes|shows) another value than in the"):
            prove_gates(verilog(), other, cells())
        with pytest.raises(Mismatch, match=r"in cycle \d+ after power-up is"):
            simulate_gates(verilog(), other, cells(), power)


def test_a_gate_that_drives_nothing_new_and_a_loop_are_refused() -> None:
    netlist = mapped(verilog())
    data = json.loads(netlist.netlist)
    module = data["modules"][SPEC.name]
    gate = next(cell for cell in module["cells"].values() if cell["type"] == "NAND2_X1")
    gate["connections"]["A1"] = gate["connections"]["ZN"]
    with pytest.raises(InputError, match="must not depend on itself"):
        prove_gates(verilog(), replace(netlist, netlist=json.dumps(data)), cells())
    del gate["connections"]["A1"]
    module["ports"]["in_valid"]["bits"] *= 2
    with pytest.raises(Mismatch, match=f"the netlist of {SPEC.name} has other ports than its RTL"):
        prove_gates(verilog(), replace(netlist, netlist=json.dumps(data)), cells())


def test_a_difference_in_one_of_millions_of_cases_is_found_by_abc() -> None:
    """Random inputs do not find it."""
    text = "module top(input clk, input [23:0] a, output reg y); always @(posedge clk) y <= a[0]; endmodule"
    rare = mapped(text.replace("<= a[0]", "<= a[0] ^ (a == 24'hc0ffee)"), "top")
    with pytest.raises(Mismatch, match="top: a register or output of the netlist has another value than in the RTL"):
        prove_gates(text, rare, cells())


def test_a_pin_that_may_be_0_or_1_is_refused() -> None:
    netlist = mapped(verilog())
    data = json.loads(netlist.netlist)
    name, gate = next(item for item in data["modules"][SPEC.name]["cells"].items() if item[1]["type"] == "NAND2_X1")
    gate["connections"]["A2"] = ["x"]
    with pytest.raises(InputError, match=f"pin A2 of {name} in the netlist of {SPEC.name} must be connected, 0 or 1"):
        prove_gates(verilog(), replace(netlist, netlist=json.dumps(data)), cells())


def test_a_comparison_that_takes_too_long_is_undecided_and_no_proof() -> None:
    text = "module top(input clk, input [10:0] a, b, output reg [21:0] y); always @(posedge clk) y <= a * b; endmodule"
    other = text.replace("a * b", "(a * b[10:6] << 6) + b[5:0] * a")
    with pytest.raises(Undecided, match=r"top: ABC found neither a proof nor a difference to the RTL in 0\.5 s"):
        prove_gates(other, mapped(text, "top"), cells(), seconds=0.5)


def test_rtl_that_is_no_rtl_is_an_error_of_its_own() -> None:
    with pytest.raises(SynthesisError, match="Yosys stopped in the step plain of top"):
        plain_gates("module top(input a; endmodule", "top")
    flop = "module top(input clk, e, d, output reg q); always @(posedge clk) q <= e & d; endmodule"
    latch = flop.replace("(posedge clk) q <= e & d", "* if (e) q = d")
    with pytest.raises(
        InputError, match=r"RTL must be gates and registers of the rising edge of clk, but .* is \$_DLATCH"
    ):
        prove_gates(latch, mapped(flop, "top"), cells())
