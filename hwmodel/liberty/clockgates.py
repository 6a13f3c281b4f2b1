"""Integrated clock gates of a Liberty file: cells that let a clock pulse through or hold it back.

Liberty states what they do by name, in ``clock_gating_integrated_cell`` (Liberty User Guide, under that attribute), and
each pin's part by a flag. Those of two names serve here: a latch that is open while the clock is low keeps the enable,
and the output is the clock while the latch holds 1.

    latch_posedge               clock, enable, output
    latch_posedge_precontrol    the same with test pins, which force the enable and are tied to 0
"""

from __future__ import annotations

from dataclasses import dataclass

from siliquant.inputs import InputError

from .functions import And, Variable, parse_function
from .tree import Group, named_pins

__all__ = ["ClockGate", "read_clock_gate"]

GATE_KIND = "clock_gating_integrated_cell"
"""The attribute of a cell that says what clock gate it is."""
GATE_KINDS = ("latch_posedge", "latch_posedge_precontrol")
"""What it says of those that serve."""
_PARTS = {
    "clock_gate_clock_pin": "input",
    "clock_gate_enable_pin": "input",
    "clock_gate_out_pin": "output",
    "clock_gate_test_pin": "input",
}


@dataclass(frozen=True, slots=True)
class ClockGate:
    """The pins of a clock gate. tests: those to be tied to 0."""

    clock: str
    enable: str
    output: str
    tests: tuple[str, ...] = ()


def read_clock_gate(cell: Group) -> ClockGate | None:
    """The cell as a clock gate; None for every other cell, and for a gate that does not serve.

    Such is one of another kind, with a pin that states no part or more than one, with a function of its output that is
    not the clock and what is stored, or with test pins that its kind has not.
    """
    try:
        kind = cell.text(GATE_KIND).strip()
        parts: dict[str, list[str]] = {part: [] for part in _PARTS}
        for name, pin in named_pins(cell):
            direction = pin.text("direction")
            if direction == "internal":
                continue
            stated = [part for part in _PARTS if pin.flag(part)]
            if len(stated) != 1 or _PARTS[stated[0]] != direction:
                return None
            parts[stated[0]].append(name)
            if direction == "output" and not _is_gated_clock(cell, pin):
                return None
    except InputError:
        return None
    clocks, enables, outputs, tests = (parts[part] for part in _PARTS)
    if kind not in GATE_KINDS or [len(clocks), len(enables), len(outputs)] != [1, 1, 1]:
        return None
    if bool(tests) != kind.endswith("precontrol"):
        return None
    return ClockGate(clocks[0], enables[0], outputs[0], tuple(sorted(tests)))


def _is_gated_clock(cell: Group, output: Group) -> bool:
    """Whether the function of the output, where one is stated, is the and of the clock and of a stored value."""
    text = output.text("state_function") or output.text("function")
    if not text:
        return True
    function = parse_function(text)
    if not isinstance(function, And):
        return False
    inputs = {name for name, pin in named_pins(cell) if pin.text("direction") == "input"}
    clocks = {name for name, pin in named_pins(cell) if pin.flag("clock_gate_clock_pin")}
    both = (function.left, function.right)
    names = {side.name for side in both if isinstance(side, Variable)}
    return len(names) == 2 and len(names & clocks) == 1 and len(names & inputs) == 1
