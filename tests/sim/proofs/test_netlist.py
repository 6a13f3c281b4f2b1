"""The Verilog of a MAC is proved to be its graph, and no other Verilog is."""

import re
from dataclasses import replace
from random import Random

import pytest

from rtl.mac import BitFusionSpec, BitSerialSpec, Dc1dSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.names import FULL_ADDER_NAME
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from siliquant.inputs import InputError
from sim.proofs import ProofError, prove_netlist
from sim.simulators import ToolError
from tests.sim.proofs.faults import mutants

SPECS = (
    UniformSpec(weight_bits=4, activation_bits=4, lanes=2, pipeline_stages=1),
    UniformSpec(weight_bits=8, activation_bits=8, lanes=16, booth=True, half_adders=True),
    SubwordSpec(units=2, pipeline_stages=2),
    BitFusionSpec(units=4, pipeline_stages=2),
    PaddedSpec(units=2, gating=True),
    Dc1dSpec(units=2),
    XnorSpec(lanes=17, pipeline_stages=1),
    BitSerialSpec(units=3),
    LoomSpec(units=9),
)
SMALL = UniformSpec(weight_bits=3, activation_bits=3, lanes=2, pipeline_stages=1, reduction_length=8)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_verilog_of_every_design_is_its_graph(spec: MacSpec) -> None:
    found = prove_netlist(spec, to_verilog([spec]))
    assert found.name == spec.name
    assert found.cells > found.registers > 10


def alone(condition: str) -> str:
    """What takes a statement, the first group, out of a block of what loads where in_valid is 1: one of its own."""
    return rf"  end always @(posedge clk) {condition} \1 always @(posedge clk) if (in_valid) begin"


FAULTS = (
    ("an adder takes other bits", r"\.a\((~?\w+(?:\[\d+\])?)\), \.b\((~?\w+(?:\[\d+\])?)\)", r".a(\1), .b(\1)"),
    ("a gate is another one", r"(wire [^=;]+ = \S+ )&( \S+;)", r"\1|\2"),
    ("an inverter is gone", r"~(?=[\w(])", ""),
    ("two words are added shifted", r"(wire [^=;]+ = \{[^;]*)\} \+", r"\1, 1'b0} +"),
    ("a register loads without operands", r"    ((\w+)_q <= \2;)", alone("")),
    ("a register loads too early", r"if \(valid_q1\)", "if (valid_q0)"),
    ("an output is another register", r"(assign accumulator = ~)(accumulator_q);", r"\1{\2[8:1], clear_q};"),
    ("an output is another bit", r"(assign accumulator = ~)(accumulator_q);", r"\1{\2[7], \2[7:0]};"),
    ("a reset does nothing", r"(valid_q\d) <= 1'b0;(?=[^/]*\1 <= (\w+);)", r"\1 <= \2;"),
    *(
        ("a reset is inverted", rf"(valid_q{stage}) <= 1'b0;([^/]*)\1 <= (\w+);", r"\1 <= \3;\2\1 <= 1'b0;")
        for stage in range(3)
    ),
    ("a falling edge", r"posedge clk", r"negedge clk"),
    ("another clock", r"posedge clk", r"posedge in_valid"),
)


