"""Verilog that a user brings: what is taken, and what is refused with its line before Yosys reads it."""

from __future__ import annotations

import contextlib

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import BitSerialSpec, LoomSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import Generated, Reset, to_verilog
from siliquant.inputs import InputError, short
from sim.simulators import read_source

GENERATED: tuple[Generated, ...] = (
    UniformSpec(weight_bits=3, activation_bits=4, lanes=3, booth=True, pipeline_stages=1),
    SubwordSpec(units=2), BitSerialSpec(units=3), LoomSpec(units=2), XnorSpec(lanes=9, pipeline_stages=2),
    ThresholdSpec(bits=2, groups=3), MultiplierSpec(groups=2, shift_bits=2), PartialSumSpec(groups=3),
    ArraySpec(mac=UniformSpec(lanes=2), rows=3, columns=2, drains=2,
              requant=MultiplierSpec(accumulator_width=32, groups=3)),
    ArraySpec(mac=LoomSpec(units=1), rows=3, columns=2, architecture=Architecture.SYSTOLIC,
              requant=ThresholdSpec(accumulator_width=32, groups=2)),
)  # fmt: skip


@pytest.mark.parametrize("spec", GENERATED, ids=lambda spec: spec.name)
def test_what_is_generated_is_taken(spec: Generated) -> None:
    verilog = to_verilog([spec])
    source = read_source(verilog.encode())
    assert source.module(spec.name).name == source.below(spec.name)[0].name == spec.name
    assert source.text.count("\n") == verilog.count("\n")
    assert {"siliquant_full_adder", spec.name} <= source.modules.keys() or "full_adder" not in verilog


def shown(order: str) -> str:
    return repr(f"// {order}")


