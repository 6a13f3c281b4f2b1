"""The command that compares netlists with their RTL."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwmodel.gatelevel as gatelevel
from hwmodel.gatelevel.check import Failure, check_gates, recipes_of
from hwmodel.gatelevel.kept import GateCheck
from hwmodel.gatelevel.proof import GateProof, prove_gates
from hwmodel.gatelevel.simulation import Seen
from hwmodel.gates import main
from hwmodel.library.library import find_library
from hwmodel.operands.stimulus import Mismatch
from hwmodel.power.icarus import icarus_version
from hwmodel.synthesis.mapping import SynthesisError
from rtl.mac import UniformSpec
from siliquant.inputs import InputError

icarus = pytest.mark.skipif(icarus_version() is None, reason="Icarus Verilog is not installed")
SMALL = ["--design", "uniform", "--weight-bits", "1", "--activation-bits", "1", "--lanes", "1"]


@icarus
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


SEEN = Seen(10, 9, 0, 0)
PROVED = GateCheck(
    "top", "uniform", "freepdk45", "cell-chain-area", 5, GateProof(1, 1, 0, 0, 0.1), None, SEEN, (SEEN,), None, 0.5
)


@icarus
@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (Failure("top by cell-chain-area in freepdk45: top: register q takes", differs=True), 1, ": register q takes"),
        (Failure("top by cell-chain-area in freepdk45: ABC stopped", differs=False), 2, "error: top by cell-chain"),
        (replace(PROVED, proved=None, undecided="not decided: no partner"), 1,
         "top by cell-chain-area in freepdk45: not decided: no partner"),
    ],
)  # fmt: skip
def test_what_is_not_proved_is_named_and_ends_with_a_code_after_all_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    found: GateCheck | Failure, code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(gatelevel, "check_gates", lambda *given, **named: iter([found, PROVED]))
    out = tmp_path / "gates.json"
    with pytest.raises(SystemExit) as end:
        main([*SMALL, "--out", str(out)])
    assert end.value.code == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("gates: ") == 1
    assert "all simulated" in shown.out
    written = json.loads(out.read_text())
    assert written["netlists"][-1]["proved"]["registers"] == 1
    failed = [found.text] if isinstance(found, Failure) else []
    assert written["differ" if code == 1 else "errors"] == failed


@icarus
def test_one_netlist_that_fails_leaves_the_others_and_what_is_proved_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    library, spec = find_library(), UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=4)
    chosen = recipes_of(library, 0, 3)
    answers = iter([SynthesisError("ABC stopped"), Mismatch("top: q differs"), None, None, None])

    def proves(*given: Any, **named: Any) -> GateProof:
        if (answer := next(answers)) is not None:
            raise answer
        return prove_gates(*given, **named)

    monkeypatch.setattr("hwmodel.gatelevel.check.prove_gates", proves)
    wrong, differs, proved = check_gates(spec, library, chosen)
    place = "uniform_w1_a1_l1_k4 by {} in freepdk45: "
    assert wrong == Failure(place.format(chosen[0].name) + "ABC stopped", differs=False)
    assert differs == Failure(place.format(chosen[1].name) + "top: q differs", differs=True)
    assert isinstance(proved, GateCheck)
    begun = check_gates(spec, library, chosen)
    assert next(begun) == proved
    first, second = begun
    assert isinstance(first, GateCheck)
    assert isinstance(second, GateCheck)
    assert set(check_gates(spec, library, chosen)) == {first, second, proved}
    assert next(answers, "all asked") == "all asked"


def test_a_number_of_recipes_has_bounds() -> None:
    with pytest.raises(InputError, match="recipes must be an integer from 1 to 100, not '0'"):
        main(["--recipes", "0"])
