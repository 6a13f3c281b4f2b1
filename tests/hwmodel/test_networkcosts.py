"""Whole networks at the costs of the calibrated model, and their section of the comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hwmodel.comparison import Question, contenders
from hwmodel.estimate import estimate
from hwmodel.modelanswer import ModelAnswers, model_answer
from hwmodel.modelfile import load_model
from hwmodel.networkcosts import costs_of, elements_of
from hwmodel.stimulus import StreamPlan
from hwmodel.workload import Role
from rtl.mac import UniformSpec
from rtl.requant import MultiplierSpec
from rtl.spec import Precision
from tests.hwmodel.test_compare import compare


def test_an_element_costs_what_the_model_says_and_less_while_it_waits() -> None:
    model = load_model("freepdk45")
    spec, precision = UniformSpec(lanes=4), Precision(4, 4, False)
    found = costs_of(model, 500.0, None).mac(spec, precision, Role.FC1)
    said = estimate(spec, model, 500.0, StreamPlan(precision))
    assert found.area_um2 == pytest.approx(said.total_area_um2)
    assert found.energy_pj_per_cycle == pytest.approx(said.energy_pj.sum())
    assert found.leakage_uw == pytest.approx(said.leakage_uw.sum())
    assert 0 < found.idle_pj_per_cycle < found.energy_pj_per_cycle


def test_a_requantiser_costs_something_at_every_clock() -> None:
    unit = MultiplierSpec(accumulator_width=20, bits=4, multiplier_width=13, offset_width=24, shift=19)
    found = costs_of(load_model("freepdk45"), 400.0, None).unit(unit)
    assert found.area_um2 > 500
    assert 0 < found.idle_pj_per_cycle < found.energy_pj


def test_elements_have_the_pipelining_of_their_answer() -> None:
    model = load_model("freepdk45")
    answers = ModelAnswers(model, 500.0, 1)
    designs = contenders(["bitfusion"])
    first, *others = elements_of(16, designs, answers.get)(4)
    assert first == model_answer(Question(UniformSpec(lanes=16), (Precision(4, 4),)), model, 500.0).spec
    assert [spec.design for spec in others] == ["bitfusion", "bitfusion"]
    assert all(spec.pipeline_stages > 0 for spec in others)


def test_the_comparison_of_a_network(tmp_path: Path) -> None:
    done = compare(
        "--bits", "4", "--designs", "subword", "--requant-bits", "none", "--model", "deit-tiny", "--out", str(tmp_path),
        "--off-chip-pj-per-bit", "10",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "deit-tiny, mean of 4 bits" in done.stdout
    assert "published, not ours" in done.stdout
    rows = list(csv.DictReader((tmp_path / "network.csv").read_text().splitlines()))
    assert [(row["design"], row["normalisation"]) for row in rows[:1]] == [("uniform 4x4", "uniform")]
    assert float(rows[0]["accuracy_percent"]) == 74.71
    assert all(row["accuracy_percent"] == "" for row in rows[1:])
    assert all(float(row["off_chip_uj"]) > 0 and float(row["energy_uj"]) > float(row["mac_uj"]) for row in rows)
    assert "deit-tiny" in (tmp_path / "network.md").read_text()
    assert json.loads((tmp_path / "compare.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "lenet"], "lenet"),
        (["--model", "deit-tiny", "--synthesise"], "a network is estimated: model must not be given with synthesise"),
        (["--model", "deit-tiny", "--off-chip-pj-per-bit", "-1"], "off_chip_pj_per_bit must be a positive number"),
    ],
)
def test_bad_networks_are_one_line_and_exit_code_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = compare("--bits", "4", "--designs", "loom", "--requant-bits", "none", *arguments, "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
