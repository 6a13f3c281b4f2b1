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
from sim.simulators import Source, read_source
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


def source(verilog: str) -> Source:
    return read_source(verilog.encode())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_verilog_of_every_design_is_its_graph(spec: MacSpec) -> None:
    found = prove_netlist(spec, source(to_verilog([spec])))
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
            prove_netlist(SMALL, source(changed))


def test_a_reset_that_is_overridden_is_no_reset() -> None:
    """Yosys 0.70 reads what stands behind the choice as its other branch."""
    verilog = to_verilog([SMALL])
    pattern = r"if \(rst\) begin([^/]*?)  end\n  else begin([^/]*?)  end"
    changed, times = re.subn(pattern, r"if (1'b1) begin\n    if (rst) begin\1  end\2  end", verilog)
    assert times == 1
    with pytest.raises(InputError, match=r"^line \d+: valid_q0 must not be assigned to behind the if or case that"):
        source(changed)


def line(text: str, verilog: str) -> int:
    return verilog[: verilog.index(text)].count("\n") + 1


def refused(verilog: str) -> str:
    with pytest.raises((ProofError, InputError)) as caught:
        prove_netlist(SMALL, source(verilog))
    return str(caught.value)


def test_a_fault_is_named() -> None:
    verilog = to_verilog([SMALL])
    assert refused(re.sub("    (weights_q <= weights;)", alone("if (rst)"), verilog)) == (
        f"{SMALL.name}: register weights_q[0] (line {line(' weights_q;', verilog)}) takes another value than the graph "
        "gives it"
    )
    other = UniformSpec(weight_bits=4, activation_bits=4, lanes=2, pipeline_stages=1)
    assert refused(to_verilog([other])) == (
        f"must have the module {SMALL.name} of these options; it has {other.name} (line 6)"
    )
    broken = verilog.replace("assign carry = (a & b) | (c & (a | b));", "assign carry = (a & b) | (c & (a & b));")
    assert refused(broken) == (
        f"carry of {FULL_ADDER_NAME} (line {line('module siliquant_full', verilog)}) is not that of a full adder"
    )


@pytest.mark.parametrize("gates", ["valid_q0 & 1'b1", "~(~valid_q0)", "valid_q0 | valid_q0"])
def test_yosys_takes_no_gate_away_that_something_reads(gates: str) -> None:
    """What it makes simpler it would have to be trusted with."""
    changed, count = re.subn(r"valid_q1 <= valid_q0;", f"valid_q1 <= {gates};", to_verilog([SMALL]))
    assert count == 1
    said = rf"{SMALL.name}: register valid_q1\[0\] \(line \d+\) takes another value than the graph gives it"
    assert re.fullmatch(said, refused(changed))


def test_a_full_adder_of_any_depth_is_compared() -> None:
    """A hundred doublings have 2^100 paths, and are 100 gates."""
    steps = "".join(f"  wire x{place + 1} = x{place} | x{place};\n" for place in range(100))
    verilog = to_verilog([SMALL]).replace("  assign sum = a ^", f"  wire x0 = a;\n{steps}  assign sum = x100 ^")
    assert prove_netlist(SMALL, source(verilog)).name == SMALL.name


def test_any_prefix_will_do() -> None:
    """Whatever is instantiated is compared with the truth table of a full adder."""
    verilog = to_verilog([SMALL], "mine_")
    assert "mine_full_adder " in verilog
    assert prove_netlist(SMALL, source(verilog)).cells == prove_netlist(SMALL).cells


UNITS = (
    ThresholdSpec(bits=2, groups=5, pipeline_stages=1),
    MultiplierSpec(groups=3, shift_bits=2),
    MultiplierSpec(accumulator_width=4, bits=3, multiplier_width=2, offset_width=3, shift=30, shift_bits=5),
    PartialSumSpec(groups=3, pipeline_stages=2),
)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_verilog_of_requantisers_is_their_graph(unit: LoadableSpec) -> None:
    assert prove_netlist(unit, source(to_verilog([unit]))).registers > 3


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
            prove_netlist(unit, source(verilog[: place.start()] + place.expand(put) + verilog[place.end() :]))


