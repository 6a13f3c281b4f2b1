"""Buffers on nets that drive many pins, or more capacitance than the library allows the cell that drives them."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence

from .gates import Bit, Gates

__all__ = ["LARGEST_FANOUT", "split_fanout"]

LARGEST_FANOUT = 24
_OF_PINS = 0.8  # of the largest load; the rest is for wires

Capacitances = Mapping[str, Mapping[str, float]]


def split_fanout(
    gates: Gates,
    buffer: Sequence[str],
    clocked: Container[str],
    clock_pins: Container[str],
    input_ff: Capacitances,
    maximum_ff: Capacitances,
) -> int:
    """Put buffers, in layers, into every net with more than LARGEST_FANOUT sinks or too large a load; returns how many.

    buffer: cell name, input pin, output pin. input_ff, maximum_ff: by cell and pin, the capacitance of inputs and what
    outputs may drive, in fF; outputs without a maximum drive any load. clocked, clock_pins: cells with a clock, and the
    names of their clock pins, which other cells may have, too. Nets that lead to a clock pin of a register, and those
    without a driving cell (inputs), stay as they are: the first are the clock tree's business, the second the driving
    cell's.
    """
    cell, input_pin, output_pin = buffer

    def load_ff(bit: Bit) -> float:
        kinds = ((gates.cells[name]["type"], pin) for name, pin, _ in gates.sinks[bit])
        return sum(input_ff.get(kind, {}).get(pin, 0.0) for kind, pin in kinds)

    def allowed_ff(kind: str, pin: str) -> float:
        return _OF_PINS * maximum_ff.get(kind, {}).get(pin, math.inf)

    added = 0
    for bit, (driver, pin) in list(gates.driver.items()):
        may_ff = allowed_ff(gates.cells[driver]["type"], pin)
        while len(gates.sinks[bit]) > LARGEST_FANOUT or load_ff(bit) > may_ff:
            sinks = list(gates.sinks[bit])
            if any(pin in clock_pins and gates.cells[name]["type"] in clocked for name, pin, _ in sinks):
                break
            groups = max(-(-len(sinks) // LARGEST_FANOUT), math.ceil(load_ff(bit) / allowed_ff(cell, output_pin)))
            if groups >= len(sinks):
                break  # buffers would be no lighter than what they drive
            for group in range(groups):
                out = gates.new_bit()
                gates.add(cell, {input_pin: bit}, {output_pin: out})
                for name, pin_of_sink, index in sinks[group::groups]:
                    gates.connect(name, pin_of_sink, out, index)
            added += groups
    return added
