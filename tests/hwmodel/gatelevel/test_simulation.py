"""Netlists beside RTL from power-up on: what is right stays known, and planted faults are seen."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.gatelevel.check import check_gates, recipes_of
from hwmodel.gatelevel.designs import standard_specs
from hwmodel.gatelevel.kept import GateCheck
from hwmodel.gatelevel.simulation import simulate_gates
from hwmodel.gatelevel.stimuli import Word, power_up
from hwmodel.operands.stimulus import Mismatch
from hwmodel.power.icarus import SimulationError, icarus_version
from hwmodel.synthesis.recipes import recipes
from rtl.array import CoreSpec
from rtl.mac import DESIGNS
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, RequantSpec, ThresholdSpec
from rtl.spec import MacSpec, to_signed
from siliquant.inputs import InputError

from .netlists import SMALLEST, SPEC, cells, changed, library, mapped, verilog

icarus = pytest.mark.skipif(icarus_version() is None, reason="Icarus Verilog is not installed")


@icarus
def test_two_designs_are_proved_and_stay_known_from_power_up_on() -> None:
    own = Path(library().files.paths[0]).with_suffix(".v").read_text()
    unit = ThresholdSpec(accumulator_width=6, bits=1, groups=2)
    for spec in (SPEC, unit):
        (found,) = check_gates(spec, library(), [SMALLEST], clock_mhz=100.0, models=own)
        assert isinstance(found, GateCheck)
        assert (found.name, found.design, found.library, found.recipe) == (
            spec.name, spec.design, "freepdk45", "cell-chain-area",
        )  # fmt: skip
        assert found.proved is not None
        assert found.proved.registers > 10
        for seen in (found.unknown, *found.drawn, found.own):
            assert seen is not None
            assert (seen.unknown, seen.lost) == (0, 0)
            assert seen.bits > seen.cycles > 400


@icarus
@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("    valid_q0 <= 1'b0;\n", "", r"out_valid\[0\] in cycle \d+ after power-up is unknown in the netlist"),
        ("if (rst) begin", "if (~rst) begin", "out_valid"),
        (
            "if (valid_q0) acc",
            "if (in_valid) acc",
            r"accumulator\[\d\] in cycle \d+ after power-up is . in the netlist",
        ),
    ],
)
def test_a_faulty_netlist_is_seen(old: str, new: str, found: str) -> None:
    with pytest.raises(Mismatch, match=found):
        simulate_gates(verilog(), mapped(changed(old, new)), cells(), power_up(SPEC))


@icarus
def test_a_sum_that_is_not_cleared_stays_unknown_and_differs_from_states_at_random() -> None:
    netlist, power = mapped(changed("{6{clear_q}} |", "{{5{clear_q}}, 1'b0} |")), power_up(SPEC)
    seen = simulate_gates(verilog(), netlist, cells(), power)
    assert 0 < seen.unknown < seen.bits
    assert seen.lost > 0
    found = []
    for seed in range(4):
        try:
            simulate_gates(verilog(), netlist, cells(), power, seed=seed)
        except Mismatch as error:
            found.append(str(error))
    assert any(
        re.search(r"accumulator\[\d\] in cycle \d+ after power-up is . in the netlist, and .", text) for text in found
    )


@icarus
def test_rtl_that_is_unknown_where_it_is_valid_is_no_reference() -> None:
    text = changed("    valid_q0 <= 1'b0;\n", "")
    with pytest.raises(Mismatch, match=r"out_valid\[0\] in cycle \d+ after power-up is unknown in the RTL, and valid"):
        simulate_gates(text, mapped(text), cells(), power_up(SPEC))


@icarus
def test_nothing_valid_is_unknown_where_nothing_was_unknown_at_first() -> None:
    netlist, power = mapped(verilog()), power_up(SPEC)
    text, count = re.subn(r"(accumulator_q_0_reg \([^;]*\.D\()[^)]*", r"\g<1>1'bz", netlist.verilog)
    assert count == 1
    floating = replace(netlist, verilog=text)
    assert simulate_gates(verilog(), floating, cells(), power).unknown > 0
    with pytest.raises(Mismatch, match=r"accumulator\[0\] in cycle \d+ after power-up is unknown in the netlist"):
        simulate_gates(verilog(), floating, cells(), power, seed=1)


def test_models_of_cells_and_a_seed_are_refused_together() -> None:
    with pytest.raises(InputError, match="either models or seed may be given: cells of other models start unknown"):
        simulate_gates(verilog(), mapped(verilog()), cells(), power_up(SPEC), models="", seed=1)


@icarus
def test_a_simulation_that_takes_too_long_is_an_error_of_the_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwmodel.gatelevel.simulation._SECONDS_LIMIT", 0.001)
    with pytest.raises(SimulationError, match=r"iverilog did not finish in 0\.001 s"):
        simulate_gates(verilog(), mapped(verilog()), cells(), power_up(SPEC))


@pytest.mark.parametrize("spec", standard_specs(), ids=lambda spec: spec.name)
def test_nothing_is_known_at_power_up_and_ports_only_where_they_are_valid(
    spec: MacSpec | LoadableSpec | CoreSpec,
) -> None:
    power = power_up(spec)
    widths = {"rst": 1, **{port.name: port.width for port in spec.ports if port.is_input}}
    unknown = {name: (1 << width) - 1 for name, width in widths.items()}
    known = [{name for name, word in words.items() if word.unknown != unknown[name]} for words in power.cycles]
    assert all(words.keys() == widths.keys() for words in power.cycles)
    assert known[:4] == [set(), set(), {"rst"}, {"rst"}]
    begun = None
    for cycle, words in enumerate(power.cycles[2:], start=2):
        assert all(word.value >> widths[name] == word.unknown >> widths[name] == 0 for name, word in words.items())
        if words["rst"].value:
            assert known[cycle] == {"rst"}
            begun = False
        elif not isinstance(spec, CoreSpec):
            assert words["in_valid"].unknown == 0
            valid = bool(words["in_valid"].value)
            ports = {name for name in widths if name not in ("rst", "in_valid") and not name.startswith("load_")}
            assert known[cycle] & ports == (ports if valid else set())
            start = {"clear", "first"} & ports
            assert begun or not valid or all(words[name].value for name in start)
            begun = begun or valid
    assert len(power.cycles) > 50


@pytest.mark.parametrize(
    "spec", [spec for spec in standard_specs() if isinstance(spec, RequantSpec)], ids=lambda spec: spec.name
)
def test_codes_are_tried_on_both_sides_of_their_steps(spec: RequantSpec) -> None:
    """Of every code: an accumulator just below its step, and just at it; each with many parameter sets."""
    sets: dict[int, list[int]] = {}
    tried: dict[tuple[int, int], int] = {}
    for words in power_up(spec).cycles:
        if words["load_valid"] == Word(1) and words["rst"] == Word(0):
            packed, numbers = words["load_parameters"].value, []
            for item in spec.parameter_fields:
                word = (packed & ((1 << item.width) - 1)) + item.base
                numbers.append(to_signed(word, item.width) if item.low < 0 else word)
                packed >>= item.width
            sets[words["load_group"].value] = numbers
        if words["in_valid"] == Word(1):
            accumulator = to_signed(words["accumulator"].value, spec.accumulator_width)
            parameters = sets[words["group"].value]
            code = int(spec.compute(accumulator, parameters))
            for step in spec.steps(parameters):
                if accumulator in (step - 1, step):
                    tried[code, step - accumulator] = tried.get((code, step - accumulator), 0) + 1
    codes = spec.code_values.values
    assert {each for each, count in tried.items() if count >= 5} == {
        *((code, 0) for code in codes[1:]),
        *((code, 1) for code in codes[:-1]),
    }


def test_what_is_compared_has_every_design_twice_every_unit_and_both_arrays() -> None:
    specs = standard_specs()
    for design in DESIGNS:
        forms = [spec for spec in specs if type(spec) is design]
        assert len(forms) == 2
        assert {spec.pipeline_stages > 0 for spec in forms} == {False, True}
    assert {type(spec) for spec in specs if isinstance(spec, LoadableSpec)} == {
        ThresholdSpec, MultiplierSpec, PartialSumSpec,
    }  # fmt: skip
    assert {spec.systolic for spec in specs if isinstance(spec, CoreSpec)} == {False, True}
    assert len({spec.name for spec in specs}) == len(specs)


def test_designs_in_turn_take_all_recipes() -> None:
    taken = [recipe for number in range(len(standard_specs())) for recipe in recipes_of(library(), number, 2)]
    assert set(taken) == set(recipes("high", has_adder_cell=True))
    assert len(recipes_of(library(), 3, 1000)) == len(set(taken))
