"""A library of one's own in the commands that estimate: by its file or its name, with a model from a folder."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from hwmodel import compare, explain, validate
from hwmodel.library import find_library
from hwmodel.measurement import PACKAGED_CALIBRATION
from hwmodel.model import PACKAGED_MODELS, load_model
from reports.numbers.requantisers import requantisers
from siliquant.commandline import run
from tests.currentflow import needs_rows_of_this_flow

SMALL = ["--bits", "4", "--designs", "loom", "--requant-bits", "4"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The default library as my.lib, and its model and calibration as those of a library "my", as hwmodel.calibrate
    writes them.
    """
    (tmp_path / "models").mkdir()
    shutil.copyfile(find_library().path, tmp_path / "my.lib")
    model = json.loads((PACKAGED_MODELS / "freepdk45.json").read_text()) | {"library": "my"}
    (tmp_path / "models" / "my.json").write_text(json.dumps(model))
    for suffix in ("csv", "json"):
        text = (PACKAGED_CALIBRATION / f"freepdk45.{suffix}").read_text()
        (tmp_path / f"my.{suffix}").write_text(text.replace('"library": "freepdk45"', '"library": "my"'))
    return tmp_path


def rows(folder: Path, name: str = "compare.csv") -> list[dict[str, str]]:
    return list(csv.DictReader((folder / name).read_text().splitlines()))


@pytest.mark.parametrize("by", ["file", "name"])
def test_compare_estimates_with_the_model_of_a_folder(by: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    which = ["--liberty", str(own / "my.lib")] if by == "file" else ["--library", "my"]
    given = [*SMALL, "--model", "vit-mnist", "--cost-models", str(own / "models")]
    compare.main([*given, *which, "--out", str(own / by)])
    assert "measuring" not in capsys.readouterr().err
    theirs = ["--cost-models", str(PACKAGED_MODELS)]  # The model alone, without what was measured.
    compare.main([*SMALL, "--model", "vit-mnist", *theirs, "--out", str(own / "packaged")])
    for name in ("compare.csv", "requantisation.csv"):
        mine, packaged = rows(own / by, name), rows(own / "packaged", name)
        assert {row["library"] for row in mine if "library" in row} <= {"my"}
        if name == "compare.csv":
            assert [row | {"library": "my"} for row in packaged] == mine
    # The packaged memories are of one technology, which a library of one's own is not known to have.
    (first, *_), (other, *_) = rows(own / by, "network.csv"), rows(own / "packaged", "network.csv")
    assert (float(first["sram_area_um2"]), float(other["sram_area_um2"]) > 0) == (0, True)
    assert first["logic_area_um2"] == other["logic_area_um2"]


@needs_rows_of_this_flow
def test_requantisers_of_a_report_are_estimated_for_a_library_of_ones_own(own: Path) -> None:
    mine = load_model("my", own / "models")
    (first, *_), (theirs, *_) = (requantisers(each, 500.0, 16) for each in (mine, load_model("freepdk45")))
    assert (first.basis, theirs.basis) == ("estimated", "measured")


@pytest.mark.parametrize("by", ["file", "name"])
def test_explain_of_a_library_of_ones_own(by: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    which = ["--liberty", str(own / "my.lib")] if by == "file" else ["--library", "my"]
    given = ["--bits", "3", "--format", "json", "--neighbours", "1"]
    explain.main([*given, *which, "--cost-models", str(own / "models"), "--calibration", str(own)])
    mine = json.loads(capsys.readouterr().out)
    explain.main(given)
    assert mine == json.loads(capsys.readouterr().out) | {"library": "my"}


def test_validate_of_a_library_of_ones_own(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validate.main(["--library", "my", "--cost-models", str(own / "models"), "--calibration", str(own), "--worst", "0"])
    assert "my" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--liberty", "my.lib", "--cost-models", "models"],
         "my.lib must be the file that the cost model of my was fitted to (SHA-256 0f936d453c0a), not another ("),
        (["--library", "your", "--cost-models", "models"],
         "library must be one with a cost model in models (my), not 'your'; hwmodel.calibrate makes one"),
        (["--cost-models", "none"],
         "library must be one with a cost model in none (none), not 'freepdk45'; hwmodel.calibrate makes one"),
        (["--liberty", "my.lib", "--cost-models", "models", "--synthesise"],
         "--cost-models must be given with an estimate (no --synthesise) only"),
        (["--liberty", "my.lib", "--cost-models", "models", "--full-adder", "FA_X1"],
         "--cost-models must be given with the full adder that is found (no --full-adder) only"),
    ],
)  # fmt: skip
def test_models_that_do_not_fit(
    options: list[str], said: str, own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(own)
    with (own / "my.lib").open("a") as file:
        file.write("\n")
    with pytest.raises(SystemExit) as ended:
        run("compare", lambda: compare.main([*SMALL, *options, "--out", "out"]))
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"compare: error: {said}")
