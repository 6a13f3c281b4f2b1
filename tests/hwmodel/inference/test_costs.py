"""Whole networks at the costs of the calibrated model, and their section of the comparison."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.comparison.comparison import contenders
from hwmodel.inference.costs import costs_of, elements_of
from hwmodel.model.arrays import core_cost, core_counts, drain_takes
from hwmodel.model.features import PARTS
from hwmodel.model.file import load_model
from hwmodel.model.requantisers import unit_cost
from hwmodel.model.structure import Part
from hwmodel.operands.requantstimulus import RequantPlan
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.workload import standard_mixture
from hwmodel.workload.workload import Role
from rtl.array import Architecture, CoreSpec, ElementSpec
from rtl.mac import BitSerialSpec, SubwordSpec, UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.test_compare import compare


@pytest.mark.parametrize("architecture", Architecture)
@pytest.mark.parametrize("mac", [UniformSpec(lanes=4), SubwordSpec(units=1), BitSerialSpec(units=4, pipeline_stages=1)])
def test_the_parts_of_an_array_cost_what_the_array_does(mac: MacSpec, architecture: Architecture) -> None:
    """Elements, rows, columns, what is shared, and sums that drain, against the core of the array as a whole."""
    model, plan = load_model("freepdk45"), StreamPlan(Precision(8, 8) if mac.design != "uniform" else Precision(4, 4))
    core = CoreSpec(mac=mac, rows=5, columns=3, architecture=architecture)
    found = costs_of(model, 300.0, None, rows=5, columns=3).mac(core.element, plan.precision, Role.FC1)
    said = core_cost(core, plan, model, 300.0)
    cycles = -(-768 // mac.products_per_step(plan.precision)) * mac.cycles_per_step(plan.precision)
    drained_pj = 3 * drain_takes(5, core.systolic, drain=5) * found.drain_pj / cycles
    # Later stages of the bits that say what operands are, at the end of each row, are in none of the parts.
    more = 5 * (mac.pipeline_stages + mac.latency - 1) if core.systolic else 0
    flip_flop = Part.CONTROL_REGISTERS
    each_um2 = said.by_part()[flip_flop][0] / core_counts(core)[PARTS.index(flip_flop)]
    assert found.core_um2(5, 3) + more * each_um2 == pytest.approx(said.total_area_um2, rel=1e-9)
    assert found.core_pj_per_cycle(5, 3) + drained_pj == pytest.approx(said.energy_pj.sum(), rel=5e-3)
    assert found.core_leakage_uw(5, 3) == pytest.approx(said.leakage_uw.sum(), rel=5e-3)
    assert found.minimum_period_ns == said.minimum_period_ns
    assert 0 < found.core_idle_pj_per_cycle(5, 3) < found.core_pj_per_cycle(5, 3)
    assert (found.row.area_um2 > 0) is not core.systolic


def test_a_requantiser_costs_something_at_every_clock() -> None:
    unit = MultiplierSpec(accumulator_width=20, bits=4, multiplier_width=13, offset_width=24, shift=19)
    found = costs_of(load_model("freepdk45"), 400.0, None).unit(unit)
    assert found.area_um2 > 500
    assert 0 < found.idle_pj_per_cycle < found.energy_pj


def test_an_array_has_16_rows_and_columns_where_none_are_given() -> None:
    """So many elements have another fan-out than one row or column more."""
    model, precision = load_model("freepdk45"), Precision(1, 1)
    element = ElementSpec(mac=UniformSpec(weight_bits=1, activation_bits=1, lanes=4), systolic=False)
    plain, same, other, taller = (
        costs_of(model, 500.0, None, **sides).mac(element, precision, Role.FC1)
        for sides in ({}, {"rows": 16, "columns": 16}, {"columns": 17}, {"rows": 17})
    )
    assert plain == same
    assert other.minimum_period_ns != plain.minimum_period_ns != taller.minimum_period_ns


def test_elements_have_the_pipelining_that_an_array_needs() -> None:
    """At least that of a MAC by itself, whose operand registers drive one datapath."""
    model = load_model("freepdk45")
    designs = contenders(["bitfusion", "subword"])
    alone = elements_of(16, designs, model, 500.0, rows=1, columns=1)(4, standard_mixture(4))
    inside = elements_of(16, designs, model, 500.0, rows=32, columns=32)(4, standard_mixture(4))
    assert [replace(spec, pipeline_stages=0) for spec in alone] == [replace(spec, pipeline_stages=0) for spec in inside]
    assert all(one.pipeline_stages <= other.pipeline_stages for one, other in zip(alone, inside, strict=True))
    assert alone[0].design == "uniform"
    assert all(spec.pipeline_stages > 0 for spec in inside if spec.design == "bitfusion")


def test_elements_and_requantisers_have_two_stages_at_most() -> None:
    """At clocks that ask for as many as there are."""
    model = load_model("freepdk45")
    found = elements_of(1, contenders(["bitfusion"]), model, 800.0)(4, standard_mixture(4))
    assert {spec.pipeline_stages for spec in found} <= {0, 1, 2}
    assert max(spec.pipeline_stages for spec in found) == 2
    unit = MultiplierSpec(accumulator_width=20, bits=4, multiplier_width=13, offset_width=24, shift=19)
    fastest = min(
        unit_cost(replace(unit, pipeline_stages=stages), RequantPlan(4), model, 3000.0).minimum_period_ns
        for stages in range(3)
    )
    assert costs_of(model, 3000.0, None).unit(unit).minimum_period_ns == fastest
    partial = PartialSumSpec(accumulator_width=32)
    plans = {bits: unit_cost(partial, RequantPlan(bits), model, 100.0).energy_pj.sum() for bits in (7, 8)}
    assert costs_of(model, 100.0, None).unit(partial).energy_pj == plans[8] != plans[7]


def test_the_comparison_of_a_network(tmp_path: Path) -> None:
    done = compare(
        "--bits", "4", "--designs", "subword", "--requant-bits", "none", "--model", "deit-tiny", "--out", str(tmp_path),
        "--off-chip-pj-per-bit", "10",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deit-tiny, mean of 4 bits" in done.stdout
    assert "Published accuracy, uniform, not ours: 74.71 % at 4 bits." in done.stdout
    rows = list(csv.DictReader((tmp_path / "network.csv").read_text().splitlines()))
    assert [(row["design"], row["normalisation"]) for row in rows[:1]] == [("uniform 4x4", "uniform")]
    assert float(rows[0]["accuracy_percent"]) == 74.71
    assert all(row["accuracy_percent"] == "" for row in rows[1:])
    assert all(float(row["off_chip_uj"]) > 0 and float(row["energy_uj"]) > float(row["mac_uj"]) for row in rows)
    assert "deit-tiny" in (tmp_path / "network.md").read_text()
    assert json.loads((tmp_path / "compare.json").read_text())


def test_the_comparison_of_a_network_of_ones_own(tmp_path: Path) -> None:
    """Of a table of GEMMs: no accuracy was published of it, though a network of the package has its name."""
    own = tmp_path / "deit-tiny.csv"
    own.write_text(
        "name,layer,m,k,n,count,heads\n0.query,0,17,96,96,1,3\n0.scores,0,17,32,17,3,3\n0.fc1,0,17,96,384,1,\n"
    )
    out = str(tmp_path / "o")
    done = compare("--bits", "4", "--designs", "subword", "--requant-bits", "none", "--model", str(own), "--out", out)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "o" / "network.csv").read_text().splitlines()))
    assert {(row["model"], row["accuracy_percent"]) for row in rows} == {("deit-tiny", "")}
    assert "not ours" not in done.stdout
    # A pass over 17 x 96, 16 rows and columns at a time, takes K / 16 lanes cycles with operands; more with loads.
    least = 2 * 6 * 6 + 3 * 2 * 2 * 2 + 2 * 24 * 6
    assert least / 500 < float(rows[0]["latency_us"]) < 5 * least / 500


def test_longer_sums_than_those_of_the_packaged_networks(tmp_path: Path) -> None:
    """Accumulators and operand memories grow to hold them; what no array holds is named."""
    own = tmp_path / "long.csv"
    own.write_text("name,m,k,n,count\n0.fc2,17,5120,96,1\n")
    given = ["--bits", "4", "--designs", "subword", "--requant-bits", "none", "--model", str(own)]
    done = compare(*given, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "network.csv").read_text().splitlines()))
    assert {row["element"] for row in rows[:1]} == {"uniform_w4_a4_l16_k5120"}
    said = "Operand memories of the uniform array: {}, to hold a tile of the longest sums ({} products)."
    depths, longest = ("activation_depth_words", "weight_depth_words"), "longest_sum"
    assert [rows[0][name] for name in (*depths, longest)] == ["512", "512", "5120"]
    assert "Operand memories" not in done.stdout
    area_um2 = float(rows[0]["sram_area_um2"])
    own.write_text("name,m,k,n,count\n0.fc2,17,16001,96,1\n")
    done = compare(*given, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "out" / "network.csv").read_text().splitlines()))
    assert [rows[0][name] for name in (*depths, longest)] == ["1001", "1001", "16001"]
    note = said.format("1,001 words, not 512", "16,001")
    assert note in " ".join(done.stdout.split())
    assert note in (tmp_path / "out" / "network.md").read_text()
    assert float(rows[0]["sram_area_um2"]) > area_um2
    own.write_text("name,m,k,n,count\n0.fc2,17,70000,96,1\n")
    done = compare("--bits", "8", *given[2:], "--out", str(tmp_path / "out"))
    said = (
        "0.fc2: accumulators of uniform_w8_a8_l16_k70000_p1 for sums of 70000 products must have at most the 32 bits "
        "of a result, not 33"
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, f"hwmodel.compare: error: {said}")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "lenet"], "lenet"),
        (["--model", "deit-tiny", "--synthesise"], "a network is estimated: model must not be given with synthesise"),
        (
            ["--model", "deit-tiny", "--off-chip-pj-per-bit", "-1"],
            "off_chip_pj_per_bit must be a number from 1e-06 to 1e+06",
        ),
    ],
)
def test_bad_networks_are_one_line_and_exit_code_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = compare("--bits", "4", "--designs", "loom", "--requant-bits", "none", *arguments, "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
