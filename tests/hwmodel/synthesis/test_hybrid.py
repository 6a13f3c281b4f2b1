"""Hybrid paths: netlists between full-adder cells and gates compute what they must, and area has no cliff."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from itertools import pairwise, product
from pathlib import Path

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.measurement.dut import _checks, _simulated
from hwmodel.synthesis import hybrid
from hwmodel.synthesis.flow import Workspace
from hwmodel.synthesis.hybrid import Plan
from hwmodel.synthesis.recipes import Recipe, recipe_named
from hwmodel.synthesis.selection import Netlist
from hwmodel.synthesis.sizing import Sizing
from hwmodel.synthesis.sta import PinTimes
from hwmodel.yosys.gates import Gates
from hwmodel.yosys.hybrid import dissolve, name_adders, order_inputs
from rtl.mac import UniformSpec
from rtl.verilog import numbered_verilog

HYBRID = Recipe("hybrid", "brent-kung", "timed", 1.0)
SPEC = UniformSpec(weight_bits=2, activation_bits=2, lanes=3, reduction_length=16)


def workspace(library: Library, spec: UniformSpec = SPEC, jobs: int = 1) -> Workspace:
    return Workspace(numbered_verilog([spec]), spec.name, library, jobs=jobs)


def check(library: Library, fraction: float) -> None:
    """The path's netlist at a fraction of the relaxed period computes the golden sums, and is no netlist of cells."""
    with workspace(library) as work:
        relaxed = work.synthesise(10.0, recipe=Recipe("cell", "brent-kung", "keep"))
        assert relaxed.timing is not None
        result = work.synthesise(1000.0 / (fraction * relaxed.timing.minimum_period_ns), recipe=HYBRID)
    assert result.timing is not None
    assert result.timing.minimum_period_ns < relaxed.timing.minimum_period_ns
    assert library.full_adder is not None
    assert result.cells.get(library.full_adder.cell, 0) < relaxed.cells[library.full_adder.cell]
    for plan in _checks(SPEC):
        _simulated(SPEC, plan, result, library)


def test_netlists_of_a_path_compute_the_golden_sums() -> None:
    check(find_library(), 0.6)  # no cell is left


@pytest.mark.pdk
@pytest.mark.skipif(not os.environ.get("SILIQUANT_PDK_DIR"), reason="SILIQUANT_PDK_DIR names no folder of libraries")
@pytest.mark.parametrize("name", ["sky130hd", "asap7"])
def test_so_they_do_in_other_libraries(name: str) -> None:
    check(find_library(name), 0.75)  # some are


def test_area_grows_in_small_steps_with_the_clock() -> None:
    """Gates in place of all full-adder cells were 40 % larger from one clock to the next."""
    areas = []
    with workspace(find_library()) as work:
        relaxed = work.synthesise(10.0)
        assert relaxed.timing is not None
        for step in range(8):
            result = work.synthesise(1000.0 / (relaxed.timing.minimum_period_ns * 0.95**step))
            assert result.meets_clock
            areas.append(result.area_um2)
    assert max(after / before for before, after in pairwise(areas)) <= 1.08


def test_a_clock_gives_the_same_netlist_whatever_other_clocks_came_before() -> None:
    library = find_library()
    with workspace(library) as work:
        first = [work.synthesise(clock_mhz, recipe=HYBRID) for clock_mhz in (1600.0, 1400.0)]
    with workspace(library, jobs=2) as work:
        second = [work.synthesise(clock_mhz, recipe=HYBRID) for clock_mhz in (1400.0, 1600.0)]
    assert [result.verilog for result in first] == [result.verilog for result in reversed(second)]


class Fake:
    """OpenSTA as far as a path asks it: a netlist takes what was wanted, or the limit where that is more; the adders of
    least slack come first in the alphabet.
    """

    def __init__(self, limit_ns: float) -> None:
        self.limit_ns, self.wanted_ns = limit_ns, 0.0

    def load(self, path: Path, top: str, period_ns: float, clock: str) -> None:
        self.wanted_ns = period_ns

    def slack_ns(self) -> float:
        return min(0.0, self.wanted_ns - self.limit_ns)

    def pin_times(self) -> PinTimes:
        names = [f"adder_{number:02}" for number in range(80)]
        due = {name: {"A": float(number) - 100.0} for number, name in enumerate(names)}
        return PinTimes({name: {"A": 0.0} for name in names}, due)


