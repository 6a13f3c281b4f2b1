"""What the package keeps of designs is found for the designs it is of, and nothing is kept for none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from docs_tools.packaged import COMPARISONS
from hwmodel.comparison.comparison import Question
from hwmodel.comparison.measured import settings
from hwmodel.measurement.keys import design_name
from hwmodel.measurement.table import PACKAGED_CALIBRATION, packaged_calibration
from hwmodel.model.features import (
    PACKAGED_FEATURES,
    _entry,
    adopt,
    are_kept,
    counted,
    counts_of,
    entry_of,
    features_stamp,
    find,
    lacking,
    package_features,
    periods_of,
    shared_transitions_of,
    write_features,
)
from hwmodel.model.paths import ALONE, Step, periods
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.workload import load_workload
from rtl.array import CoreSpec
from rtl.mac import UniformSpec
from rtl.spec.mac import MacSpec, Precision
from siliquant.files import cache

ROOT = Path(__file__).resolve().parents[3]
LIBRARIES = sorted(path.stem for path in PACKAGED_CALIBRATION.glob("*.csv"))
OF_COMPARISON, OF_CALIBRATION = PACKAGED_FEATURES
DELAYS = (dict.fromkeys(Step, 0.1), dict.fromkeys(Step, 0.05), ALONE)

LACKING = """
from hwmodel.model.features import are_kept
from hwmodel.model.paths import ALONE, Step
from hwmodel.operands.stimulus import StreamPlan
from tests.hwmodel.model.test_features import calibrated, compared

for question in compared():
    if not are_kept(question.spec, [StreamPlan(precision) for precision in question.precisions]):
        print(question.spec.name, *question.precisions)
for library in {libraries!r}:
    for mac, plan in calibrated(library):
        if not are_kept(mac, [plan]):
            print(library, mac.name, plan)
"""


def compared(network: str | None = None) -> list[Question]:
    """Every question of python -m hwmodel.compare as it is without options, or with a network."""
    workload = None if network is None else load_workload(network)
    found = settings(bits=[2, 3, 4], mixtures=[], designs=None, lanes=16, units=4, jobs=1, workload=workload)
    return [entry.question for entry in found.entries]


def calibrated(library: str) -> list[tuple[MacSpec, StreamPlan]]:
    """Every MAC of a calibration table with its operand streams."""
    table = packaged_calibration(library)
    pairs = zip(table.specs(), table.plans(), strict=True)
    return [(spec.mac if isinstance(spec, CoreSpec) else spec, plan) for spec, plan in pairs]


def test_what_the_model_counts_of_the_designs_comes_with_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LACKING.format(libraries=LIBRARIES)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"SILIQUANT_CACHE_DIR": str(tmp_path)}, check=True,
    )  # fmt: skip
    assert done.stdout == ""


def test_a_comparison_of_the_guides_counts_nothing_anew(tmp_path: Path) -> None:
    """Longest paths by the delays of the packaged model come with the package, too."""
    options = (*COMPARISONS[0].split(), "--format", "json", "--out", str(tmp_path / "out"))
    subprocess.run(
        [sys.executable, "-m", "hwmodel.compare", *options],
        capture_output=True, cwd=ROOT, env=os.environ | {"SILIQUANT_CACHE_DIR": str(tmp_path / "cache")}, check=True,
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "cache" / "features").rglob("*.json")] == []


def kept(path: Path) -> set[str | None]:
    """The designs of a packaged file."""
    return set(json.loads(path.read_text())["designs"])


def test_the_comparison_s_file_has_its_designs_and_no_other() -> None:
    specs = {question.spec for question in compared()}
    assert {design_name(spec) for spec in specs} <= kept(OF_COMPARISON)
    specs |= {question.spec for question in compared("deit-tiny")}
    shallow = [replace(spec, pipeline_stages=stages) for spec in specs for stages in range(3)]
    assert kept(OF_COMPARISON) <= {design_name(form) for spec in shallow for form in spec.forms}


def test_the_calibration_s_file_has_its_designs_and_no_other() -> None:
    assert LIBRARIES
    assert kept(OF_CALIBRATION) == {design_name(mac) for library in LIBRARIES for mac, _ in calibrated(library)}


@pytest.mark.parametrize("path", PACKAGED_FEATURES, ids=["comparison", "calibration"])
def test_every_entry_has_counts_and_transitions_or_longest_paths(path: Path) -> None:
    for entry in json.loads(path.read_text())["designs"].values():
        assert entry["counts"]
        assert any(name.startswith(("transitions, ", "periods, ")) for name in entry)


NEW = [UniformSpec(lanes=lanes, weight_bits=3, reduction_length=7777) for lanes in (1, 2, 3)]


def asked() -> dict[MacSpec, list[StreamPlan]]:
    """Designs that nothing is kept of, under one or two short streams."""
    plans = [StreamPlan(Precision(3, 4, signed), cycles=70) for signed in (True, False)]
    return {NEW[0]: plans, NEW[1]: plans[:1], NEW[2]: []}


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without anything, and nothing remembered."""
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    for each in (_entry, counts_of, shared_transitions_of):
        each.cache_clear()
    return tmp_path


