"""Runs of machines on random inputs: a difference that needs no guess of which register is which.

The RTL starts with all registers unknown (X, as in a simulator), the netlist in states at random. An output that the
RTL then knows has that value in every run of the RTL. A netlist that shows another one does what the RTL never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from .aig import Aig
from .machine import Inputs, Machine

__all__ = ["drawn_inputs", "real_difference"]

_CASES = 256  # runs side by side
_CYCLES = 64


def drawn_inputs(
    inputs: Inputs, random: Random, cases: int, cycles: int, reset: str = "rst"
) -> Iterator[dict[int, int]]:
    """Of each cycle the values of all inputs by literal, a bit a case; two cycles of reset, then few of them."""
    ones = (1 << cases) - 1
    for cycle in range(cycles):
        drawn = {literal: random.getrandbits(cases) for literals in inputs.values() for literal in literals}
        for literal in inputs.get(reset, ()):
            seldom = ones if cycle < 2 else drawn[literal]
            for _ in range(4):
                seldom &= ones if cycle < 2 else random.getrandbits(cases)
            drawn[literal] = seldom
        yield drawn


def real_difference(graph: Aig, rtl: Machine, gates: Machine, inputs: Inputs) -> str | None:
    """An output bit and a cycle in which the netlist shows what the RTL does not, whatever that held at first; None
    where random runs from a reset show no such thing. The machines share the graph and inputs, and no registers.
    """
    random, ones = Random(4), (1 << _CASES) - 1
    state = {register.holds: (ones, ones) for register in rtl.registers}  # may be 0, may be 1
    for register in gates.registers:
        drawn = random.getrandbits(_CASES)
        state[register.holds] = (drawn ^ ones, drawn)
    for cycle, given in enumerate(drawn_inputs(inputs, random, _CASES, _CYCLES)):
        values = graph.possible_values({literal: (bits ^ ones, bits) for literal, bits in given.items()} | state, ones)

        def possible(literal: int, values: list[tuple[int, int]] = values) -> tuple[int, int]:
            low, high = values[literal >> 1]
            return (high, low) if literal & 1 else (low, high)

        for name, literals in gates.outputs.items():
            for place, literal in enumerate(literals):
                (low, high), (other_low, other_high) = possible(rtl.outputs[name][place]), possible(literal)
                if ones & ~(low & other_low | high & other_high):
                    return f"output {name}[{place}] in cycle {cycle} after power-up"
        state = {each.holds: possible(each.takes) for machine in (rtl, gates) for each in machine.registers}
    return None
