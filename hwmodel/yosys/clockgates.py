"""Clock gates in front of registers that hold: one cell where each flip-flop would have a multiplexer.

The rule, the same for every design and library: flip-flops of one enable get clock gates where there are at least
FEWEST of them; gates have at most LARGEST_CLOCK_FANOUT clock pins each, of the enable's flip-flops as evenly many as
can be, in the order of the netlist, so that bits of one word stay together. Fewer flip-flops hold by multiplexers, and
so do those with a reset that acts beside their enable, and those of a falling edge. docs/synthesis.md has what FEWEST
follows from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from .gates import Bit, Gates

__all__ = ["FEWEST", "LARGEST_CLOCK_FANOUT", "clock_gates_of", "gate_clocks"]

FEWEST = 4
LARGEST_CLOCK_FANOUT = 24
_HOLDING = {"$_DFFE_PP_": True, "$_DFFE_PN_": False}  # by what of the enable lets them load
_PLAIN = "$_DFF_P_"


def clock_gates_of(flip_flops: int) -> int:
    """How many gates the rule puts in front of so many flip-flops of one enable."""
    return -(-flip_flops // LARGEST_CLOCK_FANOUT) if flip_flops >= FEWEST else 0


def gate_clocks(gates: Gates, cell: Mapping[str, Any]) -> int:
    """Put clock gates in by the rule above; returns how many. cell: the fields of a ClockGateCell."""
    groups: defaultdict[tuple[Bit, Bit, bool], list[str]] = defaultdict(list)
    for kind, high in _HOLDING.items():
        for name in gates.of_type(kind):
            clock, enable = gates.pin(name, "C"), gates.pin(name, "E")
            if isinstance(clock, int) and isinstance(enable, int):
                groups[clock, enable, high].append(name)
    made = 0
    for (clock, enable, high), names in groups.items():
        number = clock_gates_of(len(names))
        opens = enable if high or not number else gates.gate("$_NOT_", enable)
        for place in range(number):
            gated = gates.new_bit()
            ties: dict[str, Bit] = dict.fromkeys(cell["tests"], "0")
            inputs = {cell["clock"]: clock, cell["enable"]: opens, **ties}
            gates.add(cell["cell"], inputs, {cell["output"]: gated}, name=f"clock_gate_{made}")
            made += 1
            for name in names[place * len(names) // number : (place + 1) * len(names) // number]:
                _load_always(gates, name, gated)
    return made


def _load_always(gates: Gates, name: str, clock: Bit) -> None:
    """Make a flip-flop that holds a plain one of another clock."""
    pins = gates.cells[name]["connections"]
    data, output = pins["D"][0], pins["Q"][0]
    gates.remove(name)
    gates.add(_PLAIN, {"C": clock, "D": data}, {"Q": output}, name=name)
