"""The cost of requantisation: the widths asked for, the streams, and a small unit through the whole flow."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodel.comparison.comparison import Answer, Question, measured_answer
from hwmodel.comparison.requantisation import EXACT, mac_question, measured_unit, unit_rows, units
from hwmodel.comparison.tables import UNIT_HEADERS, unit_cells, unit_notes
from hwmodel.library.library import find_library
from hwmodel.measurement.dut import Bench
from hwmodel.measurement.keys import generator_key
from hwmodel.measurement.macs import MacTrial, Measurement
from hwmodel.measurement.requantisers import Unit, UnitMeasurement, choose_unit, known_unit, measure_unit
from hwmodel.measurement.store import RowStore
from hwmodel.operands.requantstimulus import PRODUCTS, RequantPlan, check_outputs, example_layer, requant_stimulus
from hwmodel.operands.stimulus import Mismatch
from hwmodel.placement.place import Placing
from hwmodel.placement.placer import placer_version
from hwmodel.placement.technology import technology_of
from rtl.mac import UniformSpec
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.requant.fit import fit_multiplier

MAC = UniformSpec(weight_bits=2, activation_bits=2, lanes=1)
SMALL: list[LoadableSpec] = [
    ThresholdSpec(accumulator_width=10, bits=2, groups=2),
    MultiplierSpec(accumulator_width=10, bits=2, groups=2, multiplier_width=7, offset_width=14, shift=11),
    PartialSumSpec(accumulator_width=10, groups=2, multiplier_width=3),
]


@pytest.mark.parametrize("bits", sorted(EXACT))
def test_the_widths_are_the_least_that_are_exact_for_the_layer(bits: int) -> None:
    thresholds, low, high = example_layer(bits)
    assert thresholds.shape == (192, 2**bits - 1)
    fitted = fit_multiplier(thresholds, low, high)
    assert not fitted.differing.any()
    assert EXACT[bits] == (fitted.multiplier_width, fitted.offset_width, int(fitted.shifts[0]))
    assert max(-low.min(), high.max()) <= PRODUCTS * 4 ** (bits - 1)


def test_the_layer_fills_its_codes() -> None:
    thresholds, low, high = example_layer(4)
    inside = (thresholds > low[:, None]) & (thresholds <= high[:, None])
    assert inside.all()
    # The steps of the heads are 1, 5/4 and 4/5 of each other.
    step = np.diff(thresholds, axis=1).mean(1).reshape(3, 64).mean(1)
    np.testing.assert_allclose(step / step[0], [1, 1.25, 0.8], rtol=0.01)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.design)
def test_stream_loads_every_set_and_expects_what_the_golden_model_gives(spec: LoadableSpec) -> None:
    plan = RequantPlan(2, cycles=200)
    stimulus = requant_stimulus(spec, plan)
    assert {len(column) for column in stimulus.words.values()} == {204}
    assert set(stimulus.words) == {port.name for port in spec.ports if port.is_input} | {"rst"}
    assert sum(stimulus.words["load_valid"]) == 2
    assert len({*stimulus.words["load_parameters"]}) == 3
    assert set(stimulus.words["group"]) == {0, 1}
    assert sum(stimulus.words["in_valid"]) == 200
    values = {value for _, value in stimulus.expected}
    assert len(values) >= 3
    width = spec.total_width if isinstance(spec, PartialSumSpec) else 2
    result, valid = [0] * 204, [0] * 204
    for cycle, value in stimulus.expected:
        result[cycle], valid[cycle] = value & ((1 << width) - 1), 1
    check_outputs(spec, plan, stimulus, result, valid)
    cycle, value = stimulus.expected[-1]
    result[cycle] ^= 1
    message = f"{spec.name} must give {value} in cycle {cycle} of {plan}, not {value ^ 1} with out_valid 1"
    with pytest.raises(Mismatch, match=f"^{re.escape(message)}$"):
        check_outputs(spec, plan, stimulus, result, valid)


def test_units_of_a_width() -> None:
    asked = units([2, 8], 16)
    assert [(unit.bits, unit.spec.design, unit.spec.groups) for unit in asked] == [
        (2, "thresholds", 1), (2, "thresholds", 3), (2, "multiplier", 1), (2, "multiplier", 3), (2, "partialsum", 3),
        (8, "thresholds", 1), (8, "multiplier", 1), (8, "multiplier", 3), (8, "partialsum", 3),
    ]  # fmt: skip
    assert all(unit.spec.accumulator_width == unit.mac.accumulator_width for unit in asked)
    assert [unit.effort("normal") for unit in asked] == ["normal"] * 5 + ["quick"] + ["normal"] * 3
    with pytest.raises(ValueError, match=r"^requant_bits must be among 2, 3, 4, 8, not 5$"):
        units([5], 16)


def test_a_unit_through_the_whole_flow_and_again_from_the_store(tmp_path: Path) -> None:
    bench = Bench(find_library("freepdk45"), 200.0, "quick", jobs=1)
    rows = []
    for spec in (SMALL[0], SMALL[2]):
        unit, store = Unit(2, spec, MAC), RowStore(tmp_path, packaged=None)
        assert known_unit(unit, bench, store) is None
        made = choose_unit(unit, bench, store)
        assert known_unit(unit, bench, RowStore(tmp_path, packaged=None)) == made
        assert measure_unit(unit, bench, store) == made.chosen
        row = made.chosen.powered
        assert row.meets_clock
        assert row.activity == str(unit.plan)
        assert row.design == spec.design
        # Parameter sets, accumulator, group, valid bits and the result: a flip-flop each.
        kept = spec.groups * spec.parameter_width + spec.accumulator_width + 1 + spec.latency
        result = spec.total_width + 2 if isinstance(spec, PartialSumSpec) else 2
        assert row.histogram["DFF_X1"] == kept + result
        assert row.power_uw is not None
        assert row.power_uw > row.leakage_uw + row.clock_uw > 0
        rows.append(made)
    # The lines of the section, with a multiplier of the same figures, beside a MAC of known area and power.
    rows.insert(1, UnitMeasurement(replace(rows[0].chosen, spec=SMALL[1]), ()))
    mac_row = replace(rows[0].chosen.row, area_um2=100.0)
    precision = mac_question(Unit(2, SMALL[0], MAC)).precisions[0]
    mac = Measurement(MacTrial(MAC, mac_row, {precision: replace(mac_row, power_uw=10.0)}), ())
    answers: dict[LoadableSpec, UnitMeasurement] = dict(zip(SMALL, rows, strict=True))

    def answer_mac(question: Question) -> Answer:
        assert question.spec == MAC
        return measured_answer(mac)

    lines = unit_rows(
        [Unit(2, spec, MAC) for spec in SMALL], lambda unit: measured_unit(answers[unit.spec]), answer_mac
    )
    for line, made in zip(lines, rows, strict=True):
        assert line.area_ratio == made.chosen.row.area_um2 / 100
        assert line.energy_ratio == pytest.approx(made.chosen.powered.power_uw / (10 * PRODUCTS))
        assert line.energy_pj == pytest.approx(made.chosen.powered.power_uw / 200)
        json.dumps(line.__dict__)
    assert [line.multiplier_width for line in lines] == [None, 7, 3]
    assert all(len(cells) == len(UNIT_HEADERS) for cells in unit_cells(lines))
    assert any("2 bits: m 7, b 14, shift 11" in note for note in unit_notes(lines))


@pytest.mark.skipif(placer_version() is None, reason="coloquinte is not installed: it is built for CPython up to 3.12")
def test_a_unit_is_placed(tmp_path: Path) -> None:
    library = find_library("freepdk45")
    bench, unit = Bench(library, 200.0, "quick", jobs=1), Unit(2, SMALL[0], MAC)
    placed_bench = replace(bench, placing=Placing(technology_of(library)))
    store = RowStore(tmp_path, packaged=None)
    plain = measure_unit(unit, bench, store)
    placed = measure_unit(unit, placed_bench, store)
    assert placed.row.wiring is not None
    assert placed.row.area_um2 == plain.row.area_um2
    assert placed.powered.power_uw != plain.powered.power_uw
    assert measure_unit(unit, placed_bench, store) == placed
    assert measure_unit(unit, bench, store) == plain


def test_keys_tell_units_apart() -> None:
    keys = {generator_key(unit.spec) for unit in units([2, 3, 4, 8], 16)}
    assert len(keys) == len(units([2, 3, 4, 8], 16))
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys)
