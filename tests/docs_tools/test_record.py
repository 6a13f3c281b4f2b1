"""What makes the results anew: every result has a maker, and notes where it comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs_tools import record, results
from docs_tools.results import read_result, result_names
from hwmodel.measurement.row import tool_versions
from siliquant.commandline.cli import run


def test_every_result_has_a_maker() -> None:
    assert sorted(record.RECORDERS) == result_names()


def test_a_result_notes_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(record, "RECORDERS", {"one": lambda: ({"a": 1}, "python one.py", ("yosys", "numpy"))})
    path = record.recorded("one")
    assert path == tmp_path / "one.json"
    assert read_result("one") == {"a": 1}
    text = path.read_text()
    assert '"command": "python one.py"' in text
    assert f'"yosys": "{tool_versions()["yosys"]}"' in text
    assert '"numpy": "' in text


@pytest.mark.parametrize("name", ["qor-freepdk45", "rtl-speed", "qat-speed"])
def test_what_a_benchmark_writes_has_the_shape_of_what_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def written(*arguments: str) -> Any:
        asked.append(arguments)
        return dict(read_result(name))

    monkeypatch.setattr(record, "_written", written)
    values, command, _ = record.RECORDERS[name]()
    assert values == read_result(name)
    assert f"python {' '.join(asked[0])}" == command
    assert (results.RESULTS.parents[1] / asked[0][0]).exists()


def test_of_the_demonstration_its_screen_and_its_simulation_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ran(*arguments: str) -> str:
        made = tmp_path / "build" / "demo" / "equivalence.json"
        made.parent.mkdir(parents=True)
        made.write_text('{"array": "a", "samples": 1, "gemms": [], "build_s": 2.5}')
        return "\nFrom    \n  a network\n\n"

    monkeypatch.setattr(record, "_ran", ran)
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    assert record.RECORDERS["demo"]()[0] == {"screen": ["From", "  a network"]}
    kept = json.loads((tmp_path / "records" / "equivalence.json").read_text())
    assert kept == {"command": "make demo", "array": "a", "samples": 1, "gemms": []}


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(record.PROG, lambda: record.main(["nosuch"]))
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("docs_tools.record: error: a result must be one of qor-freepdk45, ")


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(ValueError, match=r"^python -c raise SystemExit\(3\) must succeed, and ended with 3$"):
        record._ran("-c", "raise SystemExit(3)")
