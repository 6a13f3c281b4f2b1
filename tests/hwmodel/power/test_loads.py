"""Loads that are estimated from the library: input pins and ports, summed by hand."""

from __future__ import annotations

import pytest

from hwmodel.power.loads import estimated_loads_ff
from tests.hwmodel.mapping import library_cells, netlist_of


def test_a_net_has_the_pins_and_ports_on_it() -> None:
    """BUF_X1 A 0.974659 fF, XOR2_X1 A 2.23214 fF and B 2.41145 fF: NangateOpenCellLibrary, typical."""
    cells = {
        "b": ("BUF_X1", {"A": 3, "Z": 4}),
        "x": ("XOR2_X1", {"A": 3, "B": 4, "Z": 5}),
        "last": ("BUF_X1", {"A": 5, "Z": 6}),
    }
    netlist = netlist_of({"clk": [2], "a": [3]}, {"y": [4, 6]}, cells)
    found = estimated_loads_ff(netlist, library_cells("freepdk45"), 7.0)
    pins = {name: library_cells("freepdk45")[name].capacitance_pf for name in ("BUF_X1", "XOR2_X1")}
    buffer, a, b = 1e3 * pins["BUF_X1"]["A"], 1e3 * pins["XOR2_X1"]["A"], 1e3 * pins["XOR2_X1"]["B"]
    assert (buffer, a, b) == pytest.approx((0.974659, 2.23214, 2.41145), rel=1e-4)
    wanted = {"clk": 0.0, "a": buffer + a, "n4": b + 7.0, "n5": buffer, "n6": 7.0}
    assert {name: found[name] for name in wanted if name in found} == pytest.approx(
        {name: load for name, load in wanted.items() if name in found}
    )
    assert len([name for name in wanted if name in found]) >= 4
    assert estimated_loads_ff(netlist, library_cells("freepdk45"))["n6" if "n6" in found else "y[1]"] == 0.0
