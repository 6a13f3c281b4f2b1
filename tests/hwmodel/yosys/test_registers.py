"""Names of flip-flops, by which the area of registers is told apart."""

from hwmodel.netlist.area import register_part
from hwmodel.yosys.gates import Gates
from hwmodel.yosys.registers import name_registers


def flip_flop(output: str, bit: int) -> dict[str, object]:
    directions = {"C": "input", "D": "input", output: "output"}
    return {"type": "FLOP", "connections": {"C": [2], "D": [3], output: [bit]}, "port_directions": directions}


def inverter(source: int, bit: int) -> dict[str, object]:
    directions = {"A": "input", "Y": "output"}
    return {"type": "$_NOT_", "connections": {"A": [source], "Y": [bit]}, "port_directions": directions}


def names(cells: dict[str, dict[str, object]], nets: dict[str, list[int]]) -> set[str]:
    module = {"cells": cells, "ports": {}, "netnames": {name: {"bits": bits} for name, bits in nets.items()}}
    gates = Gates(module, {})
    name_registers(gates, {"FLOP"})
    return set(gates.of_type("FLOP"))


def test_a_register_has_the_name_of_its_net() -> None:
    assert names({"x": flip_flop("Q", 10)}, {"weights_q": [9, 10], "n7": [10]}) == {"weights_q_1_reg"}


def test_an_inverted_output_that_is_a_port_does_not_hide_the_register() -> None:
    cells = {"x": flip_flop("QN", 10), "i": inverter(10, 11), "j": inverter(10, 12)}
    found = names(cells, {"accumulator": [10], "n7": [12], "accumulator_q": [11]})
    assert found == {"accumulator_q_reg"}
    assert {register_part(name) for name in found} == {"accumulator_registers_um2"}
