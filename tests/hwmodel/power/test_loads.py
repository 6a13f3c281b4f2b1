"""Loads and slews that are estimated from the library: input pins and ports, and mean transitions, by hand."""

from __future__ import annotations

import pytest

from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower
from hwmodel.liberty.tree import parse_liberty
from hwmodel.power.activity import simulate
from hwmodel.power.loads import estimated_loads_ff, estimated_slews_ns
from tests.hwmodel.mapping import library_cells, netlist_of
from tests.hwmodel.power.edges import edge_tables


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


def arc(related: str, rise: float, fall: float) -> str:
    """Transition times in ns: that times 1 + slew, and 1 more for each pF of load."""
    tables = edge_tables("transition", rise, fall)
    return f"timing () {{ related_pin : {related}; {tables} cell_rise (scalar) {{ values (9); }} }}"


TEXT = f"""library (made) {{
  nom_voltage : 1; time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf);
  lu_table_template (t) {{ variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0, 1"); index_2 ("0, 1"); }}
  cell (FF) {{ area : 1; ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK"; }}
    pin (CK) {{ direction : input; clock : true; capacitance : 0.001; }}
    pin (D) {{ direction : input; capacitance : 0.001; }}
    pin (Q) {{ direction : output; function : "IQ"; {arc("CK", 2, 4)} }} }}
  cell (ND) {{ area : 1;
    pin (A) {{ direction : input; capacitance : 0.001; }} pin (B) {{ direction : input; capacitance : 0.001; }}
    pin (Y) {{ direction : output; function : "!(A & B)"; {arc("A", 0.5, 1)} {arc("B", 2, 0.5)} }} }}
  cell (NEG) {{ area : 1; pin (A) {{ direction : input; capacitance : 0.001; }}
    pin (Y) {{ direction : output; function : "!A"; {arc("A", -9, -9)} }} }}
  cell (BARE) {{ area : 1; pin (A) {{ direction : input; capacitance : 0.001; }}
    pin (Y) {{ direction : output; function : "!A"; }} }}
}}"""


def test_a_slew_is_the_mean_over_the_arcs_of_what_drives_it() -> None:
    """Each arc at the slew of its own pin; never below 0, and that of the inputs where nothing is known."""
    cells = LibraryCells(parse_liberty(TEXT))
    netlist = netlist_of(
        {"clk": [2], "a": [3]},
        {"y": [6, 7, 8]},
        {
            "f": ("FF", {"CK": 2, "D": 3, "Q": 4}),
            "last": ("ND", {"A": 4, "B": 5, "Y": 6}),
            "first": ("ND", {"A": 3, "B": 4, "Y": 5}),
            "low": ("NEG", {"A": 3, "Y": 7}),
            "bare": ("BARE", {"A": 6, "Y": 8}),
        },
    )
    waves = simulate(netlist, cells, {"a": [0, 1]})
    loads_ff = {name: 125.0 for each in netlist.net_names for name in each}
    found = estimated_slews_ns(waves, LibraryPower(cells), loads_ff, input_slew_ns=0.25, clock_slew_ns=0.5)
    q = (2 + 4) / 2 * (1 + 0.5) + 0.125
    first = ((0.5 + 1) * (1 + 0.25) + (2 + 0.5) * (1 + q)) / 4 + 0.125
    last = ((0.5 + 1) * (1 + q) + (2 + 0.5) * (1 + first)) / 4 + 0.125
    wanted = {
        "f/CK": 0.5, "f/D": 0.25, "f/Q": q, "first/A": 0.25, "first/B": q, "first/Y": first, "last/A": q,
        "last/B": first, "last/Y": last, "low/A": 0.25, "low/Y": 0.0, "bare/A": last, "bare/Y": 0.25,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == {
        name: (pytest.approx(slew), pytest.approx(slew)) for name, slew in wanted.items()
    }
    ideal = estimated_slews_ns(waves, LibraryPower(cells), {}, input_slew_ns=0.25)
    assert ideal["f/CK"] == (0.0, 0.0)
    assert ideal["f/Q"] == (pytest.approx(3.0), pytest.approx(3.0)), "no load is known"
