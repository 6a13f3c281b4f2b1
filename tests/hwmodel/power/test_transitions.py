"""The sum over every single transition, which the rule of power is checked against, by hand."""

from __future__ import annotations

import pytest

from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower
from hwmodel.liberty.tree import parse_liberty
from hwmodel.power.activity import simulate
from hwmodel.power.power import netlist_power
from hwmodel.power.transitions import exact_internal_pj_per_cycle
from tests.hwmodel.mapping import netlist_of


def entry(rise: float, fall: float, *, when: str = "", related: str = "") -> str:
    """One internal energy, the same at every slew and load, in pJ."""
    words = [f'when : "{when}";'] * bool(when) + [f"related_pin : {related};"] * bool(related)
    tables = f'rise_power (scalar) {{ values ("{rise}"); }} fall_power (scalar) {{ values ("{fall}"); }}'
    return f"internal_power () {{ {' '.join(words)} {tables} }}"


TEXT = f"""library (made) {{
  nom_voltage : 1; time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf);
  cell (FF) {{ area : 1; ff (IQ, IQN) {{ next_state : "D"; clocked_on : "CK"; }}
    pin (CK) {{ direction : input; clock : true; capacitance : 0.001;
      {entry(1, 4, when="D")} {entry(2, 8)} }}
    pin (D) {{ direction : input; capacitance : 0.001; {entry(16, 32, when="CK")} {entry(1000, 1000, when="!CK")} }}
    pin (Q) {{ direction : output; function : "IQ";
      {entry(64, 128, when="D", related="CK")} {entry(256, 512, when="!D", related="CK")} }} }}
  cell (ND) {{ area : 1;
    pin (A) {{ direction : input; capacitance : 0.001; {entry(1, 2, when="B")} {entry(4, 8)} }}
    pin (B) {{ direction : input; capacitance : 0.001; }}
    pin (Y) {{ direction : output; function : "!(A & B)";
      {entry(16, 32, when="B", related="A")} {entry(64, 128, when="A", related="B")} }} }}
  cell (ICG) {{ area : 1; clock_gating_integrated_cell : latch_posedge;
    pin (IQ) {{ direction : internal; internal_node : "IQ"; }}
    pin (CK) {{ direction : input; clock : true; capacitance : 0.001; clock_gate_clock_pin : true;
      {entry(1, 2, when="E")} {entry(4, 8)} }}
    pin (E) {{ direction : input; capacitance : 0.001; clock_gate_enable_pin : true;
      {entry(16, 32, when="CK & GCK")} {entry(64, 128, when="CK & !GCK")} {entry(1000, 1000, when="!CK")} }}
    pin (GCK) {{ direction : output; state_function : "CK & IQ"; clock_gate_out_pin : true;
      {entry(256, 512, related="CK")} }} }}
}}"""
CELLS = LibraryCells(parse_liberty(TEXT))
POWER = LibraryPower(CELLS)


def test_a_flip_flop_edge_by_edge() -> None:
    """The clock rises in the state of the cycle before; data change while it is high, and it falls in the new state."""
    netlist = netlist_of({"clk": [2], "d": [3]}, {"q": [4]}, {"f": ("FF", {"CK": 2, "D": 3, "Q": 4})})
    waves = simulate(netlist, CELLS, {"d": [0, 1, 1, 0, 1, 0]})
    given = {"slews_ns": {f"f/{pin}": (0.0, 0.0) for pin in ("CK", "D")}, "loads_ff": {"clk": 0.0, "d": 0.0, "q": 0.0}}
    clock = (2 + 1 + 1 + 2 + 1) + (4 + 4 + 8 + 4 + 8)
    data = 16 + 32 + 16 + 32
    output = 64 + 512 + 64  # it rises as 1 is stored, in cycles 2 and 5, and falls in cycle 4
    exact = exact_internal_pj_per_cycle(waves, POWER, **given)  # type: ignore[arg-type]
    assert exact == pytest.approx((clock + data + output) / 5)
    ruled = netlist_power(waves, POWER, **given, clock_mhz=10)  # type: ignore[arg-type]
    assert ruled.clock_uw == pytest.approx(clock / 5 * 10)
    shares = {64: 3 / 5, 128: 3 / 5, 256: 2 / 5, 512: 2 / 5}  # of the cycles D is 1 in three
    mean = sum(energy * share for energy, share in shares.items()) / 2
    assert ruled.internal_uw == pytest.approx((data + 3 * mean) / 5 * 10)


