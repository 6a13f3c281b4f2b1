"""Buffers: no net drives more pins, or more capacitance, than it may; and what a net says stays the same."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.library.library import find_library
from hwmodel.synthesis.flow import Workspace
from hwmodel.synthesis.recipes import Recipe
from hwmodel.yosys.fanout import LARGEST_FANOUT, split_fanout
from hwmodel.yosys.gates import Gates
from rtl.mac import BitFusionSpec, SubwordSpec
from rtl.spec.mac import MacSpec
from rtl.verilog import numbered_verilog

BUFFER = ("BUF", "A", "Z")
INPUT_FF = {"BUF": {"A": 1.0}, "AND": {"A": 1.0, "B": 2.0}, "BIG": {"A": 30.0}, "FLOP": {"D": 1.0, "CK": 1.0}}
MAXIMUM_FF = {"BUF": {"Z": 50.0}, "INV": {"Y": 20.0}}


def star(kinds: list[tuple[str, str]], driver: str | None = "INV") -> Gates:
    """One net, bit 2, from an inverter or a port to pins of some cells."""
    cells: dict[str, Any] = {}
    if driver:
        cells["driver"] = _cell(driver, {"A": 3}, {"Y": 2})
    for number, (kind, pin) in enumerate(kinds):
        cells[f"sink{number}"] = _cell(kind, {pin: 2}, {"Q": 10 + number})
    ports = {"a": {"direction": "input", "bits": [3 if driver else 2]}}
    return Gates({"ports": ports, "cells": cells, "netnames": {}}, {})


def _cell(kind: str, inputs: dict[str, int], outputs: dict[str, int]) -> dict[str, Any]:
    return {
        "type": kind,
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": {pin: [bit] for pin, bit in (inputs | outputs).items()},
    }


def split(gates: Gates) -> int:
    return split_fanout(gates, BUFFER, {"FLOP"}, {"CK"}, INPUT_FF, MAXIMUM_FF)


def sources(gates: Gates) -> dict[str, object]:
    """What each sink sees, looking through buffers."""
    found: dict[str, object] = {}
    for name, cell in gates.cells.items():
        if cell["type"] in ("BUF", "INV"):
            continue
        bit = next(bits[0] for pin, bits in cell["connections"].items() if cell["port_directions"][pin] == "input")
        while bit in gates.driver and gates.cells[gates.driver[bit][0]]["type"] == "BUF":
            bit = gates.cells[gates.driver[bit][0]]["connections"]["A"][0]
        found[name] = bit
    return found


@given(st.lists(st.sampled_from([("AND", "A"), ("AND", "B"), ("FLOP", "D")]), min_size=1, max_size=400))
def test_nothing_drives_more_than_it_may_and_every_pin_sees_the_same_net(kinds: list[tuple[str, str]]) -> None:
    gates = star(kinds)
    added = split(gates)
    assert len(gates.of_type("BUF")) == added
    assert set(sources(gates).values()) == {2}
    for bit, (driver, pin) in gates.driver.items():
        sinks = gates.sinks[bit]
        assert len(sinks) <= LARGEST_FANOUT
        load_ff = sum(INPUT_FF[gates.cells[name]["type"]][pin_of_sink] for name, pin_of_sink, _ in sinks)
        assert load_ff <= MAXIMUM_FF.get(gates.cells[driver]["type"], {}).get(pin, 1e9)


def test_small_nets_stay_as_they_are() -> None:
    assert split(star([("AND", "A")] * 16)) == 0  # 16 fF are 0.8 of 20
    assert split(star([("AND", "A")] * 17)) == 1


def test_a_net_of_few_heavy_pins_gets_one_buffer() -> None:
    assert split(star([("BIG", "A")])) == 0  # the buffer would be in place of the one pin
    assert split(star([("BIG", "A"), ("AND", "A")])) == 1


def test_clock_nets_and_inputs_stay_as_they_are() -> None:
    assert split(star([("FLOP", "CK")] * 100)) == 0
    assert split(star([("AND", "CK")] * 100)) > 0  # a pin of that name in a cell without a clock
    assert split(star([("AND", "A")] * 100, driver=None)) == 0


@pytest.mark.parametrize("name", ["freepdk45", "sky130hd", "ihp-sg13g2", "asap7"])
@pytest.mark.parametrize("spec", [SubwordSpec(units=3), BitFusionSpec(units=1, widths=(8, 4, 2))])
def test_no_output_of_a_design_drives_more_than_its_library_allows(name: str, spec: MacSpec) -> None:
    if name != "freepdk45" and not os.environ.get("SILIQUANT_PDK_DIR"):
        pytest.skip("SILIQUANT_PDK_DIR is not set")
    library = find_library(name)
    with Workspace(numbered_verilog([spec]), spec.name, library) as workspace:
        result = workspace.synthesise(10.0, recipe=Recipe("cell", "chain", "area"))
    assert result.timing is not None
    module = json.loads(result.netlist)["modules"][spec.name]
    names: dict[int, list[str]] = {}
    for net, found in module["netnames"].items():
        for index, bit in enumerate(found["bits"]):
            names.setdefault(bit, []).append(net if len(found["bits"]) == 1 else f"{net}[{index}]")
    drives: Counter[int] = Counter()
    outputs = []
    for cell in module["cells"].values():
        for pin, (bit,) in cell["connections"].items():
            if pin in library.output_pins[cell["type"]]:
                outputs.append((bit, cell["type"], pin))
            else:
                drives[bit] += 1
    assert any(kind == library.buffer[0] for _, kind, _ in outputs)
    for bit, kind, pin in outputs:
        assert drives[bit] <= LARGEST_FANOUT
        load_ff = max(result.timing.loads_ff.get(net, 0.0) for net in names[bit])
        assert load_ff <= library.maximum_ff[kind][pin], f"{kind}/{pin} drives {load_ff:.1f} fF"
