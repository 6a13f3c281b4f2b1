"""The sum over every single transition, and the rule that is checked against it, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from hwmodel.liberty.models import LibraryCells
from hwmodel.liberty.power import LibraryPower
from hwmodel.liberty.tree import parse_liberty
from hwmodel.power.activity import Waves, simulate
from hwmodel.power.power import PowerReport, netlist_power
from hwmodel.power.transitions import exact_internal_pj_per_cycle
from tests.hwmodel.mapping import netlist_of
from tests.hwmodel.power.edges import edge_tables


def entry(rise: float, fall: float, *, when: str = "", related: str = "") -> str:
    """One internal energy in pJ: that times 1 + slew in ns, and 1 more for each pF of load; inputs have no load."""
    words = [f'when : "{when}";'] * bool(when) + [f"related_pin : {related};"] * bool(related)
    return f"internal_power () {{ {' '.join(words)} {edge_tables('power', rise, fall)} }}"


TEXT = f"""library (made) {{
  nom_voltage : 1; time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf);
  lu_table_template (t) {{ variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
    index_1 ("0, 1"); index_2 ("0, 1"); }}
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
FIRST, SECOND = (0.25, 0.5), (0.125, 0.75)  # slews of rises and falls, ns
LOAD = 0.5  # of every net, pF


def both(waves: Waves, slews_ns: dict[str, tuple[float, float]], text: str = TEXT) -> tuple[float, PowerReport]:
    """pJ a cycle by every transition, and the report of the rule at 10 MHz."""
    power = LibraryPower(LibraryCells(parse_liberty(text)))
    names = [name for each in waves.netlist.net_names for name in each]
    given: dict[str, Any] = {"slews_ns": slews_ns, "loads_ff": dict.fromkeys(names, 1e3 * LOAD)}
    return exact_internal_pj_per_cycle(waves, power, **given), netlist_power(waves, power, **given, clock_mhz=10)


def test_a_flip_flop_edge_by_edge() -> None:
    """The clock rises in the state of the cycle before; data change while it is high, and it falls in the new state."""
    netlist = netlist_of({"clk": [2], "d": [3]}, {"q": [4]}, {"f": ("FF", {"CK": 2, "D": 3, "Q": 4})})
    waves = simulate(netlist, CELLS, {"d": [0, 1, 1, 0, 1, 1]})
    exact_pj, ruled = both(waves, {"f/CK": FIRST, "f/D": SECOND})
    clock = (2 + 1 + 1 + 2 + 1) * 1.25 + (4 + 4 + 8 + 4 + 4) * 1.5
    data = 2 * 16 * 1.125 + 32 * 1.75
    output = (64 + 512 + 64) * 1.375 + 3 * LOAD  # it rises as 1 is stored, in cycles 2 and 5, and falls in cycle 4
    assert exact_pj == pytest.approx((clock + data + output) / 5)
    assert ruled.clock_uw == pytest.approx((clock / 5 + LOAD) * 10)  # the net of the port is charged once a cycle
    shares = {64: 4 / 5, 128: 4 / 5, 256: 1 / 5, 512: 1 / 5}  # of the cycles D is 1 in four
    mean = sum(energy * share for energy, share in shares.items()) / 2 * 1.375 + LOAD
    data = 3 * (16 * 1.125 + 32 * 1.75) / 2
    assert ruled.internal_uw == pytest.approx((data + 3 * mean) / 5 * 10)
    assert ruled.switching_uw == pytest.approx(3 / 5 * LOAD / 2 * 10)


def test_a_gate_by_the_input_that_switches_in_the_state_that_is() -> None:
    """Y falls with B, rises with A, falls with both (their mean); A switches where B is 0, where B is 1, and with B."""
    netlist = netlist_of({"a": [2], "b": [3]}, {"y": [4]}, {"u": ("ND", {"A": 2, "B": 3, "Y": 4})})
    a, b = [1, 1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0, 1]
    waves = simulate(netlist, CELLS, {"a": a, "b": b})
    exact_pj, ruled = both(waves, {"u/A": FIRST, "u/B": SECOND})
    output = 128 * 1.4375 + 16 * 1.375 + (32 * 1.375 + 128 * 1.4375) / 2 + 3 * LOAD
    pin = 2 * 1.5 + 4 * 1.25 + 8 * 1.5 + 1 * 1.25  # A falls at B = 1, rises and falls at B = 0, rises as B does
    assert exact_pj == pytest.approx((output + pin) / 6)
    # By the rule: A changes four times, B is 1 in three of six cycles; so is A, and B changes three times.
    pin = 4 * (3 / 6 * (1 * 1.25 + 2 * 1.5) + 3 / 6 * (4 * 1.25 + 8 * 1.5)) / 2
    of_a, of_b = 4 * 3 / 6, 3 * 3 / 6
    arcs = of_a * (16 + 32) / 2 * 1.375 + of_b * (64 + 128) / 2 * 1.4375
    assert ruled.internal_uw == pytest.approx((pin + 3 * (arcs / (of_a + of_b) + LOAD)) / 6 * 10)
    assert ruled.switching_uw == pytest.approx(3 / 6 * LOAD / 2 * 10)


def test_a_clock_gate_edge_by_edge() -> None:
    """Its enable opens in cycle 2 and closes in cycle 4, while the clock is high: pulses 3 and 4 get through."""
    netlist = netlist_of({"clk": [2], "e": [3]}, {}, {"g": ("ICG", {"CK": 2, "E": 3, "GCK": 4})})
    waves = simulate(netlist, CELLS, {"e": [0, 0, 1, 1, 0, 0]})
    exact_pj, ruled = both(waves, {"g/CK": FIRST, "g/E": SECOND})
    clock = (4 + 4 + 1 + 1 + 4) * 1.25 + (8 + 2 + 2 + 8 + 8) * 1.5
    output = 2 * (256 * 1.25 + LOAD + 512 * 1.5 + LOAD)
    assert exact_pj == pytest.approx((clock + output + 64 * 1.125 + 32 * 1.75) / 5)
    assert ruled.clock_uw == pytest.approx(((clock + output) / 5 + LOAD + 2 / 5 * LOAD) * 10)
    enable = 2 * ((64 * 1.125 + 128 * 1.75) / 4 + (16 * 1.125 + 32 * 1.75) / 4)
    assert ruled.internal_uw == pytest.approx(enable / 5 * 10)
    assert ruled.switching_uw == 0


def test_entries_without_a_state_share_what_is_left() -> None:
    """Two of a clock gate's output: the mean of both."""
    text = TEXT.replace(entry(256, 512, related="CK"), entry(256, 512, related="CK") + entry(64, 32, related="CK"))
    assert text != TEXT
    netlist = netlist_of({"clk": [2], "e": [3]}, {}, {"g": ("ICG", {"CK": 2, "E": "1", "GCK": 4})})
    waves = simulate(netlist, LibraryCells(parse_liberty(text)), {"e": [0, 0, 0]})
    exact_pj, ruled = both(waves, {"g/CK": FIRST, "g/E": SECOND}, text)
    assert exact_pj == pytest.approx(1 * 1.25 + 2 * 1.5 + (256 + 64) / 2 * 1.25 + (512 + 32) / 2 * 1.5 + 2 * LOAD)
    assert ruled.clock_uw == pytest.approx((exact_pj + 2 * LOAD) * 10)
