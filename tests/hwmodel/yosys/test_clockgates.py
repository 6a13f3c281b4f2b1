"""Clock gates in front of registers that hold: how many, where, and that nothing else changes."""

from typing import Any

import pytest

from hwmodel.yosys.clockgates import clock_gates_of, gate_clocks
from hwmodel.yosys.gates import Gates

CELL = {"cell": "ICG", "clock": "CK", "enable": "EN", "output": "GCK", "tests": ["SE", "TE"]}


def module(*groups: tuple[str, int, int, int]) -> Gates:
    """Flip-flops of some types: type, number, clock and enable; data and outputs have nets of their own."""
    cells: dict[str, Any] = {}
    bit = 100
    for kind, number, clock, enable in groups:
        for place in range(number):
            pins: dict[str, list[int | str]] = {"C": [clock], "E": [enable], "D": [bit], "Q": [bit + 1]}
            directions = {pin: "output" if pin == "Q" else "input" for pin in pins}
            name = f"{kind}{clock}_{enable}_{place}"
            cells[name] = {"type": kind, "connections": pins, "port_directions": directions, "parameters": {}}
            bit += 2
    return Gates({"cells": cells, "ports": {}, "netnames": {}}, {})


@pytest.mark.parametrize(
    ("flip_flops", "gates"), [(0, 0), (3, 0), (4, 1), (24, 1), (25, 2), (48, 2), (49, 3), (1000, 42)]
)
def test_how_many_gates_an_enable_gets(flip_flops: int, gates: int) -> None:
    assert clock_gates_of(flip_flops) == gates
    made = module(("$_DFFE_PP_", flip_flops, 2, 3))
    assert gate_clocks(made, CELL) == gates
    assert len(made.of_type("ICG")) == gates
    assert len(made.of_type("$_DFF_P_")) == (flip_flops if gates else 0)
    clocked = [len(made.sinks[made.pin(name, "GCK") or ""]) for name in made.of_type("ICG")]
    assert sum(clocked) == (flip_flops if gates else 0)
    if gates:
        assert max(clocked) <= 24
        assert max(clocked) - min(clocked) <= 1


def test_each_clock_and_enable_has_gates_of_its_own() -> None:
    made = module(("$_DFFE_PP_", 5, 2, 3), ("$_DFFE_PP_", 4, 2, 4), ("$_DFFE_PP_", 4, 9, 3), ("$_DFFE_PP_", 3, 2, 5))
    assert gate_clocks(made, CELL) == 3
    found = {(made.pin(name, "CK"), made.pin(name, "EN")) for name in made.of_type("ICG")}
    assert found == {(2, 3), (2, 4), (9, 3)}
    assert all(made.pin(name, pin) == "0" for name in made.of_type("ICG") for pin in ("SE", "TE"))
    assert len(made.of_type("$_DFFE_PP_")) == 3, "too few for a gate"


def test_a_low_enable_is_inverted_once() -> None:
    made = module(("$_DFFE_PN_", 30, 2, 3))
    assert gate_clocks(made, CELL) == 2
    (inverter,) = made.of_type("$_NOT_")
    assert made.pin(inverter, "A") == 3
    assert {made.pin(name, "EN") for name in made.of_type("ICG")} == {made.pin(inverter, "Y")}


def test_data_outputs_and_names_stay_and_words_stay_together() -> None:
    made = module(("$_DFFE_PP_", 40, 2, 3))
    before = {name: (made.pin(name, "D"), made.pin(name, "Q")) for name in made.cells}
    gate_clocks(made, CELL)
    assert {name: (made.pin(name, "D"), made.pin(name, "Q")) for name in before} == before
    gates = [made.driver[made.pin(f"$_DFFE_PP_2_3_{place}", "C") or ""][0] for place in range(40)]
    assert gates == ["clock_gate_0"] * 20 + ["clock_gate_1"] * 20
    assert made.sinks[3].keys() == {(name, "EN", 0) for name in ("clock_gate_0", "clock_gate_1")}


@pytest.mark.parametrize("kind", ["$_DFF_P_", "$_DFFE_NP_", "$_DFFE_NN_", "$_SDFFE_PP0P_", "$_SDFFCE_PP0P_"])
def test_other_registers_are_left_alone(kind: str) -> None:
    """Those of the falling edge, and those with a reset beside their enable, keep their multiplexers."""
    made = module((kind, 30, 2, 3))
    assert gate_clocks(made, CELL) == 0
    assert len(made.of_type(kind)) == 30


def test_an_enable_that_is_constant_needs_no_gate() -> None:
    made = module(("$_DFFE_PP_", 8, 2, 3))
    for name in made.of_type("$_DFFE_PP_"):
        made.connect(name, "E", "1")
    assert gate_clocks(made, CELL) == 0
