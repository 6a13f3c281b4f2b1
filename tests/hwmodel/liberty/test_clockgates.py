"""Which cells of a Liberty file gate clocks: by what they state, in every library, and none that states otherwise."""

import pytest

from hwmodel.liberty import ClockGate, LibraryCells, parse_liberty, read_clock_gate

PLAIN = """library (x) { capacitive_load_unit (1, ff); cell (ICG) {
  area : 3; clock_gating_integrated_cell : latch_posedge;
  statetable ("CK E", "IQ") { table : "L L : - : L , L H : - : H , H - : - : N"; }
  pin (IQ) { direction : internal; internal_node : "IQ"; }
  pin (CK) { direction : input; capacitance : 2; clock_gate_clock_pin : true; }
  pin (E) { direction : input; capacitance : 1; clock_gate_enable_pin : true; }
  pin (GCK) { direction : output; state_function : "(CK & IQ)"; clock_gate_out_pin : true; } } }"""
TESTED = PLAIN.replace("latch_posedge;", "latch_posedge_precontrol;").replace(
    "pin (GCK)", "pin (SE) { direction : input; capacitance : 1; clock_gate_test_pin : true; }\n  pin (GCK)"
)


def gate(text: str) -> ClockGate | None:
    (cell,) = parse_liberty(text).group_iter("cell")
    return read_clock_gate(cell)


def test_pins_are_found_by_what_they_state() -> None:
    assert gate(PLAIN) == ClockGate("CK", "E", "GCK")
    assert gate(TESTED) == ClockGate("CK", "E", "GCK", ("SE",))


def test_a_gate_of_a_latch_with_a_function_serves_too() -> None:
    text = PLAIN.replace("state_function", "function").replace('"(CK & IQ)"', '"IQ CK"')
    assert gate(text) == ClockGate("CK", "E", "GCK")
    assert gate(text.replace('function : "IQ CK";', "")) == ClockGate("CK", "E", "GCK")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clock_gating_integrated_cell : latch_posedge;", ""),
        ("latch_posedge;", "latch_negedge;"),
        ("latch_posedge;", "none_posedge;"),
        ("latch_posedge;", "latch_posedge_postcontrol;"),
        ("latch_posedge;", "latch_posedge_precontrol;"),
        ("clock_gate_enable_pin : true;", ""),
        ("clock_gate_enable_pin : true;", "clock_gate_clock_pin : true;"),
        ("clock_gate_enable_pin : true;", "clock_gate_enable_pin : true; clock_gate_test_pin : true;"),
        ("clock_gate_enable_pin : true;", "clock_gate_test_pin : true;"),
        ("clock_gate_out_pin : true;", "clock_gate_enable_pin : true;"),
        ('"(CK & IQ)"', '"(CK | IQ)"'),
        ('"(CK & IQ)"', '"(CK & E)"'),
        ('"(CK & IQ)"', '"(!CK & IQ)"'),
        ('"(CK & IQ)"', '"(IQ & IQ)"'),
        ('"(CK & IQ)"', '"CK &"'),
        ("pin (GCK)", "pin (D) { direction : input; } pin (GCK)"),
    ],
)
def test_what_is_no_such_gate(old: str, new: str) -> None:
    assert old in PLAIN
    assert gate(PLAIN.replace(old, new)) is None


def test_its_model_is_low_while_the_clock_is() -> None:
    model = LibraryCells(parse_liberty(TESTED))["ICG"]
    assert model.clock_gate == ClockGate("CK", "E", "GCK", ("SE",))
    assert model.inputs == ("CK", "E", "SE")
    assert model.capacitance_pf == {"CK": 2e-3, "E": 1e-3, "SE": 1e-3}
    values = [model.outputs["GCK"].evaluate({"CK": clock, "E": enable}, 1) for clock in (0, 1) for enable in (0, 1)]
    assert values == [0, 0, 0, 1]


def test_a_gate_that_does_not_serve_cannot_be_simulated() -> None:
    cells = LibraryCells(parse_liberty(PLAIN.replace("latch_posedge;", "latch_negedge;")))
    with pytest.raises(ValueError, match="must be combinational or a flip-flop, but it has a statetable group"):
        cells["ICG"]
