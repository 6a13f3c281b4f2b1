"""Every term of an estimate, and that they add up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.comparison import Question, model_answer
from hwmodel.explain import as_json, main
from hwmodel.fit.explanation import explain
from hwmodel.fit.explanationtables import print_explanation
from hwmodel.fit.validationtables import points_of
from hwmodel.measurement.table import packaged_calibration
from hwmodel.model.file import load_model
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import BitFusionSpec, UniformSpec
from rtl.spec.mac import MacSpec, Precision

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("spec", [UniformSpec(lanes=8), BitFusionSpec(units=1, pipeline_stages=1)])
def test_the_terms_add_up_to_the_estimate_without_pressure(spec: MacSpec) -> None:
    model = load_model("freepdk45")
    points = points_of(packaged_calibration("freepdk45"))
    found = explain(spec, StreamPlan(Precision(4, 4)), model, 10.0, points)
    assert found.cost.pressure == 0
    assert sum(term.area_um2 for term in found.parts) == pytest.approx(found.cost.total_area_um2)
    assert sum(term.leakage_nw for term in found.parts) == pytest.approx(1e3 * found.cost.leakage_uw.sum())
    assert sum(term.energy_fj for term in found.parts) == pytest.approx(1e3 * found.cost.energy_pj.sum())
    assert sum(term.ns for term in found.relaxed_steps) == pytest.approx(found.relaxed.ns)
    assert sum(term.ns for term in found.fastest_steps) == pytest.approx(found.fastest.ns)
    assert found.relaxed.ns == pytest.approx(found.cost.minimum_period_ns, rel=1e-6)
    assert all(term.fitted_designs > 0 for term in found.parts)
    assert set(found.errors) == {"area", "power", "period"}


def test_idle_power_is_shown_where_the_model_knows_clock_gates(capsys: pytest.CaptureFixture[str]) -> None:
    model, points = load_model("freepdk45"), points_of(packaged_calibration("freepdk45"))
    for still_fj, said in ((None, False), (3.0, True)):
        gates = replace(model.coefficients, gate_fj=still_fj, still_fj=still_fj)
        found = explain(UniformSpec(), StreamPlan(Precision(4, 4)), replace(model, coefficients=gates), 10.0, points)
        print_explanation(found)
        line = f"power without operands {found.cost.idle_uw:,.1f} uW"
        assert (line in capsys.readouterr().out) is said
        assert as_json(found)["idle_uw"] == (found.cost.idle_uw if said else None)


def test_a_measured_design_is_its_own_nearest() -> None:
    points = points_of(packaged_calibration("freepdk45"))
    first = next(point for point in points if isinstance(point.spec, MacSpec))
    spec = first.mac
    found = explain(spec, first.plan, load_model("freepdk45"), 100.0, points, neighbours=3)
    assert found.neighbours[0].point.spec == spec
    assert found.neighbours[0].distance == 0
    distances = [near.distance for near in found.neighbours]
    assert distances == sorted(distances)


def test_errors_are_of_the_family_where_it_was_held_out() -> None:
    points = points_of(packaged_calibration("freepdk45"))
    families = {point.spec for point in points if point.held_out == "family"}
    spec = min(families, key=lambda one: one.name)
    plan = next(point.plan for point in points if point.spec == spec)
    assert explain(spec, plan, load_model("freepdk45"), 10.0, points).errors_of == f"held-out {spec.design}"


def test_the_command_as_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--design", "bitfusion", "--bits", "4", "--units", "1"]
    main(arguments)
    shown = capsys.readouterr().out
    for word in ("full adders", "clock pressure", "longest path of the smallest", "nearest measured designs"):
        assert word in shown
    main([*arguments, "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    chosen = model_answer(Question(BitFusionSpec(units=1), (Precision(4, 4),)), load_model("freepdk45"), 500.0).spec
    assert data["spec"] == chosen.name  # with the stages and in the form that a comparison gives it
    assert data["meets_clock"]
    # The tables have the numbers of the JSON: of a path every step that takes time, and all of them together.
    for step in data["relaxed_steps"]:
        assert not step["ns"] or re.search(rf"^{re.escape(step['step'])} .* {step['ns']:.3f}\b", shown, re.MULTILINE)
    assert re.search(rf"^all +{data['relaxed_path_ns']:.2f} +{data['fastest_path_ns']:.2f}$", shown, re.MULTILINE)
    for part in data["parts"]:
        assert re.search(rf"^{re.escape(part['part'])} .* {part['area_um2']:,.1f} ", shown, re.MULTILINE)
        assert re.search(rf"^{re.escape(part['part'])} .* {part['energy_fj']:,.0f} +[\d.]+$", shown, re.MULTILINE)
    assert data["activity"].startswith("uniform, seed 0, w4a4s")
    assert {"area_um2", "power_uw", "minimum_period_ns", "expected_error_percent", "neighbours"} <= set(data)


def test_stages_that_are_given_stay(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--design", "bitfusion", "--bits", "4", "--units", "1", "--pipeline-stages", "0", "--format", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["spec"] == "bitfusion_u1_w842"


@pytest.mark.parametrize(("length", "sums"), [("4", 4), ("767", 767), ("768", 768), ("4096", 768)])
def test_the_operands_are_those_that_run(length: str, sums: int, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--reduction-length", length, "--neighbours", "0"])
    assert f"w4a4s, sums of {sums} products, " in capsys.readouterr().out
    main(["--reduction-length", length, "--neighbours", "0", "--format", "json"])
    assert f", sums of {sums} products, " in json.loads(capsys.readouterr().out)["activity"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--design", "bitfusion", "--bits", "3"], "precision must be one of w8a8s, w8a8u"),
        (["--clock-mhz", "0"], "clock_mhz must be a number from 0.001 to 1e+06, not '0'"),
        (["--bits", "four"], "bits must be an integer, not 'four'"),
        (["--neighbours", "-1"], "neighbours must be an integer from 0 to 1000, not '-1'"),
        (["--stream", "noise"], "stream must be one of uniform, lsq-gaussian, minilm, vit-mnist, not 'noise'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hwmodel.explain", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"hwmodel.explain: error: {sentence}")
    assert done.stderr.count("\n") == 1