def test_what_is_found_together_is_kept_as_it_comes_and_found_again(empty: Path) -> None:
    expected = {spec: counted(spec, plans, []) for spec, plans in asked().items()}
    assert lacking(asked()) == asked()
    for number, spec in enumerate(find(asked()), start=1):
        assert len(list(empty.glob("features/*/*.json"))) == number
        assert entry_of(spec) == expected[spec]
    _entry.cache_clear()  # as another process sees it
    assert lacking(asked()) == {}
    assert {spec: entry_of(spec) for spec in asked()} == expected
    assert list(find(asked())) == []


def test_one_stream_more_is_all_that_is_found_of_a_known_design(empty: Path) -> None:
    plans = asked()[NEW[0]]
    assert list(find({NEW[0]: plans[:1]})) == [NEW[0]]
    assert lacking({NEW[0]: plans}) == {NEW[0]: plans[1:]}
    assert list(find({NEW[0]: plans})) == [NEW[0]]
    assert are_kept(NEW[0], plans)


def test_longest_paths_by_some_delays_are_found_with_the_rest(empty: Path) -> None:
    spec, plans = NEW[0], asked()[NEW[0]]
    more = [DELAYS, (DELAYS[1], DELAYS[1], ALONE)]
    for known in (more[:1], more):
        assert list(find({spec: plans}, known)) == [spec]
        assert entry_of(spec) == counted(spec, plans, known)
        assert lacking({spec: plans}, known) == {}
        assert list(find({spec: plans}, known)) == []
        assert lacking({spec: plans}, more) == ({} if known is more else {spec: []})
    right = periods(spec, *DELAYS)
    found = periods_of(spec, *DELAYS)
    assert (found.relaxed_ns, found.fastest_ns, found.ripple) == pytest.approx(astuple(right), rel=1e-6)
    assert found.relaxed_ns == float(f"{right.relaxed_ns:.7g}")


def test_a_file_of_the_package_has_an_entry_a_line_and_the_stamp_of_the_code(tmp_path: Path) -> None:
    path = tmp_path / "features.json"
    write_features({"b": {"counts": {"x": 1}}, "a": {"z": 2, "c": 3}}, path)
    assert json.loads(path.read_text()) == {
        "stamp": features_stamp(), "designs": {"a": {"c": 3, "z": 2}, "b": {"counts": {"x": 1}}}
    }  # fmt: skip
    assert path.read_text().splitlines()[3:5] == ['"a": {"c": 3, "z": 2},', '"b": {"counts": {"x": 1}}']
    specs = {question.spec for question in compared()}
    package_features(specs, path)
    assert json.loads(path.read_text())["designs"] == {design_name(spec): entry_of(spec) for spec in specs}


def test_what_another_process_found_is_not_found_anew(empty: Path) -> None:
    spec, plans = NEW[0], asked()[NEW[0]]
    assert not are_kept(spec, plans)
    adopt(spec, counted(spec, plans, []))
    assert are_kept(spec, plans)
    assert not list(empty.rglob("*.json")), "that process keeps it"


def test_where_nothing_can_be_kept_it_is_found_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "file"))
    _entry.cache_clear()
    assert set(find(asked())) == set(asked())
    assert all(are_kept(spec, plans) for spec, plans in asked().items())


def other_members(entry: dict[str, Any]) -> Iterator[Any]:
    """Entries as other versions may have kept them."""
    yield from ([], "counts", {"counts": 5}, {"counts": []}, {"counts": {"weights": None}}, {"more": 1})
    for name, value in entry.items():
        yield {**entry, name: None}
        yield {**entry, name: [*value, *value] if isinstance(value, list) else {**value, "other": []}}
        yield {**entry, name: json.loads(json.dumps(value).replace("[", "[1.0, "))}


def test_an_entry_of_another_version_is_made_again(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, plans = NEW[0], asked()[NEW[0]][:1]
    assert list(find({spec: plans}, [DELAYS])) == [spec]
    [path] = empty.glob("features/*/*.json")
    kept = path.read_bytes()
    entry = json.loads(cache.kept(path, cache.root()) or b"")
    for other in other_members(entry):
        cache.keep(path, json.dumps(other), cache.root())
        _entry.cache_clear()
        assert list(find({spec: plans}, [DELAYS])) == [spec]
        assert path.read_bytes() == kept
        assert capsys.readouterr().err == f"siliquant: {path} is not used and made again: it is of another version\n"
