"""Every number of README.md and docs/ that is a result is what its source says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from docs_tools import numbers
from docs_tools.blocks import places
from docs_tools.measured import measured
from docs_tools.results import RESULTS, read_result, result_names
from rtl.mac import LoomSpec
from tests.currentflow import needs_rows_of_this_flow

MARKS = {"inference": [pytest.mark.slow], "hardware": [needs_rows_of_this_flow]}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, [])) for name in numbers.SOURCES])
def test_the_pages_have_the_numbers_of_their_source(name: str) -> None:
    lines = numbers.differing(name, numbers.wanted(name))
    assert not lines, "\n".join([*lines, "python -m docs_tools.numbers --write puts them right"])


def test_every_place_has_one_source() -> None:
    owned = [first for name in numbers.SOURCES for first in numbers.source(name).OWNS]
    assert len(owned) == len(set(owned))
    for page in numbers.pages():
        for place in places(page.read_text()):
            assert numbers.owner(place.name) in numbers.SOURCES
    with pytest.raises(ValueError, match=r"^the place nowhere must begin as one of a source"):
        numbers.owner("nowhere")


def test_what_differs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("It is <!--qor.geomean-->0.1<!--/--> and <!--qor.none-->1<!--/-->")
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    monkeypatch.setattr(numbers, "pages", lambda: [page])
    assert numbers.differing("hardware", {"qor.geomean": "0.2", "qor": "| table |"}) == [
        "page.md: qor.geomean differs",
        "page.md: qor.none has no text in docs_tools.pages.hardware",
        "qor of docs_tools.pages.hardware stands in no page",
    ]


def test_a_table_in_a_file_is_compared_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = {"qor-all.csv": "bits,area\n2,1.5"}
    monkeypatch.setattr(numbers, "ROOT", tmp_path)
    monkeypatch.setattr(numbers, "pages", list)
    monkeypatch.setattr(numbers, "wanted", lambda name: texts)
    assert numbers.differing("hardware", texts) == ["docs/data/qor-all.csv differs"]
    with pytest.raises(SystemExit) as ended:
        numbers.main(["--only", "hardware", "--write"])
    assert ended.value.code == 0
    assert (tmp_path / "docs" / "data" / "qor-all.csv").read_text() == "bits,area\n2,1.5\n"
    assert numbers.differing("hardware", texts) == []


def test_the_command_names_what_differs_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = numbers.wanted("synthesis")
    monkeypatch.setattr(numbers, "wanted", lambda name: right | {"markov.8": "9 %"})
    with pytest.raises(SystemExit) as ended:
        numbers.main(["--only", "synthesis"])
    assert ended.value.code == 1
    assert capsys.readouterr().out == "docs/synthesis.md: markov.8 differs\n"


@pytest.mark.parametrize("name", result_names())
def test_results_say_where_they_come_from(name: str) -> None:
    data = json.loads((RESULTS / f"{name}.json").read_text())
    assert data["command"].split()[0] in ("python", "make") or "docs_tools.record" in data["command"]
    assert len(data["date"]) == 10
    assert data["versions"]
    assert data["machine"]
    assert read_result(name) == data["values"]


def test_a_missing_result_and_a_missing_row_are_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.json must be there: python -m docs_tools\.record nothing"):
        read_result("nothing")
    with pytest.raises(LookupError, match=r"^loom_u7_m8 must be among the packaged rows of freepdk45 at 500 MHz$"):
        measured(LoomSpec(units=7))


@pytest.mark.parametrize("text", ["0", "", " \n", "0.00", "0 / 0"])
def test_a_silent_zero_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SimpleNamespace(OWNS=("made",), texts=lambda: {"made.count": text})
    monkeypatch.setattr("docs_tools.numbers.source", lambda _: source)
    with pytest.raises(ValueError, match=r"made\.count of docs_tools\.pages\.calibration must not be"):
        numbers.wanted("calibration")
    source.MAY_BE_ZERO = ("made.count",)
    assert numbers.wanted("calibration") == {"made.count": text.strip("\n")}
