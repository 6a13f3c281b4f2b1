"""Netlists against RTL: what is right is proved, and each planted fault is found and named."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hwmodel.gatelevel import registers
from hwmodel.gatelevel.machine import Machine, Register
from hwmodel.gatelevel.proof import Undecided, prove_gates
from hwmodel.gatelevel.simulation import simulate_gates
from hwmodel.gatelevel.stimuli import power_up
from hwmodel.operands.stimulus import Mismatch
from hwmodel.synthesis.flow import Mapped, Synthesis, read_back
from hwmodel.synthesis.mapping import SynthesisError, plain_gates
from hwmodel.yosys.registers import SUFFIX
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


def test_registers_are_looked_for_under_the_names_that_the_flow_gives() -> None:
    assert registers._SUFFIX == SUFFIX


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
        ("copy_reg", "two: not decided: no partner found for register copy_reg of the netlist; runs from a reset show"),
        ("same_reg", "registers one_reg and same_reg of the netlist both stand for one of the RTL"),
    ):
        copied = copy.deepcopy(data)
        copied["modules"]["two"]["cells"][name] = {
            **gates["one_reg"], "connections": {**gates["one_reg"]["connections"], "Q": [9999], "QN": [9998]},
        }  # fmt: skip
        with pytest.raises(Undecided, match=said):
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


def test_registers_that_differ_where_no_output_shows_it_are_not_decided() -> None:
    """Operands that are loaded beside no valid bit are never looked at."""
    with pytest.raises(Undecided, match=r"not decided: register \w+_q\w* takes .*; runs from a reset show no diff"):
        prove_gates(verilog(), mapped(changed("if (in_valid) begin", "begin")), cells())


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


ALIKE = """
module top(input clk, input [1:0] a, input b, c, output reg y);
  reg [1:0] r; reg r_1;
  always @(posedge clk) begin r <= a; r_1 <= b; y <= (r[1] ^ r_1) | c; end
endmodule
"""


def test_two_registers_that_the_flow_would_call_the_same_are_two() -> None:
    text = ALIKE.replace("(r[1] ^ r_1) | c", "c")
    with pytest.raises(Mismatch, match="top: register y takes another value than in the RTL"):
        prove_gates(ALIKE, mapped(text, "top"), cells())
    assert prove_gates(ALIKE, mapped(ALIKE, "top"), cells()).registers == 3
    assert prove_gates(text, mapped(text, "top"), cells()).registers == 1


def test_a_machine_has_no_two_registers_of_one_name() -> None:
    with pytest.raises(InputError, match="registers must have names of their own, but two are r"):
        Machine((Register("r", (), 2, 2), Register("q", (), 4, 4), Register("r", (), 6, 6)), {})


FLOP = "module top(input clk, a, output reg y, output z); assign z = 1'b0; always @(posedge clk) y <= a; endmodule"


def edited(change: Callable[[dict[str, Any]], None], text: str = FLOP) -> Mapped:
    """The netlist of a text with a change to its module in JSON."""
    netlist = mapped(text, "top")
    data = json.loads(netlist.netlist)
    change(data["modules"]["top"])
    return replace(netlist, netlist=json.dumps(data))


def test_a_port_that_may_be_0_or_1_is_refused() -> None:
    assert prove_gates(FLOP, mapped(FLOP, "top"), cells()).registers == 1
    with pytest.raises(InputError, match=r"port z\[0\] of the netlist of top must be connected, not x"):
        prove_gates(FLOP, edited(lambda module: module["ports"]["z"].update(bits=["x"])), cells())


def test_ports_have_the_direction_of_those_of_the_rtl() -> None:
    with pytest.raises(Mismatch, match="the netlist of top has other ports than its RTL"):
        prove_gates(FLOP, edited(lambda module: module["ports"]["z"].update(direction="input", bits=[9999])), cells())


@pytest.mark.parametrize("net", ["0", "clk"])
def test_an_input_port_has_nets_of_its_own(net: str) -> None:
    def change(module: dict[str, Any]) -> None:
        bits = module["ports"]["clk"]["bits"] if net == "clk" else [net]
        module["ports"]["a"]["bits"] = module["cells"]["y_reg"]["connections"]["D"] = bits

    with pytest.raises(InputError, match="every bit of input port a must have a net of its own"):
        prove_gates(FLOP, edited(change), cells())


def test_the_clock_is_no_constant() -> None:
    def change(module: dict[str, Any]) -> None:
        module["ports"]["clk"]["bits"] = module["cells"]["y_reg"]["connections"]["CK"] = ["0"]

    with pytest.raises(InputError, match="every bit of input port clk must have a net of its own"):
        prove_gates(FLOP, edited(change), cells())


def buffer(*, a: int, z: int) -> dict[str, Any]:
    return {
        "type": "BUF_X1", "port_directions": {"A": "input", "Z": "output"}, "connections": {"A": [a], "Z": [z]},
    }  # fmt: skip


@pytest.mark.parametrize("source", ["a", "clk"])
def test_a_second_driver_of_the_clock_is_refused(source: str) -> None:
    def change(module: dict[str, Any]) -> None:
        ports = module["ports"]
        module["cells"]["second"] = buffer(a=ports[source]["bits"][0], z=ports["clk"]["bits"][0])

    with pytest.raises(InputError, match="net clk must have one driver, but second is another"):
        prove_gates(FLOP, edited(change), cells())


@pytest.mark.parametrize(("source", "said"), [("a", "bad"), ("clk", "bad"), (None, "")])
def test_a_buffered_clock_has_one_driver(source: str | None, said: str) -> None:
    def change(module: dict[str, Any]) -> None:
        ports = module["ports"]
        module["cells"]["y_reg"]["connections"]["CK"] = [9999]
        module["cells"]["good"] = buffer(a=ports["clk"]["bits"][0], z=9999)
        if source is not None:
            module["cells"]["bad"] = buffer(a=ports[source]["bits"][0], z=9999)

    if source is None:
        assert prove_gates(FLOP, edited(change), cells()).registers == 1
        return
    with pytest.raises(InputError, match=f"must have one driver, but {said} is another"):
        prove_gates(FLOP, edited(change), cells())


@pytest.mark.parametrize("pin", ["D", "CK"])
def test_an_input_pin_that_is_not_connected_is_named(pin: str) -> None:
    with pytest.raises(InputError, match=rf"pin {pin} of y_reg \(\w+\) must be connected"):
        prove_gates(FLOP, edited(lambda module: module["cells"]["y_reg"]["connections"].pop(pin)), cells())


def test_what_is_equal_in_all_runs_and_not_in_all_states_is_not_decided() -> None:
    """A ring of one hot bit, which the netlist has as a counter: no register is another's partner."""
    ring = (
        "module top(input clk, input rst, output y); reg [3:0] ring; assign y = ring[3];"
        " always @(posedge clk) if (rst) ring <= 4'd1; else ring <= {ring[2:0], ring[3]}; endmodule"
    )
    counter = (
        "module top(input clk, input rst, output y); reg [1:0] count; assign y = &count;"
        " always @(posedge clk) if (rst) count <= 2'd0; else count <= count + 2'd1; endmodule"
    )
    with pytest.raises(Undecided, match=r"top: not decided: .*; runs from a reset show no difference"):
        prove_gates(ring, mapped(counter, "top"), cells())
    other = counter.replace("2'd0", "2'd1")
    with pytest.raises(Mismatch, match=r"top: .*; output y\[0\] in cycle \d+ after power-up differs, too"):
        prove_gates(ring, mapped(other, "top"), cells())