NAME = SMALL.name
STRANGE = (  # "line <text>" is the line of the first such text in the changed Verilog
    ("a loop", r"wire (\w+) = ([^;]*);", r"wire \1 = (\2) & \1;",
     f"{NAME}: sum_c1_l1_0_carry[0] (line <wire sum_c1_l1_0_carry>) depends on itself"),
    ("a port is missing", r"output wire +out_valid,.*", "wire",
     "line <wire\n>: it must have only what siliquant gen writes (docs/verification.md), not 'wire'"),
    ("a port is wider", r"output wire +out_valid,", "output wire [1:0] out_valid,",
     "line <[1:0] out_v>: port out_valid must be an output of 1 bit, as the manifest says, not an output of 2 bits"),
    ("a port is narrower", r"input  wire +\[5:0\] weights,", "input wire [4:0] weights,",
     "line <[4:0] weights>: port weights must be an input of 6 bits, as the manifest says, not an input of 5 bits"),
    ("a port more", r"input  wire +in_valid,", "input wire scan, input wire in_valid,",
     "line <input wire scan>: port scan must be missing, as the manifest says, not an input of 1 bit"),
    ("a pin is missing", r"\.carry\((\w+)\)", ".carry()",
     f"{NAME}: full adder sum_c0_l1_0 (line <sum_c0_l1_0 (>) must have five pins of one bit"),
    ("the full adder adds", r"assign carry = [^;]*;", "assign carry = a + b + c;",
     "siliquant_full_adder (line <module siliquant_full_adder>): a function must be of plain gates, not of add"),
    ("a full adder has parameters", r"siliquant_full_adder (\w+ \()", r"siliquant_full_adder #(.X(1)) \1",
     "line <sum_c0_l1_0 (>: module siliquant_full_adder (line <module siliquant_full_adder>) has no parameter X"),
    ("the full adder may be another", r"module siliquant_full_adder", "module siliquant_full_adder #(parameter X = 0)",
     "line <module siliquant_full_adder>: siliquant_full_adder must have no parameters, as X is"),
    ("a register more", r"valid_q1 <= valid_q0;", "valid_q1 <= late; late <= valid_q0;",
     "line <late; late>: late must be declared before it is used"),
    ("a register more that is read", r"reg +valid_q1;([\s\S]*)valid_q1 <= valid_q0;",
     r"reg valid_q1; reg late;\1valid_q1 <= late; late <= valid_q0;",
     f"{NAME}: there should be no register late[0] (line <reg late;>)"),
    ("something is multiplied", r"wire sum_c6_l6_0_carry = kept\[6\] \| ", "wire sum_c6_l6_0_carry = kept[6] * ",
     f"{NAME}: an operation or a register (line <wire sum_c6_l6_0_carry>) is none that the graph has"),
    ("nothing drives a wire", r"wire sum_c6_l6_0_carry = [^;]*;", "wire sum_c6_l6_0_carry;",
     f"{NAME}: nothing drives sum_c6_l6_0_carry[0] (line <wire sum_c6_l6_0_carry>)"),
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "put", "said"), [each[1:] for each in STRANGE], ids=[each[0] for each in STRANGE])
def test_files_that_are_not_as_they_are_written_are_refused(pattern: str, put: str, said: str) -> None:
    changed, count = re.subn(pattern, put, to_verilog([SMALL]), count=1)
    assert count
    assert refused(changed) == re.sub(r"line <([^>]*?)>", lambda place: f"line {line(place[1], changed)}", said)


def test_what_is_instantiated_beside_full_adders_is_refused() -> None:
    other = "module other (input wire clk, output wire q);\n  assign q = clk;\nendmodule\n"
    verilog = to_verilog([SMALL]).replace("  // Registers", "  other spare (.clk(clk));\n  // Registers", 1)
    assert refused(verilog) == (
        f"line {line('spare', verilog)}: instance spare is of the module other, which the file must have, too"
    )
    at = verilog.count("\n") + 1
    assert refused(verilog + other) == (
        f"{NAME} must instantiate nothing but a full adder, not other (line {at}): port a must be an input of 1 bit, "
        "as of a full adder, not missing"
    )


def test_a_register_may_have_a_second_name() -> None:
    """That of a wire, which comes before it in the alphabet."""
    verilog = to_verilog([SMALL]).replace(
        "  assign accumulator = ~accumulator_q;", "  wire [8:0] a_sum = accumulator_q;\n  assign accumulator = ~a_sum;"
    )
    assert prove_netlist(SMALL, source(verilog)).cells == prove_netlist(SMALL).cells


@pytest.mark.parametrize(
    ("place", "loop"),
    [(NAME, "wire o; assign o = ~(o & clear);"), (NAME, "wire o, p; assign o = ~(p & clear); assign p = o;"),
     ("siliquant_full_adder", "wire o; assign o = ~(o & a);"),
     (NAME, "wire o, p; siliquant_full_adder more (.a(~o), .b(clear), .c(1'b0), .sum(p), .carry(o));")],
    ids=["one wire", "two wires", "below", "through an instance"],
)  # fmt: skip
def test_a_loop_that_nothing_reads_is_refused(place: str, loop: str) -> None:
    """Yosys takes it away, and in Icarus no time passes any more."""
    verilog = to_verilog([SMALL])
    end = verilog.index("endmodule", verilog.index(f"module {place} "))
    said = refused(f"{verilog[:end]}  {loop}\n{verilog[end:]}")
    assert re.fullmatch(rf"line \d+: no signal of {NAME} must depend on itself without a register between", said)


def test_files_that_share_a_module_are_read_together() -> None:
    """Include guards keep it from being there twice."""
    verilog = to_verilog([SMALL])
    assert verilog.count("`ifndef") == 1
    twice = prove_netlist(SMALL, source(verilog + verilog[verilog.index("`ifndef") :]))
    assert twice.cells == prove_netlist(SMALL, source(verilog)).cells


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
        prove_netlist(SMALL, source(verilog))


def test_gates_in_stages_that_the_graph_has_not_are_refused() -> None:
    datapath = SMALL.build()
    (gate, *_) = mutants(datapath, Random(0))
    placed = replace(datapath.schedule, gates=gate.circuit.gates)
    with pytest.raises(ProofError, match=rf"^{NAME}: the gates that are placed in stages are not those of the graph$"):
        prove_netlist(SMALL, datapath=replace(datapath, schedule=placed))
