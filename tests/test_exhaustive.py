"""The command that runs every operand pair and every accumulator: what it counts, and that it finds what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtl.mac import DESIGNS, UniformSpec
from rtl.requant import MultiplierSpec, ThresholdSpec
from siliquant.inputs import InputError
from tests.exhaustive import __main__ as command
from tests.exhaustive import macs, units
from tests.exhaustive.check import check, specs


def test_every_design_and_requantiser_is_checked() -> None:
    kinds = {type(spec) for spec in specs()}
    assert kinds == {*DESIGNS, ThresholdSpec, MultiplierSpec}
    widths = {(spec.weight_bits, spec.activation_bits) for spec in specs() if isinstance(spec, UniformSpec)}
    assert len(widths) == 64


def test_results_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    command.main(["--only", "xnor", "--jobs", "1", "--out", str(out)])
    (row,) = json.loads(out.read_text()).values()
    known = [spec for spec in specs() if spec.design == "xnor"]
    assert (row["specs"], row["results"]) == (len(known), sum(check(spec)[0] for spec in known))
    assert "none of them wrong" in capsys.readouterr().out


def test_a_wrong_sum_is_found_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = UniformSpec(weight_bits=3, activation_bits=2, lanes=1)
    right = macs.run_steps

    def wrong(*given: object) -> list[int]:
        found = right(*given)
        return [*found[:-1], found[-1] ^ 1]

    monkeypatch.setattr(macs, "run_steps", wrong)
    monkeypatch.setattr(command, "specs", lambda: [spec])
    with pytest.raises(SystemExit) as caught:
        command.main(["--jobs", "1"])
    assert caught.value.code == 1
    told = (
        f"tests.exhaustive: {spec.name} at {spec.precisions[0]}: [3] x [1] must be 3, not 2; 1 of 32 sums are wrong\n"
    )
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("kind", [ThresholdSpec, MultiplierSpec])
def test_a_wrong_code_is_found(kind: type[ThresholdSpec | MultiplierSpec], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(unit for unit in units.unit_specs() if isinstance(unit, kind) and unit.bits == 2)
    right = units.evaluate

    def wrong(*given: object) -> np.ndarray:
        bits = np.array(right(*given))
        bits[0, 77] ^= 1
        return bits

    assert units.check_accumulators(spec) == 40 * 256
    monkeypatch.setattr(units, "evaluate", wrong)
    with pytest.raises(
        AssertionError, match=rf"^{spec.name}, gates: the code of -51 with \[.*\] must be .*; 1 of 256 codes "
    ):
        units.check_accumulators(spec)


def test_a_wrong_golden_model_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(unit for unit in units.unit_specs() if unit.bits == 2)
    right = type(spec).compute

    def wrong(unit: ThresholdSpec, x: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        codes = right(unit, x, numbers)
        return np.where(x == 5, -1 - codes, codes)

    monkeypatch.setattr(type(spec), "compute", wrong)
    with pytest.raises(
        AssertionError, match=rf"^{spec.name}, golden model: the code of 5 with .*; 1 of 256 codes are "
    ):
        units.check_accumulators(spec)


def test_a_design_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"^--only must be one of bitblade, .*, not 'nosuch'$"):
        command.main(["--only", "nosuch"])
