"""Simulation models of library cells in Verilog, for delays from SDF.

    `timescale 1ns/1fs
    module XOR2_X1 (A, B, Z); ...
      specify (posedge A => (Z : A)) = 0; (negedge A => (Z : A)) = 0; ... endspecify
    endmodule

:func:`numbered` gives a cell, its pins and its states numbers for names, so that none of a library's reaches a
simulator.

An unconditional specify path for each input that can change an output: one, or two where the output
can follow the input as well as oppose it, since the two may take very different times (sum outputs of
full adders) and Icarus Verilog 11 takes no conditional delays from SDF.  Registers start at 0, as in
hwmodel.power.activity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from hwmodel.liberty import And, CellModel, ClockGate, Constant, Expression, FlipFlop, Not, Or, Variable, Xor
from siliquant.inputs import InputTypeError, verilog_name

__all__ = ["TIMESCALE", "cell_verilog", "delay_pairs", "numbered", "senses", "verilog_expression"]

TIMESCALE = "`timescale 1ns/1fs\n"


def delay_pairs(model: CellModel) -> dict[tuple[str, str], bool]:
    """The (input, output) pin pairs that have a delay; True where the output can both follow and oppose.

    Of a gate every input that changes an output; of a flip-flop the pins of its clock, clear and preset. Of a clock
    gate none: the clock is ideal, and comes to all registers at once, gated or not.
    """
    flop = model.flip_flop
    if model.clock_gate is not None:
        return {}
    if flop is not None:
        sources = [function.names for function in (flop.clocked_on, flop.clear, flop.preset) if function is not None]
        return {(pin, output): False for output in model.outputs for pin in sorted(frozenset().union(*sources))}
    pairs = {}
    for output, function in model.outputs.items():
        for pin in sorted(function.names):
            follows, opposes = senses(function, pin, input_columns(sorted(function.names - {pin})))
            if follows or opposes:
                pairs[pin, output] = bool(follows and opposes)
    return pairs


def input_columns(names: Sequence[str]) -> dict[str, int]:
    """The truth-table column of each input: bit r is its value in row r."""
    return dict(zip(names, _columns(len(names)), strict=True))


@lru_cache(maxsize=32)
def _columns(inputs: int) -> tuple[int, ...]:
    rows = range(1 << inputs)
    return tuple(sum((row >> place & 1) << row for row in rows) for place in range(inputs))


def senses(function: Expression, pin: str, others: Mapping[str, int]) -> tuple[int, int]:
    """The rows of ``others`` (columns of all other inputs) in which the output follows the pin, and opposes it."""
    ones = (1 << (1 << len(others))) - 1
    high, low = (function.evaluate({**others, pin: value}, ones) for value in (ones, 0))
    return high & ~low, low & ~high


def cell_verilog(model: CellModel) -> str:
    """The module of one cell: a gate, a clock gate, or a flip-flop whose clear and preset act at any time."""
    ports = ", ".join(verilog_name(pin) for pin in (*model.inputs, *model.outputs))
    lines = [f"module {verilog_name(model.name)} ({ports});"]
    lines += [f"  input {verilog_name(pin)};" for pin in model.inputs]
    lines += [f"  output {verilog_name(pin)};" for pin in model.outputs]
    if model.flip_flop is not None:
        lines += _register(model.flip_flop)
    if model.clock_gate is not None:
        return "\n".join([*lines, *_clock_gate(model.clock_gate), "endmodule\n"])
    lines += [
        f"  assign {verilog_name(pin)} = {verilog_expression(function)};" for pin, function in model.outputs.items()
    ]
    lines.append("  specify")
    for (source, output), binate in delay_pairs(model).items():
        pin, to = verilog_name(source), verilog_name(output)
        if binate:
            lines += [f"    ({edge} {pin} => ({to} : {pin})) = 0;" for edge in ("posedge", "negedge")]
        else:
            lines.append(f"    ({pin} => {to}) = 0;")
    return "\n".join([*lines, "  endspecify", "endmodule\n"])


def numbered(model: CellModel, number: int) -> tuple[CellModel, Mapping[str, str]]:
    """The same cell named ``cell<number>`` with inputs i0, i1, ..., outputs o0, ..., states s0 and s1; and by what name
    each pin and state goes there.
    """
    names = {pin: f"i{index}" for index, pin in enumerate(model.inputs)}
    names |= {pin: f"o{index}" for index, pin in enumerate(model.outputs)}
    flop, gate = model.flip_flop, model.clock_gate
    if gate is not None:
        tests = tuple(names[pin] for pin in gate.tests)
        gate = ClockGate(names[gate.clock], names[gate.enable], names[gate.output], tests)
    if flop is not None:
        names |= {flop.state: "s0", flop.inverse: "s1"}
        flop = FlipFlop(
            state="s0",
            inverse="s1",
            next_state=_renamed(flop.next_state, names),
            clocked_on=_renamed(flop.clocked_on, names),
            clear=flop.clear and _renamed(flop.clear, names),
            preset=flop.preset and _renamed(flop.preset, names),
        )
    renamed = replace(
        model,
        name=f"cell{number}",
        capacitance_pf={names[pin]: value for pin, value in model.capacitance_pf.items()},
        outputs={names[pin]: _renamed(function, names) for pin, function in model.outputs.items()},
        flip_flop=flop,
        clock_gate=gate,
    )
    return renamed, names


def _renamed(function: Expression, names: Mapping[str, str]) -> Expression:
    match function:
        case Variable():
            return Variable(names[function.name])
        case Not():
            return Not(_renamed(function.operand, names))
        case And() | Or() | Xor():
            return type(function)(_renamed(function.left, names), _renamed(function.right, names))
        case _:
            return function


def verilog_expression(function: Expression) -> str:
    """A Liberty function as a Verilog expression of one bit."""
    match function:
        case Constant():
            return f"1'b{int(function.value)}"
        case Variable():
            return verilog_name(function.name)
        case Not():
            return f"(~{verilog_expression(function.operand)})"
        case And() | Or() | Xor():
            sign = "&" if isinstance(function, And) else "|" if isinstance(function, Or) else "^"
            return f"({verilog_expression(function.left)} {sign} {verilog_expression(function.right)})"
        case _:
            raise InputTypeError(f"function must be an expression of hwmodel.liberty, not {type(function).__name__}")


def _clock_gate(gate: ClockGate) -> list[str]:
    """``_open`` follows the enable, or a test pin, while the clock is low."""
    clock, output = verilog_name(gate.clock), verilog_name(gate.output)
    opens = " | ".join(verilog_name(pin) for pin in (gate.enable, *gate.tests))
    return [
        "  reg _open = 1'b0;",
        f"  always @* if (~{clock}) _open = {opens};",
        f"  assign {output} = {clock} & _open;",
    ]


def _register(flop: FlipFlop) -> list[str]:
    """``_stored`` changes at the clock and at the start of a clear or preset; clear wins, as in
    hwmodel.netlist.evaluate."""
    state, inverse = verilog_name(flop.state), verilog_name(flop.inverse)
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