NINES = f"4'd{'9' * 5000}"
BEGIN = "module m (\n  input wire clk,\n  input wire [3:0] a,\n  output wire [3:0] y,\n  output reg q\n);\n"
ONLY = "it must have only what siliquant gen writes (docs/verification.md), not "
PLAIN = (
    "Verilog must have no strings, system tasks, escaped names, directives beside include guards, delays, "
    "or initial blocks, not "
)
DEEP = "at most 400 operations, and else if before them, must depend on each other"
MANY = "line 7: a file must have at most 8388608 bits of words, numbers and concatenations"
BELOW = "\nendmodule\nmodule p #(parameter W = 1) (input wire [W-1:0] i);"
BLOCKING = "register q must take its value with <=: with =, what reads it at the same edge may see its value of before or after"  # noqa: E501
OVERRIDDEN = (
    "line {}: {} must not be assigned to behind the if or case that assigns to it in line {}: which of the two counts "
    "depends on the tool"
)
BROKEN = (  # lines behind the header, which has six, and what is said
    ("  always @(posedge clk) q = a[0];", f"line 7: {BLOCKING}"),
    ("  always @(posedge clk) begin\n    if (a[0]) q <= 1'b0;\n    else q = a[1];\n  end", f"line 9: {BLOCKING}"),
    ("  always @(posedge clk) case (a)\n    4'd1: q <= 1'b0;\n    default: q = 1'b1;\n  endcase",
     f"line 9: {BLOCKING}"),
    ("  always @* q = a[0];", f"line 7: {ONLY}'*'"),
    ("  always @(*) q <= a[0];", f"line 7: {ONLY}'*'"),
    ("  always @(negedge clk) q <= a[0];", f"line 7: {ONLY}'negedge'"),
    ("  wire gated = clk & a[0];\n  always @(posedge gated) q <= a[0];",
     "line 8: every register must be clocked by the port clk itself, not by gated"),
    ("  wire other = clk;\n  always @(posedge other) q <= a[0];",
     "line 8: every register must be clocked by the port clk itself, not by other"),
    ("  assign y = a;\n\n  assign y[2] = a[0];", "line 9: y must have one driver, and is driven in line 7, too"),
    ("  assign y[1:0] = a[1:0];\n  assign y[3:1] = a[3:1];",
     "line 8: y must have one driver, and is driven in line 7, too"),
    ("  assign a = 4'd1;", "line 7: a must have one driver, and is driven in line 3, too"),
    ("  wire p = a[0];\n  assign p = 1'b0;", "line 8: p must have one driver, and is driven in line 7, too"),
    ("  always @(posedge clk) q <= a[0];\n  always @(posedge clk) q <= a[1];",
     "line 8: q must have one driver, and is driven in line 7, too"),
    ("  n one (.i(a[0]), .o(y[0]));\n  n two (.i(a[0]), .o(y[0]));",
     "line 8: y must have one driver, and is driven in line 7, too"),
    ("  n one (.i(a[0]), .o(a[1]));", "line 7: a must have one driver, and is driven in line 3, too"),
    ("  n one (.i(a[0]), .z(y[0]));", "line 7: module n (line 9) has no port z"),
    ("  n one (.i(a[0]), .i(a[1]));", "line 7: pin i must be connected once"),
    ("  n one (a[0], y[0]);", f"line 7: {ONLY}'a'"),
    ("  n one [1:0] (.i(a[0]));", f"line 7: {ONLY}'['"),
    ("  n #(1) one (.i(a[0]));", f"line 7: {PLAIN}'#'"),
    ("  assign q = a[0];", "line 7: q must be a wire to be assigned to here"),
    ("  always @(posedge clk) y <= a;", "line 7: y must be a reg to be assigned to here"),
    ("  assign y = b;", "line 7: b must be declared before it is used"),
    ("  wire a;", "line 7: a must be declared once, and is in line 3, too"),
    ("  wire [0:3] b;", f"line 7: {ONLY}'3'"),
    ("  wire [8:1] b;", f"line 7: {ONLY}'1'"),
    ("  wire signed [3:0] b;", f"line 7: {ONLY}'signed'"),
    ("  reg b = 1'b1;", f"line 7: {ONLY}'='"),
    ("  assign y = n.i;", "line 7: names of other modules (a.b) are not taken: Yosys reads them as new ones"),
    ("  assign y = {4{a[7]}};", "line 7: bits of a must be selected from 3 down to 0, not 7"),
    ("  assign y[7:4] = a;", "line 7: bits of y must be selected from 3 down to 0, not 7:4"),
    ("  assign y = a[0:3];", "line 7: bits of a must be selected from 3 down to 0, not 0:3"),
    ("  n one (.i(clk[1]), .o(y[0]));",
     "line 7: clk must have no select: it is declared without a range, as one bit"),
    ("  always @(posedge clk) q[0] <= a[0];",
     "line 7: q must have no select: it is declared without a range, as one bit"),
    ("  reg r;\n  always @(posedge clk) if (a[1]) begin\n    if (a[0]) r <= 1'b1;\n    r <= a[2];\n  end",
     OVERRIDDEN.format(10, "r", 9)),
    ("  always @(posedge clk) begin\n    case (a)\n      4'd1: q <= 1'b1;\n    endcase\n begin q <= 1'b0; end\n  end",
     OVERRIDDEN.format(11, "q", 9)),
    ("  reg [3:0] r;\n  always @(posedge clk) begin begin if (a[1]) r <= a; else r[1] <= a[0]; end r[3] <= a[0]; end",
     OVERRIDDEN.format(8, "r", 8)),
    ("  reg [3:0] r [0:3];\n  always @(posedge clk) begin if (a[1]) r[a[1:0]] <= a; r[2'd1] <= a; end",
     OVERRIDDEN.format(8, "r", 8)),
    ("  n one (.i(clk), .o(y[4]));", "line 7: bits of y must be selected from 3 down to 0, not 4"),
    ("  n one (.i(clk), .o(y[0] | a[0]));", "line 7: the output o of one must be connected to wires"),
    ("  n one (.i(clk), .o(~y[0]));", "line 7: the output o of one must be connected to wires"),
    ("  n one (.i(clk));\n  assign y = one;", "line 8: one must be a wire, a reg or a port to stand here"),
    ("  assign y = a[a];", f"line 7: {ONLY}'a'"),
    ("  assign y = a[2'd1];", f"line 7: {ONLY}\"2'd1\""),
    ("  assign y = a[a[1:0] +: 1];", f"line 7: {ONLY}'a'"),
    ("  assign y = a[1 +: 2];", f"line 7: {ONLY}'+'"),
    ("  reg [3:0] words [0:7];\n  assign y = words;", f"line 8: {ONLY}';'"),
    ("  reg [3:0] words [0:7];\n  assign y = words[a][0];", f"line 8: {ONLY}'['"),
    ("  reg [3:0] words [0:a];", f"line 7: {ONLY}'a'"),
    ("  reg [3:0] words [1:7];", f"line 7: {ONLY}'1'"),
    ("  wire [a-1:0] b;", f"line 7: {ONLY}'a'"),
    ("  wire [4'd3:0] b;", f"line 7: {ONLY}\"4'd3\""),
    ("  assign y = 4'b_1;", f"line 7: {ONLY}\"4'b_1\""),
    ("  assign y = 4'd16;", "line 7: a number must fit into its width, not \"4'd16\""),
    ("  assign y = 4'h1_f;", "line 7: a number must fit into its width, not \"4'h1_f\""),
    (f"  assign y = 4'd{'9' * 5000};", f"line 7: a number must fit into its width, not {short(NINES)}"),
    ("  assign y = a +;", f"line 7: {ONLY}';'"),
    ("  assign y = a a;", f"line 7: {ONLY}'a'"),
    ("  assign y = a & & a;", f"line 7: {ONLY}'&'"),
    ("  assign y = a - - a;", f"line 7: {ONLY}'-'"),
    ("  assign y = a ? a;", f"line 7: {ONLY}';'"),
    ("  assign y = {};", f"line 7: {ONLY}'}}'"),
    ("  assign y = {2{a}, a};", f"line 7: {ONLY}','"),
    ("  assign y = {0{a}};", "line 7: bits must be repeated at least once"),
    ("  wire b = |{16777215{a}};", MANY),
    ("  wire b = |{3000{{3000{a}}}};", MANY),
    ("  wire [8388607:0] b;", MANY),
    ("  wire b = |8388608'd1;", MANY),
    (f"  p #(.W(9), .W(9)) one (.i(a));{BELOW}", "line 7: parameter W must be given once"),
    (f"  p #(.V(9)) one (.i(a));{BELOW}", "line 7: module p (line 9) has no parameter V"),
    (f"  p #(.W(8388608)) one (.i(a));{BELOW}",
     MANY),
    ("  n one (.i(a[0]));\n  assign y = one.i;",
     "line 8: names of other modules (a.b) are not taken: Yosys reads them as new ones"),
    ("  n one (.i(a[0]));\n  assign one.i = 1'b1;",
     "line 8: names of other modules (a.b) are not taken: Yosys reads them as new ones"),
    ("  defparam one.X = 1;", f"line 7: {ONLY}'defparam'"),
    ("  parameter X = 1;", f"line 7: {ONLY}'parameter'"),
    ("  localparam X = 1;", f"line 7: {ONLY}'localparam'"),
    ("  generate endgenerate", f"line 7: {ONLY}'generate'"),
    ("  genvar i;", f"line 7: {ONLY}'genvar'"),
    ("  function f; input x; f = x; endfunction", f"line 7: {ONLY}'function'"),
    ("  task t; endtask", f"line 7: {ONLY}'task'"),
    ("  inout wire b;", f"line 7: {ONLY}'inout'"),
    ("  tri b;", f"line 7: {ONLY}'tri'"),
    ("  wand b;", f"line 7: {ONLY}'wand'"),
    ("  supply1 b;", f"line 7: {ONLY}'supply1'"),
    ("  integer i;", f"line 7: {ONLY}'integer'"),
    ("  and (y[0], a[0], a[1]);", f"line 7: {ONLY}'and'"),
    ("  assign (strong0, weak1) y = a;", f"line 7: {ONLY}'('"),
    ("  assign y = 4'bx;", f"line 7: {ONLY}\"4'bx;\""),
    ("  assign y = 4'b0?01;", f"line 7: {ONLY}\"4'b0?01;\""),
    ("  assign y = 4'hz;", f"line 7: {ONLY}\"4'hz;\""),
    ("  assign y = 4'sd1;", f"line 7: {ONLY}\"4'sd1;\""),
    ("  assign y = a === 4'd1;", f"line 7: {ONLY}'==='"),
    ("  assign y = a >>> 1;", f"line 7: {ONLY}'>>>'"),
    ("  assign y = a / 2;", f"line 7: {ONLY}'/ 2;'"),
    ("  assign y = (* keep *) a;", "line 7: it must have no attributes, which tools obey differently"),
    ("  (* keep *) wire b;", f"line 7: {ONLY}'('"),
    ("  always @(posedge clk) case (a)\n  endcase", f"line 8: {ONLY}'endcase'"),
    ("  always @(posedge clk)\n    case (!6'd5)\n      1'd0: q <= a[0]; default q <= a[1]; endcase",
     "line 8: a case must be of a word, not of numbers alone: Yosys may leave out its default"),
    ("  always @(posedge clk) case (q)\n      a[0]: q <= a[0]; default q <= a[1]; endcase",
     "line 8: what a case is compared with must be a number, not a: Yosys may leave out its default"),
    ("  always @(posedge clk) case (q)\n      1: q <= a[0]; endcase",
     "line 8: a number in an expression must have its width, as 4'd1 has"),
    ("  always @(posedge clk) case (q)\n      1'd1 + a: q <= a[0]; endcase", f"line 8: {ONLY}'+'"),
    ("  assign y = !~a;", f"line 7: {ONLY}'~'"),
    ("  assign y = ~~a;", f"line 7: {ONLY}'~'"),
    ("  assign y = a & ~ ~ a;", f"line 7: {ONLY}'~'"),
    ("  assign y = a" + " | a" * 401 + ";", f"line 7: {DEEP}"),
    ("  assign y = " + "a ? a : " * 401 + "a;", f"line 7: {DEEP}"),
    ("  wire [3:0] b = (a" + " | a" * 300 + ") ? a : a" + " | a" * 399 + ";\n"
     "  assign y = {a ? (a" + " | a" * 300 + ")" + " | a" * 99 + " : a};", f"line 8: {DEEP}"),
    ("  reg [3:0] r [0:3];\n  assign y = " + "r[a & " * 40 + "a" + "]" * 40 + " | a" * 321 + ";", f"line 8: {DEEP}"),
    ("  always @(posedge clk) " + "if (a[0]) q <= a[1]; else " * 402 + "q <= a[2];",
     "line 7: at most 400 else if must follow each other"),
    ("  always @(posedge clk) " + "if (a[0]) q <= a[1]; else " * 301 + "q <= a[2]" + " | a[0]" * 101 + ";",
     f"line 7: {DEEP}"),
    (f"  wire {'k' * 1025};", "line 7: a name must have at most 1024 characters, not 1025"),
    ("  wire checker;", f"line 7: {ONLY}'checker'"),
    ("  assign y = a\f;", f"line 7: {ONLY}'\\x0c;'"),
    ("`ifndef 9_defined\n`define 9_defined\n`endif", f"line 7: {PLAIN}'`'"),
    ("  always @(posedge clk) casez (a)\n  endcase", f"line 7: {ONLY}'casez'"),
    ("  always @(posedge clk) for (;;) q <= 1'b0;", f"line 7: {ONLY}'for'"),
    ("  always @(posedge clk) while (1) q <= 1'b0;", f"line 7: {ONLY}'while'"),
    ("  always @(posedge clk) force y = a;", f"line 7: {ONLY}'force'"),
    ("  always @(posedge clk) q <= @(a) 1'b0;", f"line 7: {PLAIN}'@'"),
    ("  always @(posedge clk) " + "begin " * 70, "line 7: statements must be nested at most 64 levels deep"),
    ("  assign y = " + "(" * 300, "line 7: brackets are nested too deep"),
    ("  n one (.i(a[0]),);", f"line 7: {ONLY}')'"),
    ("  n one ();", f"line 7: {ONLY}')'"),
    ("  assign y = a + 1;", "line 7: a number in an expression must have its width, as 4'd1 has"),
    ("  assign y = 99999999'd1;", "line 7: a number must be as wide as 1 to 16777216, not '99999999'"),
    ("  assign y = 0'd1;", "line 7: a number must be as wide as 1 to 16777216, not '0'"),
    ("  wire [99999999999:0] b;", "line 7: a number must be from 0 to 16777216, not '99999999999'"),
    ("  assign y = 4'b12;", f"line 7: {ONLY}\"4'b12\""),
    ("  always @(posedge clk) case (a)\n    default: q <= 1'b0;\n    4'd1: q <= 1'b1;\n  endcase",
     f"line 9: {ONLY}\"4'd1\""),
    ("  assign y = a", f"line 8: {ONLY}'endmodule'"),
    ("  assign y = ;", f"line 7: {ONLY}';'"),
    ("  assign y = $random;", f"line 7: {PLAIN}'$'"),
    ("  assign \\y = a;", f"line 7: {PLAIN}'\\\\'"),
    ("  initial q = 1'b0;", f"line 7: {PLAIN}'initial'"),
    ("  assign #1 y = a;", f"line 7: {PLAIN}'#'"),
    ("`define X a\n  assign y = `X;", f"line 7: {PLAIN}'`'"),
    ("`ifdef X_defined\n`endif", f"line 7: {PLAIN}'`'"),
    ("`ifndef X_defined\n`define X_defined 1\n`endif", f"line 7: {PLAIN}'`'"),
    ("`ifndef X_defined\n`define X_defined /*\n*/\n`endif",
     "line 8: a directive must not end in a comment of several lines"),
    (("`ifndef X_defined\n`define X_defined\n`endif\n`ifndef X_defined\n`define X_defined\n`elsif X_defined\n"
     "  assign y = a;\n`endif"), f"line 12: {PLAIN}'`'"),
    (("`ifndef X_defined\n`define X_defined\n`endif\n`ifndef X_defined\n`define X_defined\n`else\n"
     "  assign y = a;\n`endif"), f"line 12: {PLAIN}'`'"),
    ("`ifndef X_defined\n`define X_defined // note \\\n  assign y = a;\n`endif",
     "line 8: a directive must not end in a comment with a backslash at its end"),
    ("  always @(posedge clk) {q, q} <= a[1:0];", "line 7: no bit of q must be assigned to twice in a statement"),
    ("  reg [1:0] r;\n  always @(posedge clk) {r[1:0], r[0]} <= a[2:0];",
     "line 8: no bit of r must be assigned to twice in a statement"),
    ("`ifndef X_defined\n`define X_defined", "line 13: an include guard must have its end, `endif"),
    ("  // synopsys translate_off\n  assign y = a;",
     "line 7: a comment must be no order to a tool, as '// synopsys translate_off' is"),
    ("  always @(posedge clk) case (a) /* synthesis full_case */\n  endcase",
     "line 7: a comment must be no order to a tool, as '/* synthesis full_case */' is"),
    ("  //pragma translate_off", "line 7: a comment must be no order to a tool, as '//pragma translate_off' is"),
    ("  /* open", f"line 7: {PLAIN}'/*'"),
    *((f"  // {order}", f"line 7: a comment must be no order to a tool, as {shown(order)} is") for order in (
        "synopsys dc_script_begin", "Synthesis syn_keep = 1", "synthesis keep", "synthesis loc=\"A1\"",
        "pragma protect", "psl assert always a", "xilinx attribute x", "vcs coverage off", "verilator public",
        "full_case", "ambit synthesis off",
    )),
)  # fmt: skip
END = "\nendmodule\nmodule n (input wire i, output wire o);\n  assign o = i;\nendmodule\n"


