"""The error that is published: recomputed from the committed tables, for the committed models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwmodel.fit.fitting import Point
from hwmodel.fit.validation import Errors, Prediction, errors_by
from hwmodel.fit.validationtables import (
    TARGETS,
    errors_frame,
    fit_table,
    held_out_groups,
    largest_frame,
    markdown,
    markdown_summary,
    points_of,
    summary,
    validated,
)
from hwmodel.measurement.table import PACKAGED_CALIBRATION, read_calibration
from hwmodel.model.file import known_models, load_model, write_model
from siliquant.inputs import csv_of
from tests.currentflow import each_table_of_this_flow, needs_table_of_this_flow

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = sorted(path.stem for path in PACKAGED_CALIBRATION.glob("*.csv"))


def validate(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "hwmodel.validate", *arguments],
        capture_output=True, text=True, cwd=cwd, env=os.environ, check=False,
    )  # fmt: skip


def test_every_table_has_its_model_and_every_model_its_table() -> None:
    assert LIBRARIES
    assert list(known_models()) == LIBRARIES


@pytest.mark.parametrize("library", each_table_of_this_flow())
def test_the_packaged_model_is_the_fit_to_the_packaged_table(library: str, tmp_path: Path) -> None:
    table = read_calibration(PACKAGED_CALIBRATION / f"{library}.csv")
    write_model(fit_table(table), tmp_path / f"{library}.json")
    again, kept = load_model(library, tmp_path), load_model(library)
    for name in ("area_um2", "leakage_nw", "settled_fj", "glitch_fj", "pulse_fj"):
        one, other = getattr(again.coefficients, name), getattr(kept.coefficients, name)
        assert np.allclose(one, other, rtol=1e-4, atol=1e-4 * other.max()), name
    for name in ("relaxed_ns", "fastest_ns"):
        one, other = getattr(again.coefficients, name), getattr(kept.coefficients, name)
        most = max(other.values())
        assert all(one[step] == pytest.approx(other[step], rel=1e-3, abs=1e-3 * most) for step in other), name
    assert again.provenance == kept.provenance


@pytest.mark.parametrize("library", LIBRARIES)
def test_held_out_designs_are_a_quarter_at_least_and_none_was_fitted(library: str) -> None:
    points = points_of(read_calibration(PACKAGED_CALIBRATION / f"{library}.csv"))
    held_out = {point.spec for point in points if point.held_out}
    fitted = {point.spec for point in points if not point.held_out}
    assert not held_out & fitted
    assert len(held_out) >= len(held_out | fitted) / 4
    assert sum(bool(point.held_out) for point in points) >= len(points) / 4


def held_out_errors(library: str) -> dict[str, dict[str, Errors]]:
    """By group (MACs, arrays) and quantity."""
    found = validated(PACKAGED_CALIBRATION / f"{library}.csv", ROOT / "hwmodel" / "data" / "models")
    return {name: summary(group) for name, group in held_out_groups(found).items()}


@pytest.mark.parametrize("library", LIBRARIES)
def test_errors_on_held_out_designs_are_below_those_of_both_baselines(library: str) -> None:
    for group in held_out_errors(library).values():
        for one in group.values():
            assert one.mean[0] < min(one.mean[1:])


MISSED = {
    "freepdk45": {
        ("MACs", "area", "mean"), ("MACs", "area", "largest"), ("MACs", "power", "largest"),
        ("MACs", "period", "largest"), ("arrays", "power", "mean"), ("arrays", "power", "largest"),
        ("arrays", "period", "largest"),
    },
}  # fmt: skip
"""What misses TARGETS; docs/data/validate-largest.csv names the points."""


@pytest.mark.parametrize("library", each_table_of_this_flow())
def test_errors_on_held_out_designs_are_those_aimed_at_but_for_known_ones(library: str) -> None:
    groups = held_out_errors(library)
    assert set(groups) == {"MACs", "arrays"}
    assert groups["arrays"]["area"].points == 22, "eleven arrays at two clocks each"
    missed = set()
    for group, errors in groups.items():
        for quantity, (mean, largest) in TARGETS.items():
            found = errors[quantity]
            missed |= {(group, quantity, "mean")} if found.mean[0] > mean else set()
            missed |= {(group, quantity, "largest")} if found.largest[0] > largest else set()
    assert missed == MISSED.get(library, set())


@needs_table_of_this_flow("freepdk45")
def test_the_documentation_shows_the_summary_that_the_command_prints() -> None:
    models = ROOT / "hwmodel" / "data" / "models"
    found = {name: validated(PACKAGED_CALIBRATION / f"{name}.csv", models) for name in LIBRARIES}
    text = (ROOT / "docs" / "calibration.md").read_text()
    shown = text[text.index("<!-- validate:begin -->") : text.index("<!-- validate:end -->")]
    assert markdown_summary(found).strip() in shown
    assert markdown(found, "design", 5).startswith(markdown_summary(found))
    assert "python -m hwmodel.validate --cost-models hwmodel/data/models --format csv" in text
    assert (ROOT / "docs" / "data" / "validate-errors.csv").read_text() == csv_of(errors_frame(found, "design"))


def test_the_files_have_the_errors_of_the_table() -> None:
    done = validate("--library", LIBRARIES[0], "--by", "library", "--format", "csv")
    assert done.returncode == 0, done.stderr
    header, held_out, fitted = (line.split(",") for line in done.stdout.splitlines())
    line = dict(zip(header, held_out, strict=True))
    assert (line["library"], line["designs"], line["fit"], fitted[2]) == (LIBRARIES[0], "all", "held out", "fitted")
    found = {LIBRARIES[0]: validated(PACKAGED_CALIBRATION / f"{LIBRARIES[0]}.csv")}
    errors = summary(found[LIBRARIES[0]].of(True))
    for quantity, one in errors.items():
        assert float(line[f"{quantity}_model_mean_percent"]) == pytest.approx(one.mean[0], abs=0.05)
        assert float(line[f"{quantity}_polynomial_largest_percent"]) == pytest.approx(one.largest[2], abs=0.05)
    largest = largest_frame(found, 2)
    assert list(largest["quantity"]) == ["area", "area", "power", "power", "period", "period"]
    for quantity, one in errors.items():
        most = largest[largest["quantity"] == quantity]["error_percent"].abs().max()
        assert most == pytest.approx(one.largest[0], abs=0.05)


def prediction(area: float, said: float, held_out: str = "lanes") -> Prediction:
    from hwmodel.operands.stimulus import StreamPlan
    from rtl.mac import UniformSpec
    from rtl.spec.mac import Precision

    spec = UniformSpec(lanes=int(area))
    point = Point(spec, StreamPlan(Precision(4, 4)), 10.0, held_out, area, 1.0, True, "r", 1.0, 1.0, 1.0, 1.0)
    return Prediction(point, (area, said, 2 * area, area), (1.0, 1.5, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0))


def test_errors_are_means_and_maxima_of_relative_ones() -> None:
    found = errors_by([prediction(10, 11), prediction(20, 14)], lambda each: "all")["all"]
    assert found["area"] == Errors(2, (pytest.approx(20), pytest.approx(100), 0.0), (pytest.approx(30), 100.0, 0.0))
    assert found["power"].mean[0] == pytest.approx(50)


def test_a_netlist_under_two_streams_counts_once_for_area_and_twice_for_power() -> None:
    same = prediction(10, 11)
    found = errors_by([same, same], lambda each: "all")["all"]
    assert (found["area"].points, found["period"].points, found["power"].points) == (1, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--worst", "many"], "worst must be an integer from 0 to 1000, not 'many'"),
        (["--format", "csv", "--worst", "3"], "--worst must be given with --format table or markdown only"),
        (["--library", "nosuch"], f"{PACKAGED_CALIBRATION / 'nosuch.csv'}: there is no such file"),
        (["--calibration", "."], "calibration must be a folder of tables, but . holds none"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = validate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"hwmodel.validate: error: {sentence}\n"


def test_the_command_prints_errors_and_the_worst_points() -> None:
    done = validate("--library", LIBRARIES[0], "--by", "reason", "--worst", "2")
    assert done.returncode == 0, done.stderr
    assert "held out" in done.stdout
    assert f"largest errors of power, {LIBRARIES[0]}, held out:" in done.stdout
