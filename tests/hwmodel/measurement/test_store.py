"""Rows on disk: exact round trips, damage reported and survived, two writers at once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.measurement.keys import verilog_stamp
from hwmodel.measurement.row import SynthesisRow, row_key
from hwmodel.measurement.store import RowStore, write_packaged
from hwmodel.netlist.area import AreaParts, register_part
from rtl.mac import UniformSpec

SPEC = UniformSpec(weight_bits=4, activation_bits=4)
ROW = SynthesisRow(
    design="uniform",
    spec=SPEC.parameters,
    library="freepdk45",
    library_sha256="ab" * 32,
    library_use_sha256="ef" * 32,
    corner="typical, 1.1 V, 25 C",
    clock_mhz=500.0,
    area_um2=2134.65,
    parts=AreaParts(1000.0, 500.65, 500.0, 0.0, 90.0, 44.0),
    cells=700,
    histogram={"FA_X1": 250, "DFF_X1": 150},
    recipe="cell-chain-default",
    minimum_period_ns=1.815,
    slack_ns=0.185,
    meets_clock=True,
    verilog_sha256="cd" * 32,
    tools={"yosys": "0.70", "opensta": "2.0.17", "amaranth": "0.5.10", "siliquant": "0.1.0", "python": "3.11.7"},
    date="2026-01-01",
)


def test_round_trip_through_json_and_disk(tmp_path: Path) -> None:
    assert SynthesisRow.from_json(ROW.to_json()) == ROW
    store = RowStore(tmp_path, packaged=None)
    assert store.get(ROW.key) is None
    path = store.put(ROW)
    assert path == tmp_path / ROW.key[:2] / f"{ROW.key}.json"
    assert store.get(ROW.key) == ROW
    assert list(store.rows()) == [ROW]
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_key_holds_what_changes_numbers_and_nothing_else() -> None:
    def key(row: SynthesisRow) -> str:
        return row.key

    assert key(replace(ROW, date=None, design="other")) == ROW.key
    assert key(replace(ROW, tools={**ROW.tools, "python": "3.13.0"})) == ROW.key
    changed = [
        replace(ROW, clock_mhz=400.0),
        replace(ROW, verilog_sha256="00" * 32),
        replace(ROW, library_use_sha256="00" * 32),
        replace(ROW, flow_version=0),
        replace(ROW, activity="uniform"),
        replace(ROW, effort="high"),
        replace(ROW, tools={**ROW.tools, "yosys": "0.71"}),
    ]
    assert len({ROW.key, *map(key, changed)}) == len(changed) + 1
    assert ROW.key == row_key("cd" * 32, "ef" * 32, 500, "normal", None, ROW.tools, ROW.flow_version)


def test_damaged_rows_are_named_and_missing(tmp_path: Path) -> None:
    said: list[str] = []
    store = RowStore(tmp_path, packaged=None, report=said.append)
    path = store.put(ROW)
    path.write_text(ROW.to_json()[:100])
    assert store.get(ROW.key) is None
    (line,) = said
    assert line.startswith(f"{path} cannot be read and is ignored: a synthesis row must be a JSON object")
    path.write_text(replace(ROW, clock_mhz=1.0).to_json())
    assert store.get(ROW.key) is None
    assert said[1:] == [f"{path} holds the row of another key and is ignored"]
    path.write_text("{}")
    assert store.get(ROW.key) is None
    assert "a synthesis row must have exactly the fields of SynthesisRow, and differs in activity, area_um2" in said[2]
    store.put(ROW)
    assert store.get(ROW.key) == ROW


def test_a_row_that_lost_a_digit_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = RowStore(tmp_path, packaged=None)
    path = store.put(ROW)
    path.write_bytes(path.read_bytes().replace(b"2134.65", b"2124.65"))
    assert store.get(ROW.key) is None
    assert capsys.readouterr().err.count("is not used and made again") == 1


def test_what_cannot_be_kept_is_known_to_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siliquant.files.cache.keep", lambda *_, **__: False)
    store = RowStore(tmp_path, packaged=None)
    store.put(ROW)
    assert store.get(ROW.key) == ROW
    assert list(store.rows()) == [ROW]


def test_packaged_rows_lie_under_the_users(tmp_path: Path) -> None:
    other = replace(ROW, clock_mhz=400.0)
    packaged, stamp = write_packaged([ROW, other, ROW], tmp_path / "packaged")
    assert packaged.name == "freepdk45.jsonl"
    lines = packaged.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith('{"design":"uniform","spec":{')
    again = write_packaged([other, ROW], tmp_path / "again")
    assert [path.read_bytes() for path in again] == [packaged.read_bytes(), stamp.read_bytes()]
    store = RowStore(tmp_path / "user", packaged=tmp_path / "packaged")
    assert store.get(ROW.key) == ROW
    assert store.verilog_of(SPEC) == ROW.verilog_sha256
    assert store.verilog_of(replace(SPEC, lanes=2)) is None
    powered = ROW.with_power("uniform", power_uw=100.0)
    store.put(powered)
    assert {row.key for row in store.rows()} == {ROW.key, other.key, powered.key}
    said: list[str] = []
    packaged.write_text("broken\n" + lines[1] + "\n")
    stamp.write_text("broken")
    assert RowStore(tmp_path / "empty", tmp_path / "packaged", said.append).verilog_of(SPEC) is None
    assert said.pop().startswith(f"{stamp} cannot be read and is ignored")
    assert len(list(RowStore(tmp_path / "empty", tmp_path / "packaged", said.append).rows())) == 1
    (line,) = said
    assert line.startswith(f"{packaged}, line 1, cannot be read and is ignored: a synthesis row must be a JSON object")


def test_packaged_designs_are_known_to_the_generators_of_their_stamp_only(tmp_path: Path) -> None:
    _, stamp = write_packaged([ROW], tmp_path)
    assert RowStore(tmp_path / "user", tmp_path).verilog_of(SPEC) == ROW.verilog_sha256
    for name in ("code", "amaranth", "pyosys"):
        stamp.write_text(json.dumps({**verilog_stamp(), name: "another"}))
        assert RowStore(tmp_path / "user", tmp_path).verilog_of(SPEC) is None
    stamp.unlink()
    assert RowStore(tmp_path / "user", tmp_path).verilog_of(SPEC) is None


def test_a_stamp_says_nothing_of_files_that_were_not_looked_at(tmp_path: Path) -> None:
    _, stamp = write_packaged([ROW], tmp_path)
    write_packaged([replace(ROW, library="asap7")], tmp_path)
    assert json.loads(stamp.read_text()) == verilog_stamp()  # those of freepdk45 were of these generators, too
    earlier = {**verilog_stamp(), "code": "another"}
    stamp.write_text(json.dumps(earlier))
    assert write_packaged([ROW], tmp_path) == [tmp_path / "freepdk45.jsonl", stamp]
    assert json.loads(stamp.read_text()) == earlier
    (tmp_path / "asap7.jsonl").unlink()
    write_packaged([ROW], tmp_path)
    assert json.loads(stamp.read_text()) == verilog_stamp()


def found(store: RowStore, row: SynthesisRow) -> SynthesisRow | None:
    return store.find(row.verilog_sha256, row.library_use_sha256, row.clock_mhz, row.effort, row.activity)


def test_a_packaged_row_needs_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_packaged([ROW, ROW.with_power("uniform", power_uw=1.0)], tmp_path)
    here = dict(ROW.tools)
    monkeypatch.setattr("hwmodel.measurement.store.tool_versions", lambda: here)
    store = RowStore(tmp_path / "user", tmp_path)
    assert found(store, ROW) == ROW
    areas_only = replace(ROW, minimum_period_ns=None, tools={**ROW.tools, "opensta": "none"})
    store.put(areas_only)
    here["opensta"] = "none"
    assert found(store, ROW) == ROW
    assert found(store, replace(ROW, activity="uniform")).power_uw == 1.0  # type: ignore[union-attr]
    assert found(RowStore(tmp_path / "user", None), ROW) == areas_only
    here["opensta"] = "2.6.0"
    assert found(store, ROW) is None
    assert found(RowStore(tmp_path / "user", tmp_path, any_timer=True), ROW) == ROW
    mine = replace(ROW, area_um2=1.0, tools=dict(here))
    store.put(mine)
    assert found(RowStore(tmp_path / "user", tmp_path, any_timer=True), ROW) == mine
    here["yosys"] = "0.71"
    assert found(RowStore(tmp_path / "user", tmp_path, any_timer=True), ROW) is None


def test_two_processes_may_write_one_key(tmp_path: Path) -> None:
    (tmp_path / "row.json").write_text(ROW.to_json())
    program = (
        "import sys, pathlib; from hwmodel.measurement import RowStore, SynthesisRow\n"
        "place = pathlib.Path(sys.argv[1]); row = SynthesisRow.from_json((place / 'row.json').read_text())\n"
        "store = RowStore(place / 'rows', None)\n"
        "for _ in range(50):\n    store.put(row)\n    assert store.get(row.key) == row\n"
    )
    root = Path(__file__).resolve().parents[3]
    writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=root) for _ in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert [path.name for path in (tmp_path / "rows").rglob("*") if path.is_file()] == [f"{ROW.key}.json"]


def test_key_must_be_a_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a row's key must be 64 hexadecimal digits, not '\.\./x'$"):
        RowStore(tmp_path).get("../x")


def test_verilog_once_generated_is_remembered(tmp_path: Path) -> None:
    store = RowStore(tmp_path, packaged=None)
    assert store.verilog_of(SPEC) is None
    store.remember_verilog(SPEC, "cd" * 32)
    assert store.verilog_of(SPEC) == "cd" * 32
    assert list(store.rows()) == []


def test_register_names_tell_the_part() -> None:
    assert register_part("accumulator_q_3_reg") == "accumulator_registers_um2"
    assert register_part("pipeline0_q_7_reg") == "pipeline_registers_um2"
    assert register_part("weights_q_12_reg") == "operand_registers_um2"
    assert register_part("activation_signed_q_reg") == "control_um2"
    assert register_part("out_valid_reg") == "control_um2"
