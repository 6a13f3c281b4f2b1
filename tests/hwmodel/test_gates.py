"""The command that compares netlists with their RTL."""

import json
from pathlib import Path

import pytest

import hwmodel.gatelevel as gatelevel
from hwmodel.gates import main
from hwmodel.operands.stimulus import Mismatch
from hwmodel.power.icarus import icarus_version
from siliquant.inputs import InputError

SMALL = ["--design", "uniform", "--weight-bits", "1", "--activation-bits", "1", "--lanes", "1"]


@pytest.mark.skipif(icarus_version() is None, reason="Icarus Verilog is not installed")
def test_a_design_is_compared_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gates.json"
    main([*SMALL, "--reduction-length", "4", "--recipes", "1", "--out", str(out)])
    said = capsys.readouterr().out
    assert "netlists of freepdk45 against RTL" in said
    assert "proved: 1 of 1 netlists, all simulated. What that says: docs/synthesis.md#check" in said
    written = json.loads(out.read_text())
    assert (written["library"], written["differ"]) == ("freepdk45", [])
    (netlist,) = written["netlists"]
    assert netlist["proved"]["registers"] > 5
    assert netlist["unknown"]["unknown"] == netlist["own"]["unknown"] == 0


def test_a_difference_is_named_and_ends_with_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def differs(*given: object, **named: object) -> None:
        raise Mismatch("top: register q takes another value than in the RTL")

    monkeypatch.setattr(gatelevel, "check_gates", differs)
    out = tmp_path / "gates.json"
    with pytest.raises(SystemExit) as end:
        main([*SMALL, "--out", str(out)])
    assert end.value.code == 1
    assert "top: register q takes another value than in the RTL" in capsys.readouterr().err
    assert json.loads(out.read_text())["differ"] == ["top: register q takes another value than in the RTL"]


def test_a_number_of_recipes_has_bounds() -> None:
    with pytest.raises(InputError, match="recipes must be an integer from 1 to 100, not '0'"):
        main(["--recipes", "0"])