@pytest.mark.parametrize("words", [
    "synthesis of the sums follows", "Synthesis, as in the manual", "synthesis keeps these registers",
    "Xilinx calls it a LUT", "cadence of the steps: 4", "verilator lint_off UNUSED", "pragmas are none",
])  # fmt: skip
def test_a_comment_may_begin_with_the_name_of_a_tool(words: str) -> None:
    assert read_source(f"{BEGIN}  // {words}\n  /* {words} */{END}".encode()).module("m").line == 1


def test_what_an_expression_may_have() -> None:
    lines = (
        "  wire [7:0] b = {{3{a[3]}}, ~a, 1'b0};\n  reg [3:0] words [0:7];\n"
        "  wire c = b[7:4] == a ? (!a[0]) & ~(a[1] | (^b)) : a[0] ? (-a) != 4'hf : &{a, b};\n"
        "  wire [3:0] d, e;\n  n one (.i(c), .o(d[0]));\n  n two (.i(words[a[2:0]] >= b), .o({d[1]}));\n"
        "  n three (.i(b[0]), .o());\n  p #(.W(4)) four (.i(a * b - e));\n"
        "  wire f = " + "".join(f"a == 4'd{place} ? b[{place % 8}] : " for place in range(16)) * 20 + "1'b0;\n"
    )
    module = read_source(f"{BEGIN}{lines}{BELOW}{END}".encode()).module("m")
    assert module.widths["b"] == 8
    assert module.memories == {"words"}
    assert [driver.part for driver in module.drivers["d"]] == [(0, 0), (1, 1)]
    assert module.instances["four"].parameters == {"W": 4}