@pytest.mark.parametrize(("pattern", "put"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_faults_are_refused(pattern: str, put: str) -> None:
    verilog = to_verilog([SMALL])
    at = verilog.index(f"module {SMALL.name}")
    places = list(re.finditer(pattern, verilog[at:]))
    assert places
    for place in Random(0).sample(places, min(3, len(places))):
        changed = verilog[: at + place.start()] + place.expand(put) + verilog[at + place.end() :]
        with pytest.raises(ProofError):
            prove_netlist(SMALL, changed)


def test_a_fault_is_named() -> None:
    verilog = to_verilog([SMALL])
    with pytest.raises(
        ProofError, match=rf"^{SMALL.name}: register weights_q\[0\] of the Verilog takes another value$"
    ):
        prove_netlist(SMALL, re.sub("    (weights_q <= weights;)", alone("if (rst)"), verilog))
    with pytest.raises(ProofError, match=rf"^the Verilog has no module {SMALL.name}$"):
        prove_netlist(SMALL, to_verilog([SPECS[0]]))
    broken = verilog.replace("assign carry = (a & b) | (c & (a | b));", "assign carry = (a & b) | (c & (a & b));")
    assert broken != verilog
    with pytest.raises(ProofError, match=rf"^carry of {FULL_ADDER_NAME} is not that of a full adder$"):
        prove_netlist(SMALL, broken)


UNITS = (
    ThresholdSpec(bits=2, groups=5, pipeline_stages=1),
    MultiplierSpec(groups=3, shift_bits=2),
    MultiplierSpec(accumulator_width=4, bits=3, multiplier_width=2, offset_width=3, shift=30, shift_bits=5),
    PartialSumSpec(groups=3, pipeline_stages=2),
)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_verilog_of_requantisers_is_their_graph(unit: LoadableSpec) -> None:
    assert prove_netlist(unit, to_verilog([unit])).registers > 3


UNIT_FAULTS = (
    ("a set is loaded in reset", r"if \(loading &", "if (load_valid &"),
    ("sets are swapped", r"load_group == 3'd2", "load_group == 3'd1"),
    ("a set is loaded always", r"if \(loading & [^;]*\) (parameters\d_q <= load_parameters;)", r"\1"),
    ("a set is loaded reversed", r"<= load_parameters;", "<= ~load_parameters;"),
    ("another set is chosen", r"group_in_q\[1\] \?", "group_in_q[0] ?"),
    ("a code is held", r"if \(valid_q1\) (code_q <=)", r"if (valid_q0) \1"),
)


@pytest.mark.parametrize(
    ("pattern", "put"), [fault[1:] for fault in UNIT_FAULTS], ids=[each[0] for each in UNIT_FAULTS]
)
def test_faults_of_requantisers_are_refused(pattern: str, put: str) -> None:
    unit = UNITS[0]
    verilog = to_verilog([unit])
    places = list(re.finditer(pattern, verilog))
    assert places
    for place in places:
        with pytest.raises(ProofError):
            prove_netlist(unit, verilog[: place.start()] + place.expand(put) + verilog[place.end() :])


STRANGE = (
    ("a loop", r"wire (\w+) = ([^;]*);", r"wire \1 = (\2) & \1;", "depends on itself"),
    ("two drivers", r"wire (\w+) = ([^;]*);", r"wire \1 = \2; assign \1 = clear;", "has more than one driver"),
    ("a port is missing", r"output wire +out_valid,.*", "", "is another one, or missing"),
    ("a port is narrower", r"input  wire +\[5:0\] weights,", "input wire [4:0] weights,",
     "port weights of the Verilog is another one, or missing"),
    ("a pin is missing", r"\.carry\((\w+)\)", ".carry()", "must have five pins of one bit"),
    ("the full adder adds", r"assign carry = [^;]*;", "assign carry = (a + b + c) >> 1;", "not that of a full adder"),
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "put", "said"), [each[1:] for each in STRANGE], ids=[each[0] for each in STRANGE])
def test_files_that_are_not_as_they_are_written_are_refused(pattern: str, put: str, said: str) -> None:
    changed, count = re.subn(pattern, put, to_verilog([SMALL]), count=1)
    assert count
    with pytest.raises((ProofError, ToolError), match=said):
        prove_netlist(SMALL, changed)


def test_files_that_share_a_module_are_read_together() -> None:
    """Include guards keep it from being there twice."""
    verilog = to_verilog([SMALL])
    assert verilog.count("`ifndef") == 1
    twice = prove_netlist(SMALL, verilog + verilog[verilog.index("`ifndef") :])
    assert twice.cells == prove_netlist(SMALL, verilog).cells


@pytest.mark.parametrize("more", [
    '  import "DPI-C" function integer getpid();\n  localparam integer P = getpid();\n', "`include <secret>\n",
    '  initial $readmemh("secret", memory);\n', "  wire \\escaped ;\n", "  initial $finish;\n",
    # What Yosys reads otherwise than simulators do.
    "`ifndef SYNTHESIS\n  wire a;\n`else\n  wire b;\n`endif\n", "`ifndef YOSYS\n  wire a;\n`endif\n",
    "  // \r wire a;\n",
    "  initial accumulator_q = 5;\n", "  wire #50 late = clear;\n", "  always @(clear) ignored = clear;\n",
    "  specify endspecify\n",
])  # fmt: skip
def test_text_that_runs_or_reads_anything_or_is_read_otherwise_is_refused(more: str) -> None:
    verilog = to_verilog([SMALL]).replace("endmodule", f"{more}endmodule", 1)
    with pytest.raises(InputError, match=r"^line \d+: .*must have no strings|Verilog must have no strings"):
        prove_netlist(SMALL, verilog)


def test_gates_in_stages_that_the_graph_has_not_are_refused() -> None:
    datapath = SMALL.build()
    (gate, *_) = mutants(datapath, Random(0))
    placed = replace(datapath.schedule, gates=gate.circuit.gates)
    with pytest.raises(ProofError, match=r"^the gates that are placed in stages are not those of the graph$"):
        prove_netlist(SMALL, datapath=replace(datapath, schedule=placed))
