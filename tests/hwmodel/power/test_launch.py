"""Inputs change when they are launched: as late as a register's output, and nothing glitches; earlier, and it does."""

from __future__ import annotations

import pytest

from hwmodel.library.sdf import PathDelay
from hwmodel.power.eventsim import count_transitions
from tests.hwmodel.mapping import library_cells, netlist_of


def same(delay_ns: float) -> PathDelay:
    return PathDelay((delay_ns, delay_ns), (delay_ns, delay_ns))


@pytest.mark.parametrize(("launch_ns", "pulses"), [(0.1, 0), (0.0, 8), (0.05, 8), (0.3, 8), (0.09, 0)])
def test_an_input_and_a_register_that_change_together(launch_ns: float, pulses: int) -> None:
    """A register that toggles each cycle with 0.1 ns, XOR an input that does too: pulses as long as they are apart."""
    cells = {
        "low": ("DFF_X1", {"CK": 2, "D": 5, "Q": 4, "QN": 5}),
        "odd": ("XOR2_X1", {"A": 3, "B": 4, "Z": 6}),
    }
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [6]}, cells)
    gate = {("A", "Z"): same(0.03), ("B", "Z"): same(0.03)}
    delays = [{("CK", "Q"): same(0.1), ("CK", "QN"): same(0.1)}, gate]
    found = count_transitions(
        netlist, library_cells("freepdk45"), delays, {"a": [0, 1, 0, 1, 0]}, first=1, cycles=4, launch_ns=launch_ns
    )
    counts = {netlist.net_names[net][0]: count for net, count in found.items()}
    assert (counts["n4"], counts["n6"]) == (4, pulses)