def test_a_path_goes_back_to_what_met_its_period_and_ends_in_small_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of 4 % down to the limit, six misses with ever more adders dissolved, then steps of 1.5 %, six misses."""
    library = find_library()
    adder = library.full_adder
    assert adder is not None
    kind = adder.cell

    def made(name: str, dissolved: Collection[str]) -> Netlist:
        cells = {f"adder_{number:02}": {"type": kind} for number in range(80)}
        kept = {name: cell for name, cell in cells.items() if name not in dissolved}
        (tmp_path / f"{name}.json").write_text(json.dumps({"modules": {"top": {"cells": kept}}}))
        return Netlist(name, tmp_path / f"{name}.v", 100.0)

    fake, plans = Fake(0.9), []
    monkeypatch.setattr(hybrid, "meet_clock", lambda opensta, _: Sizing({}, opensta.slack_ns(), 0.0))
    monkeypatch.setattr(hybrid, "_period_ns", lambda *_: 1.0)

    def map_by(plan: Plan, number: int) -> Netlist:
        assert number == len(plans)
        plans.append(plan)
        return made(f"round_{number}", plan.dissolved)

    start = made("start", ())
    steps = list(hybrid.follow(fake, library, "top", "clk", start, map_by))  # type: ignore[arg-type]
    wanted = [plan.period_ns for plan in plans]
    missed = [0.96**3] * 6
    little = [0.96**2 * 0.985] + [0.96**2 * 0.985**2] * 6
    assert wanted == pytest.approx([0.96, 0.96**2, *missed, *little])
    gone = [len(plan.dissolved) for plan in plans]
    assert gone == [0, 0, *range(0, 30, 5), 0, *range(0, 30, 5)], "what missed is forgotten"
    assert [step.sized_period_ns for step in steps] == pytest.approx([max(0.9, each) for each in wanted])


def test_recipe_of_a_row_is_found_again() -> None:
    assert HYBRID.name == "hybrid-brent-kung-timed-1"
    assert recipe_named("hybrid-brent-kung-timed-1-sized") == HYBRID


def adder_of(name: str) -> Gates:
    pins = {"a": [2], "b": [3], "c": [4], "sum": [5], "carry": [6]}
    directions = {pin: "output" if pin in ("sum", "carry") else "input" for pin in pins}
    cell = {"type": "siliquant_full_adder", "port_directions": directions, "connections": pins}
    ports = {
        "x": {"direction": "input", "bits": [2, 3, 4]},
        "y": {"direction": "output", "bits": [5, 6]},
    }
    return Gates({"ports": ports, "cells": {name: cell}, "netnames": {}}, {})


def test_dissolved_adders_add() -> None:
    gates = adder_of("f")
    dissolve(gates, ["f"])
    functions = {"$_XOR_": int.__xor__, "$_AND_": int.__and__, "$_OR_": int.__or__}
    for row in product((0, 1), repeat=3):
        values: dict[object, int] = dict(zip((2, 3, 4), row, strict=True))

        def value(bit: object, values: dict[object, int] = values) -> int:
            if bit not in values:
                cell = gates.cells[gates.driver[bit][0]]  # type: ignore[index]
                a, b = (value(cell["connections"][pin][0]) for pin in "AB")
                values[bit] = functions[cell["type"]](a, b)
            return values[bit]

        assert value(5) + 2 * value(6) == sum(row)


def test_inputs_in_another_order_and_names() -> None:
    gates = adder_of("$techmap$7")
    name_adders(gates)
    order_inputs(gates, {"carry_adder_0": ("c", "a", "b")})
    assert [gates.pin("carry_adder_0", pin) for pin in "abc"] == [4, 2, 3]
    assert gates.sinks[4] == {("carry_adder_0", "a", 0): None}
