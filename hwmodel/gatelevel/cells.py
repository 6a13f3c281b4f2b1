"""Simulation models of library cells that know what is unknown: nothing is stored before the first edge of a clock.

Gates are expressions, as :func:`hwmodel.library.cell_verilog` writes them. What stores is stricter than a Verilog
register of RTL: an edge that may have been one leaves what it would have changed unknown.
"""

from __future__ import annotations

from hwmodel.library import CellModel, ClockGate, FlipFlop, cell_verilog, verilog_expression
from siliquant.inputs import verilog_name

__all__ = ["SEED", "cell_model"]

SEED = "bench.seed"
"""The variable that random states are drawn with."""


def cell_model(model: CellModel, *, random: bool = False) -> str:
    """The module of one cell. random: what it stores is 0 or 1 at first, drawn with :data:`SEED`, and not unknown."""
    flop, gate = model.flip_flop, model.clock_gate
    if flop is None and gate is None:
        return cell_verilog(model)
    ports = ", ".join(verilog_name(pin) for pin in (*model.inputs, *model.outputs))
    lines = [f"module {verilog_name(model.name)} ({ports});"]
    lines += [f"  input {verilog_name(pin)};" for pin in model.inputs]
    lines += [f"  output {verilog_name(pin)};" for pin in model.outputs]
    lines += ["  reg _stored;", *([f"  initial #0.001 _stored = $random({SEED});"] if random else [])]
    if gate is not None:
        return "\n".join([*lines, *_gate(gate), "endmodule\n"])
    assert flop is not None
    lines += _flip_flop(flop)
    lines += [f"  assign {verilog_name(pin)} = {verilog_expression(text)};" for pin, text in model.outputs.items()]
    return "\n".join([*lines, "endmodule\n"])


def _gate(gate: ClockGate) -> list[str]:
    """The enable, or a test pin, is followed while the clock is low, and not known where the clock is not."""
    clock = verilog_name(gate.clock)
    opens = " | ".join(verilog_name(pin) for pin in (gate.enable, *gate.tests))
    return [
        f"  wire _opens = {opens};",
        f"  always @({clock} or _opens) if ({clock} === 1'b0) _stored = _opens;",
        f"  else if ({clock} !== 1'b1 && _stored !== _opens) _stored = 1'bx;",
        f"  assign {verilog_name(gate.output)} = {clock} & _stored;",
    ]


def _flip_flop(flop: FlipFlop) -> list[str]:
    """It loads at an edge; where there may have been one, it is unknown, unless it would have loaded what it has."""
    state, inverse = verilog_name(flop.state), verilog_name(flop.inverse)
    forced = [(name, function) for name, function in (("_clear", flop.clear), ("_preset", flop.preset)) if function]
    lines = [f"  wire {name} = {verilog_expression(function)};" for name, function in forced]
    value = f"{'(_stored | _preset)' if flop.preset else '_stored'}{' & ~_clear' if flop.clear else ''}"
    steps = [f"if ({name} !== 1'b0) _stored <= {name} === 1'b1 ? 1'b{int(name == '_preset')} : 1'bx; else "
             for name, _ in forced]  # fmt: skip
    return [
        *lines,
        f"  wire _clock = {verilog_expression(flop.clocked_on)};",
        f"  wire _next = {verilog_expression(flop.next_state)};",
        f"  wire {state} = {value};",
        f"  wire {inverse} = ~{state};",
        "  reg _before;",
        f"  always @({' or '.join(['_clock', *(name for name, _ in forced)])}) begin",
        f"    {''.join(steps)}if (_clock === 1'b1 && _before === 1'b0) _stored <= _next;",
        "    else if (_clock !== 1'b0 && _before !== 1'b1 && _clock !== _before && _next !== _stored) _stored <= 1'bx;",
        "    _before = _clock;",
        "  end",
    ]
