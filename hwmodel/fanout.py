"""Buffer trees on nets that drive many pins."""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.gates import Gates

LARGEST_FANOUT = 24


def split_fanout(gates: Gates, buffer: Sequence[str], clock_pins: set[str], limit: int = LARGEST_FANOUT) -> int:
    """Put buffers into every net with more than `limit` sinks, in layers, and return how many.

    buffer: cell name, input pin, output pin.  Nets that lead to a clock pin of a register, and those
    without a driving cell (inputs), stay as they are: the first are the clock tree's business, the
    second the driving cell's.
    """
    cell, input_pin, output_pin = buffer
    added = 0
    for bit in list(gates.driver):
        while len(gates.sinks[bit]) > limit:
            sinks = list(gates.sinks[bit])
            if any(pin in clock_pins for _, pin, _ in sinks):
                break
            groups = -(-len(sinks) // limit)
            for group in range(groups):
                out = gates.new_bit()
                gates.add(cell, {input_pin: bit}, {output_pin: out})
                for name, pin, index in sinks[group::groups]:
                    gates.connect(name, pin, out, index)
            added += groups
    return added