def test_what_a_block_may_have() -> None:
    lines = (
        "  reg [3:0] r;\n  always @(posedge clk) begin\n    r <= 4'd0;\n    r[2] <= a[0];\n    q <= a[1];\n"
        "    if (a[0]) begin if (a[1]) r <= a; if (a[2]) r[1] <= a[3]; else begin r[0] <= a[3]; r[1] <= a[3]; end end\n"
        "    case (a) 4'd1: r[0] <= a[1]; 4'd2: begin end default r <= a; endcase\n    q <= a[3];\n  end\n"
        "  reg s;\n  always @(posedge clk) " + "if (a[0]) s <= a[1]; else " * 401 + "s <= a[2];\n"
    )
    module = read_source(f"{BEGIN}{lines}{END}".encode()).module("m")
    assert module.drivers.keys() - module.inputs.keys() == {"q", "r", "s"}


@pytest.mark.parametrize(("lines", "said"), BROKEN, ids=[each[0].strip()[:40] for each in BROKEN])
def test_what_may_be_read_otherwise_is_refused(lines: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_source((BEGIN + lines + END).encode())
    assert str(caught.value) == said


def test_a_text_that_ends_anywhere_is_refused_or_read() -> None:
    """Never anything else than a sentence."""
    whole = BEGIN + "  always @(posedge clk) q <= a[0];\n  assign {y[0], {y[1]}} = a[1:0];\n" + END
    texts = [whole[:end] for end in range(len(whole))]
    texts += [f"{BEGIN}  always @(posedge clk {each}" for each in ("or", ",", "or negedge", "or posedge rst")]
    for text in texts:
        with contextlib.suppress(InputError):
            read_source(text.encode())


def test_targets_have_a_depth() -> None:
    with pytest.raises(InputError) as caught:
        read_source(f"{BEGIN}  assign {'{' * 3000}y{'}' * 3000} = a;\n{END}".encode())
    assert str(caught.value) == "line 7: targets must be nested at most 64 levels deep"


def test_modules_are_named() -> None:
    verilog = f"{BEGIN}  n one (.i(a[0]), .o(y[0]));{END}"
    source = read_source(verilog.encode())
    with pytest.raises(InputError) as caught:
        source.module("other")
    assert str(caught.value) == "must have the module other of these options; it has m (line 1)"
    with pytest.raises(InputError, match=r"^must have the module m of these options; it has none$"):
        read_source(b"").module("m")
    with pytest.raises(InputError, match=r"^line 14: module m must be there once, and is in line 1, too$"):
        read_source((verilog + "\n\n" + verilog).encode())
    with pytest.raises(InputError, match=r"^line 3: module n is part of itself$"):
        read_source(b"module n (input wire i);\n\n  n one (.i(i));\nendmodule").below("n")
    with pytest.raises(InputError, match=r"^line 2: must be text in UTF-8$"):
        read_source(b"//\n\xff")


def test_the_sum_is_that_of_the_bytes() -> None:
    import hashlib

    for content in (b"// a\r\n", b"// a\n"):
        assert read_source(content).sha256 == hashlib.sha256(content).hexdigest()


def test_a_byte_order_mark_is_refused_as_icarus_and_yosys_do() -> None:
    with pytest.raises(InputError, match=r"^line 1: must have no byte order mark, which not all tools take$"):
        read_source(b"\xef\xbb\xbf// a\n")


@pytest.mark.parametrize("style", list(Reset)[1:], ids=lambda style: style.value)
def test_another_reset_is_named(style: Reset) -> None:
    from sim.proofs import prove_netlist

    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=1)
    verilog = to_verilog([spec], reset=style)
    with pytest.raises(InputError) as caught:
        prove_netlist(spec, read_source(verilog.encode()))
    where = "rst_n," if style is Reset.SYNCHRONOUS_LOW else "posedge clk or"
    line = verilog[: verilog.index(where)].count("\n") + 1
    assert str(caught.value) == (
        f"line {line}: it was generated with --reset {style.value}; proofs take files of the default style: siliquant "
        "gen without --reset"
    )
