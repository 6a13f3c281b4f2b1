"""Nothing that reads Verilog has anything to say about what is generated, by the commands of docs/hardware.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rtl.verilog import Generated, Reset
from tests.readers import __main__ as command
from tests.readers.readers import ARRAYS, READERS, SPECS, icarus, slang, verilator, written, yosys

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_verilator_is_silent(spec: Generated, tmp_path: Path) -> None:
    pytest.importorskip("sim.simulators")
    assert verilator(tmp_path, written(spec, tmp_path)) == ""


@pytest.mark.parametrize("reset", [style for style in Reset if style is not Reset.SYNCHRONOUS_HIGH])
def test_verilator_is_silent_for_every_style_of_reset(reset: Reset, tmp_path: Path) -> None:
    assert verilator(tmp_path, written(ARRAYS[0], tmp_path, reset)) == ""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_slang_is_silent(spec: Generated, tmp_path: Path) -> None:
    pytest.importorskip("pyslang")
    assert slang(tmp_path, written(spec, tmp_path)) == ""


@needs_icarus
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_icarus_is_silent(spec: Generated, tmp_path: Path) -> None:
    assert icarus(tmp_path, written(spec, tmp_path)) == ""


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_yosys_is_silent(spec: Generated, tmp_path: Path) -> None:
    assert yosys(tmp_path, written(spec, tmp_path)) == ""


@needs_icarus
@pytest.mark.parametrize(
    ("reader", "text"),
    [
        ("verilator", "module a(input wire x, output wire [1:0] y);\n  assign y = x;\nendmodule\n"),
        ("slang", "module a(input wire [1:0] x, output wire y);\n  assign y = x;\nendmodule\n"),
        ("icarus", "module a(output wire y);\n  assign y = z;\nendmodule\n"),
        ("yosys", "module a(output wire y);\n  wire z;\n  assign y = z;\nendmodule\n"),
    ],
)
def test_each_reader_tells_what_is_wrong(reader: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.v").write_text(text)
    assert READERS[reader](tmp_path, "a.v") != ""


@needs_icarus
def test_the_command_counts_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    command.main(["--only", "partialsum", "--out", str(out)])
    (row,) = json.loads(out.read_text()).values()
    assert row["files"] == 1
    assert row["lines"] > 50
    assert [row[reader] for reader in READERS] == [0, 0, 0, 0]
    monkeypatch.setattr(command, "READERS", {"slang": lambda folder, name: "a\nb"})
    with pytest.raises(SystemExit) as caught:
        command.main(["--only", "partialsum"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("tests.readers: slang on partialsum_")