def test_a_gate_by_the_input_that_switches_in_the_state_that_is() -> None:
    """Y falls with B, rises with A, falls with both (their mean); A switches where B is 0, where B is 1, and with B."""
    netlist = netlist_of({"a": [2], "b": [3]}, {"y": [4]}, {"u": ("ND", {"A": 2, "B": 3, "Y": 4})})
    a, b = [1, 1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0, 1]
    waves = simulate(netlist, CELLS, {"a": a, "b": b})
    given = {"slews_ns": {"u/A": (0.0, 0.0), "u/B": (0.0, 0.0)}, "loads_ff": {"a": 0.0, "b": 0.0, "y": 0.0}}
    output = 128 + 16 + (32 + 128) / 2
    pin = 2 + 4 + 8 + 1  # A falls at B = 1, rises and falls at B = 0, rises as B does
    exact = exact_internal_pj_per_cycle(waves, POWER, **given)  # type: ignore[arg-type]
    assert exact == pytest.approx((output + pin) / 6)


def test_a_clock_gate_edge_by_edge() -> None:
    """Its enable opens in cycle 2 and closes in cycle 4, while the clock is high: pulses 3 and 4 get through."""
    netlist = netlist_of({"clk": [2], "e": [3]}, {}, {"g": ("ICG", {"CK": 2, "E": 3, "GCK": 4})})
    waves = simulate(netlist, CELLS, {"e": [0, 0, 1, 1, 0, 0]})
    names = [name for each in waves.netlist.net_names for name in each]
    given = {"slews_ns": {"g/CK": (0.0, 0.0), "g/E": (0.0, 0.0)}, "loads_ff": dict.fromkeys(names, 0.0)}
    clock = (4 + 8) + (4 + 2) + (1 + 2) + (1 + 8) + (4 + 8)
    output = 2 * (256 + 512)
    exact = exact_internal_pj_per_cycle(waves, POWER, **given)  # type: ignore[arg-type]
    assert exact == pytest.approx((clock + output + 64 + 32) / 5)
    ruled = netlist_power(waves, POWER, **given, clock_mhz=10)  # type: ignore[arg-type]
    assert ruled.clock_uw == pytest.approx((clock + output) / 5 * 10)
    assert ruled.internal_uw == pytest.approx(2 * ((64 + 128) / 4 + (16 + 32) / 4) / 5 * 10)


def test_entries_without_a_state_share_what_is_left() -> None:
    """Two of a clock gate's output: the mean of both."""
    text = TEXT.replace(entry(256, 512, related="CK"), entry(256, 512, related="CK") + entry(64, 32, related="CK"))
    assert text != TEXT
    cells = LibraryCells(parse_liberty(text))
    netlist = netlist_of({"clk": [2], "e": [3]}, {}, {"g": ("ICG", {"CK": 2, "E": "1", "GCK": 4})})
    waves = simulate(netlist, cells, {"e": [0, 0, 0]})
    names = [name for each in waves.netlist.net_names for name in each]
    given = {"slews_ns": {"g/CK": (0.0, 0.0), "g/E": (0.0, 0.0)}, "loads_ff": dict.fromkeys(names, 0.0)}
    exact = exact_internal_pj_per_cycle(waves, LibraryPower(cells), **given)  # type: ignore[arg-type]
    assert exact == pytest.approx(1 + 2 + (256 + 512 + 64 + 32) / 2)
    ruled = netlist_power(waves, LibraryPower(cells), **given, clock_mhz=10)  # type: ignore[arg-type]
    assert ruled.clock_uw == pytest.approx(exact * 10)
