"""What comes with the package of designs is what the code makes: the stamps say so, and a sample is made anew."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from docs_tools import packaged
from docs_tools.packaged import COMMAND, Item, differences, items, main, spec_of, stale
from hwmodel.measurement.keys import design_name
from hwmodel.measurement.store import PACKAGED_ROWS, RowStore
from hwmodel.model.features import PACKAGED_FEATURES
from hwmodel.synthesis import FLOW_VERSION
from rtl.requant import LoadableSpec
from rtl.spec.mac import MacSpec
from tests.currentflow import needs_rows_of_this_flow

ITEMS = items()


def small(file: Path, kind: type) -> list[Item]:
    """The two smallest items of a file."""
    found = [item for item in ITEMS if item.file == file and isinstance(spec_of(item.design), kind)]
    return found[-2:]


SAMPLE = [
    *small(PACKAGED_ROWS, MacSpec), *small(PACKAGED_ROWS, LoadableSpec),
    *small(PACKAGED_FEATURES[0], MacSpec), *small(PACKAGED_FEATURES[1], MacSpec),
]  # fmt: skip


def test_the_stamps_are_those_of_the_code() -> None:
    assert stale() == [], f"code that decides what is packaged was edited: run {COMMAND}"


def test_everything_packaged_is_looked_at() -> None:
    found = items()
    assert len({(item.file, item.design) for item in found}) == len(found)
    for path in PACKAGED_FEATURES:
        assert {item.design for item in found if item.file == path} == set(json.loads(path.read_text())["designs"])
    rows = RowStore(Path("/nonexistent")).rows()
    of_this_flow = {
        (row.design, json.dumps(row.spec, sort_keys=True)) for row in rows if row.flow_version == FLOW_VERSION
    }
    assert sum(item.file == PACKAGED_ROWS for item in found) == len(of_this_flow)
    assert all(design_name(spec_of(item.design)) == item.design for item in found)


def test_calibrations_have_the_periods_by_the_models_that_there_are_now() -> None:
    path = PACKAGED_FEATURES[1]
    wanted = packaged._calibrated()
    assert packaged.lacking(path, wanted) == {}, "a new model: run python -m docs_tools.packaged --recount"
    design = next(iter(wanted))
    assert packaged.lacking(path, {design: [*wanted[design], "periods, new"]}) == {design: ["periods, new"]}


@pytest.mark.parametrize("item", SAMPLE, ids=str)
def test_a_sample_is_made_anew(item: Item) -> None:
    assert differences(item) == []


@needs_rows_of_this_flow
def test_what_differs_is_named_and_gets_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verilog, features = SAMPLE[0], SAMPLE[-1]
    held = json.loads(features.held)
    moved = next(name for name in held if name.startswith("transitions, "))
    held[moved][0] = {}
    held["periods, of no model"] = [1.0, 2.0]  # nothing asks for it
    held["transitions, unknown"] = []
    wrong = [replace(verilog, held="0" * 64), replace(features, held=json.dumps(held)), SAMPLE[1]]
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(packaged, "items", lambda: wrong)
    monkeypatch.setattr(packaged, "write_stamp", lambda: pytest.fail("no stamp may be written"))
    monkeypatch.setattr(packaged, "write_features", lambda *_: pytest.fail("no stamp may be written"))
    with pytest.raises(SystemExit) as ended:
        main(["--stamp", "--jobs", "1"])
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines[:2]) == sorted([
        f"{verilog}: Verilog differs",
        f"{features}: {moved}; transitions, unknown differs",
    ])  # fmt: skip
    (done,) = (tmp_path / "packaged").iterdir()
    assert len(done.read_text().split()) == 1  # the third, which was right, is not made again


def test_a_stamp_of_other_code_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "features_stamp", lambda: "0" * 64)
    monkeypatch.setattr(packaged, "verilog_stamp", lambda: {"code": "0" * 64})
    monkeypatch.setattr(packaged, "flow_stamp", lambda: {"code": "0" * 64})
    assert stale() == [
        "hwmodel/data/features.json", "hwmodel/data/calibration/features.json", "hwmodel/data/rows/stamp.json",
        "hwmodel/data/rows/flow.json",
    ]  # fmt: skip


@needs_rows_of_this_flow
def test_of_each_recipe_the_row_with_the_fewest_cells_is_made_again() -> None:
    found = packaged.sample()
    recipes = [row.recipe for row in found]
    assert len(recipes) == len(set(recipes)) > 5
    assert any(recipe.startswith("hybrid") for recipe in recipes)
    assert packaged.netlist_differences(found[0]) == []
    wrong = replace(found[0], area_um2=found[0].area_um2 + 1)
    assert packaged.netlist_differences(wrong) == [f"area_um2 {wrong.area_um2}, now {found[0].area_um2}"]
