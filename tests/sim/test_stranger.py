"""Manifests are enough to drive what they describe: every design, every unit, and arrays."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.stranger import check_mac, check_unit, check_vectors
from tests.sim.stranger_array import check_array

ROOT = Path(__file__).resolve().parents[2]

MACS = [
    "--design uniform --weight-bits 3 --activation-bits 5 --lanes 3",
    "--design uniform --weight-bits 1 --activation-bits 1 --lanes 2 --pipeline-stages 2",
    "--design padded --units 2 --pipeline-stages 1",
    "--design padded --units 2 --gating --widths 8/4",
    "--design padded --units 1 --gating --pipeline-stages 2",
    "--design subword --units 2",
    "--design subword --units 3 --widths 8/4 --pipeline-stages 1",
    "--design bitfusion --units 1",
    "--design bitfusion --units 2 --widths 8/4 --pipeline-stages 2",
    "--design bitblade --units 2 --pipeline-stages 1",
    "--design bitserial --units 3",
    "--design loom --units 5 --pipeline-stages 1",
    "--design xnor --lanes 7",
    "--design xnor --lanes 4 --pipeline-stages 2",
]
UNITS = [
    "--requant thresholds --requant-bits 3 --groups 3",
    "--requant thresholds --requant-bits 1 --requant-signed --requant-accumulator-width 9 --requant-pipeline-stages 2",
    "--requant thresholds --requant-bits 4 --requant-signed",
    "--requant multiplier --requant-bits 4 --requant-signed --groups 2 --requant-pipeline-stages 1",
    "--requant multiplier --requant-bits 8 --requant-shift 6 --requant-shift-bits 3 --requant-offset-width 30",
    "--requant multiplier --requant-bits 1 --requant-signed --requant-accumulator-width 12 --requant-shift 14",
]
TOTALS = ["--requant partialsum --groups 5", "--requant partialsum --groups 3 --requant-pipeline-stages 1"]
SCALED = "--requant multiplier --requant-shift 10 --requant-pipeline-stages 1"
DEPTHS = "--activation-depth 256 --weight-depth 256 --result-depth 64"
ARRAYS = [
    f"--design uniform --lanes 3 --array 2x3 {DEPTHS}",
    f"--design subword --units 1 --array 2x2 {DEPTHS} --requant-bits 2 --groups 2",
    f"--design bitserial --units 2 --array 3x2 --architecture systolic {DEPTHS} --requant-bits 3 --requant-signed",
    f"--design xnor --lanes 5 --array 2x2 --architecture systolic {DEPTHS} {SCALED} --requant-bits 4 --groups 2",
    f"--design loom --units 2 --array 1x2 {DEPTHS} {SCALED} --requant-bits 1 --requant-signed",
]

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")


def made(arguments: str, folder: Path) -> Path:
    """The Verilog of a call of the command."""
    command = [sys.executable, "-m", "rtl.gen", *arguments.split(), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return Path(done.stdout.splitlines()[0])


@pytest.mark.parametrize("arguments", MACS)
def test_macs(arguments: str, tmp_path: Path) -> None:
    assert check_mac(made(arguments, tmp_path), tmp_path) > 60


@pytest.mark.parametrize("arguments", UNITS)
def test_units(arguments: str, tmp_path: Path) -> None:
    path = made(arguments, tmp_path)
    assert check_unit(path, tmp_path) >= 2
    assert check_vectors(path, tmp_path) == 256


@pytest.mark.parametrize("arguments", TOTALS)
def test_sums_of_heads(arguments: str, tmp_path: Path) -> None:
    assert check_vectors(made(arguments, tmp_path), tmp_path) > 40


@pytest.mark.parametrize("arguments", ARRAYS)
def test_arrays(arguments: str, tmp_path: Path) -> None:
    path = made(arguments, tmp_path)
    results = [value for seed in range(3) for value in check_array(path, tmp_path, seed)]
    assert len(results) > 20
    assert len(set(results)) >= (2 if "--requant-bits 1" in arguments else 4)


def test_a_wrong_manifest_is_found(tmp_path: Path) -> None:
    """What the manifest says is used: with another order of the weights alone sums are wrong."""
    path = made("--design uniform --weight-bits 3 --activation-bits 5 --lanes 3", tmp_path)
    described = path.with_suffix(".json")
    text = described.read_text()
    check_mac(path, tmp_path)
    order = '"index": {}, "code_low": 0, "code_width": 3, "count": 3, "low_step": 3, "index_step": {}'
    turned = text.replace(order.format(0, 1), order.format(2, -1))
    assert turned != text
    described.write_text(turned)
    with pytest.raises(AssertionError):
        check_mac(path, tmp_path)
    described.write_text(text.replace('"latency_cycles": 2', '"latency_cycles": 3'))
    with pytest.raises(AssertionError):
        check_mac(path, tmp_path)


def test_the_stranger_knows_nothing_of_the_packages() -> None:
    for name in ("stranger.py", "stranger_array.py"):
        for node in ast.walk(ast.parse((Path(__file__).parent / name).read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
                assert not {"rtl", "sim", "hwmodel", "siliquant", "qat"} & {str(each).split(".")[0] for each in found}
