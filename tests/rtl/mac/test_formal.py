"""Formal proofs with Yosys' SAT solver: small units equal plain Verilog that knows nothing of how they are made."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rtl.mac import UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec
from rtl.verilog.convert import to_verilog

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    design.run_pass(command)
"""

PLAIN = """
module plain(input clk, input rst, input in_valid, input clear, {ports}
    output out_valid, output [{acc}:0] accumulator);
  reg [{top}:0] valid;
  reg signed [{acc}:0] sum;
  reg [{words}:0] operands [0:{stages}];
  wire [{words}:0] now = operands[{stages}];
  wire clear_now = now[0];
  {fields}
  wire signed [{acc}:0] dot = {dot};
  integer k;
  always @(posedge clk) begin
    valid <= rst ? 0 : {{valid, in_valid}};
    operands[0] <= {{{concat}, clear}};
    for (k = 1; k <= {stages}; k = k + 1) operands[k] <= operands[k - 1];
    if (valid[{stages}]) sum <= (clear_now ? 0 : sum) + dot;
  end
  assign out_valid = valid[{top}];
  assign accumulator = sum;
endmodule
"""


def plain_verilog(spec: MacSpec, dot: str) -> str:
    """A MAC unit as one would write it by hand: operands delayed, multiplied and added with Verilog's operators."""
    fields, low = [], 1
    for port in spec.operand_ports:
        fields.append(f"wire [{port.width - 1}:0] {port.name}_now = now[{low + port.width - 1}:{low}];")
        low += port.width
    return PLAIN.format(
        ports=" ".join(f"input [{port.width - 1}:0] {port.name}," for port in spec.operand_ports),
        acc=spec.accumulator_width - 1,
        top=spec.latency - 1,
        words=low - 1,
        stages=spec.pipeline_stages,
        fields="\n  ".join(fields),
        concat=", ".join(port.name for port in reversed(spec.operand_ports)),
        dot=dot,
    )


def uniform_dot(spec: UniformSpec) -> str:
    """Signed products of all lanes, extended to the accumulator's width before they are multiplied."""
    w, a, width = spec.weight_bits, spec.activation_bits, spec.accumulator_width
    terms = []
    for lane in range(spec.lanes):
        weight = f"weights_now[{lane * w} +: {w}]"
        activation = f"activations_now[{lane * a} +: {a}]"
        weight_sign = f"{{{width - w}{{weights_now[{lane * w + w - 1}]}}}}"
        activation_sign = f"{{{width - a}{{activation_signed_now & activations_now[{lane * a + a - 1}]}}}}"
        terms.append(f"$signed({{{weight_sign}, {weight}}}) * $signed({{{activation_sign}, {activation}}})")
    return " + ".join(terms)


def xnor_dot(spec: XnorSpec) -> str:
    """Each weight -1 or +1, each activation -1 or +1 where signed, 0 or 1 where not."""
    ternary = "(weights_now[{0}] ? 1 : -1) * (activations_now[{0}] ? 1 : activation_signed_now ? -1 : 0)"
    return " + ".join([*(ternary.format(lane) for lane in range(spec.lanes)), "(odd_padding_now ? 1 : 0)"])


def prove(spec: MacSpec, verilog: str, plain: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the proof of equivalence in a process of its own, which an unproved property ends with an error.

    First: two cycles after operands with clear have been registered the outputs are equal, whatever was before.
    Then by induction: where outputs have been equal for the depth of the pipeline they stay equal for ever, resets,
    stalls and clears at any time.
    """
    (folder / "unit.v").write_text(verilog)
    (folder / "plain.v").write_text(plain)
    depth = spec.latency
    start = "-set-at 1 in_in_valid 1 -set-at 1 in_clear 1"
    start += "".join(f" -set-at {cycle} in_rst 0" for cycle in range(1, depth))
    commands = [
        f"read_verilog {folder / 'unit.v'} {folder / 'plain.v'}",
        "hierarchy -check",
        "proc",
        "memory",
        "flatten",
        "opt -full",
        f"miter -equiv -flatten -make_outputs plain {spec.name} miter",
        "hierarchy -top miter",
        "opt -full",
        f"sat -verify -seq {depth + 1} -prove-skip {depth} -prove trigger 0 {start} miter",
        f"sat -verify -tempinduct-inductonly -maxsteps {depth + 1} -prove trigger 0 miter",
    ]
    return subprocess.run(
        [sys.executable, "-c", YOSYS], input="\n".join(commands), capture_output=True, text=True, check=False
    )


def uniform(weight_bits: int, activation_bits: int, lanes: int, stages: int = 0) -> UniformSpec:
    return UniformSpec(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        lanes=lanes,
        pipeline_stages=stages,
        reduction_length=64,
    )


UNITS = [
    uniform(1, 1, 1),
    uniform(1, 4, 3, 1),
    uniform(2, 2, 1, 2),
    uniform(2, 2, 4, 1),
    uniform(3, 2, 2),
    uniform(4, 3, 1, 1),
    uniform(4, 1, 2, 2),
    uniform(3, 3, 2, 1),
    uniform(4, 4, 1),
    uniform(4, 4, 1, 2),
]


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_uniform_equals_plain_verilog(spec: UniformSpec, tmp_path: Path) -> None:
    done = prove(spec, to_verilog([spec]), plain_verilog(spec, uniform_dot(spec)), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("lanes", [1, 3, 4])
def test_xnor_equals_plain_verilog(lanes: int, tmp_path: Path) -> None:
    spec = XnorSpec(lanes=lanes, reduction_length=64, pipeline_stages=lanes % 2)
    done = prove(spec, to_verilog([spec]), plain_verilog(spec, xnor_dot(spec)), tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("number", range(8))
def test_faulty_gate_is_refuted(number: int, tmp_path: Path) -> None:
    spec = uniform(3, 3, 2, 1)
    verilog = to_verilog([spec])
    gates = [
        match.start() for match in re.finditer(r" [&^|] ", verilog[: verilog.index("module siliquant_full_adder")])
    ]
    place = gates[number * (len(gates) - 1) // 7]
    faulty = {"&": "|", "|": "&", "^": "|"}[verilog[place + 1]]
    mutant = f"{verilog[: place + 1]}{faulty}{verilog[place + 2 :]}"
    done = prove(spec, mutant, plain_verilog(spec, uniform_dot(spec)), tmp_path)
    assert done.returncode != 0
    assert "proof did fail" in done.stdout + done.stderr
