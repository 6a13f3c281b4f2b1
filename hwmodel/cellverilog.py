"""Simulation models of library cells in Verilog, for delays from SDF.

    `timescale 1ns/1fs
    module XOR2_X1 (A, B, Z); ...
      specify (posedge A => (Z : A)) = 0; (negedge A => (Z : A)) = 0; ... endspecify
    endmodule

An unconditional specify path for each input that can change an output: one, or two where the output
can follow the input as well as oppose it, since the two may take very different times (sum outputs of
full adders) and Icarus Verilog 11 takes no conditional delays from SDF.  Registers start at 0, as in
hwmodel.activity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from hwmodel.cellfunction import And, Constant, Expression, Not, Or, Variable, Xor
from hwmodel.cellmodel import CellModel, FlipFlop
from siliquant.errors import InputTypeError

__all__ = ["TIMESCALE", "cell_verilog", "delay_pairs", "senses", "verilog_expression"]

TIMESCALE = "`timescale 1ns/1fs\n"

_IDENTIFIER = re.compile(r"[A-Za-z_][\w$]*")


def delay_pairs(model: CellModel) -> dict[tuple[str, str], bool]:
    """The (input, output) pin pairs that have a delay; True where the output can both follow and oppose.

    Of a gate every input that changes an output; of a flip-flop the pins of its clock, clear and preset.
    """
    flop = model.flip_flop
    if flop is not None:
        sources = [function.names for function in (flop.clocked_on, flop.clear, flop.preset) if function is not None]
        return {(pin, output): False for output in model.outputs for pin in sorted(frozenset().union(*sources))}
    pairs = {}
    for output, function in model.outputs.items():
        for pin in sorted(function.names):
            follows, opposes = senses(function, pin, dict(input_columns(sorted(function.names - {pin}))))
            if follows or opposes:
                pairs[pin, output] = bool(follows and opposes)
    return pairs


def input_columns(names: list[str]) -> Mapping[str, int]:
    """The truth-table column of each input: bit r is its value in row r."""
    rows = range(1 << len(names))
    return {name: sum((row >> place & 1) << row for row in rows) for place, name in enumerate(names)}


def senses(function: Expression, pin: str, others: Mapping[str, int]) -> tuple[int, int]:
    """The rows of ``others`` (columns of all other inputs) in which the output follows the pin, and opposes it."""
    ones = (1 << (1 << len(others))) - 1
    high, low = (function.evaluate({**others, pin: value}, ones) for value in (ones, 0))
    return high & ~low, low & ~high


def cell_verilog(model: CellModel) -> str:
    """The module of one cell: a gate, or a flip-flop whose clear and preset act at any time."""
    ports = ", ".join(_name(pin) for pin in (*model.inputs, *model.outputs))
    lines = [f"module {_name(model.name)} ({ports});"]
    lines += [f"  input {_name(pin)};" for pin in model.inputs]
    lines += [f"  output {_name(pin)};" for pin in model.outputs]
    if model.flip_flop is not None:
        lines += _register(model.flip_flop)
    lines += [f"  assign {_name(pin)} = {verilog_expression(function)};" for pin, function in model.outputs.items()]
    lines.append("  specify")
    for (source, output), binate in delay_pairs(model).items():
        pin, to = _name(source), _name(output)
        if binate:
            lines += [f"    ({edge} {pin} => ({to} : {pin})) = 0;" for edge in ("posedge", "negedge")]
        else:
            lines.append(f"    ({pin} => {to}) = 0;")
    return "\n".join([*lines, "  endspecify", "endmodule\n"])


def verilog_expression(function: Expression) -> str:
    """A Liberty function as a Verilog expression of one bit."""
    match function:
        case Constant():
            return f"1'b{int(function.value)}"
        case Variable():
            return _name(function.name)
        case Not():
            return f"(~{verilog_expression(function.operand)})"
        case And() | Or() | Xor():
            sign = "&" if isinstance(function, And) else "|" if isinstance(function, Or) else "^"
            return f"({verilog_expression(function.left)} {sign} {verilog_expression(function.right)})"
        case _:
            raise InputTypeError(
                f"function must be an expression of hwmodel.cellfunction, not {type(function).__name__}"
            )


def _register(flop: FlipFlop) -> list[str]:
    """``_stored`` changes at the clock and at the start of a clear or preset; clear wins, as in hwmodel.gatelevel."""
    state, inverse = _name(flop.state), _name(flop.inverse)
    lines = ["  reg _stored = 1'b0;", f"  wire _clock = {verilog_expression(flop.clocked_on)};"]
    forced = [(name, function) for name, function in (("_clear", flop.clear), ("_preset", flop.preset)) if function]
    lines += [f"  wire {name} = {verilog_expression(function)};" for name, function in forced]
    value = "(_stored | _preset)" if flop.preset else "_stored"
    lines.append(f"  wire {state} = {value}{' & ~_clear' if flop.clear else ''};")
    lines.append(f"  wire {inverse} = ~{state};")
    events = " or ".join(["posedge _clock", *(f"posedge {name}" for name, _ in forced)])
    steps = [f"if ({name}) _stored <= 1'b{int(name == '_preset')}; else " for name, _ in forced]
    lines.append(f"  always @({events}) {''.join(steps)}_stored <= {verilog_expression(flop.next_state)};")
    return lines


def _name(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else f"\\{name} "
