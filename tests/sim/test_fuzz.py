"""siliquant fuzz: what it draws, finds, makes small and runs again."""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from rtl.mac import DESIGNS
from rtl.verilog import to_verilog
from siliquant.inputs import InputError
from sim import fuzz
from sim.fuzzing import Action, Case, Fault, benches, case_from_text, draw_case, minimised, run_case
from sim.fuzzing.cases import UNITS, Spec


def test_every_design_and_kind_of_action_is_drawn() -> None:
    cases = [draw_case(Random(place)) for place in range(400)]
    assert {case.design for case in cases} == {known.design for known in (*DESIGNS, *UNITS)}
    actions = Counter(action.kind for case in cases for action in case.actions)
    assert set(actions) == {"part", "idle", "reset", "load", "enter"}
    assert {case.parameters["pipeline_stages"] for case in cases} == {0, 1, 2}
    assert draw_case(Random(7)) == draw_case(Random(7))


def test_a_case_is_the_same_after_a_way_through_its_file() -> None:
    for place in range(60):
        case = draw_case(Random(place))
        again = case_from_text(case.text(found_by="a test"))
        assert (again.spec, again.actions, again.junk) == (case.spec, case.actions, case.junk)


@pytest.mark.parametrize("place", range(6))
def test_nothing_differs(place: int) -> None:
    case = draw_case(Random(f"small {place}"))
    assert run_case(case, "graph") is None
    assert run_case(case, "icarus") is None


def test_all_engines_agree_on_one_case() -> None:
    case = Case("uniform", {"lanes": 2, "weight_bits": 3, "activation_bits": 2}, (
        Action("part", (1, -4, 3, 1, -1, -2), "w3a2s", True), Action("idle", (2,)),
        Action("part", (3, -4, 3, 3), "w3a2u"), Action("reset", (1,)), Action("part", (), "w3a2u", True),
    ), 5)  # fmt: skip
    for engine in ("graph", "icarus", "netlist", "verilator"):
        assert run_case(case, engine) is None


def broken(spec: Spec) -> str:
    """The Verilog with the first product of the first weight bit gone wrong: | in place of &, in its lowest bit."""
    product = r"= ((?:\{\d\{)?weights_q\[0\](?:\}\})? & (activations_q[^;]*));"
    return re.sub(product, r"= (\1) | weights_q[0] | (\2 & 1'b1);", to_verilog([spec]), count=1)


def test_a_planted_fault_is_found_made_small_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(benches, "verilog_of", broken)
    parameters = {"lanes": 3, "weight_bits": 4, "activation_bits": 4, "pipeline_stages": 2, "reduction_length": 64}
    codes = tuple(Random(0).choices(range(-8, 8), k=40))
    noise = [Action("idle", (3,)), Action("part", codes, "w4a4s", True), Action("reset", (2,))]
    case = Case("uniform", parameters, (*noise, Action("part", codes[::-1], "w4a4s", True), *noise), 99)
    fault = run_case(case, "icarus")
    assert isinstance(fault, Fault)
    small = minimised(case, lambda each: run_case(each, "icarus") is not None)
    assert len(small.actions) == 1
    assert len(small.actions[0].numbers) <= 4
    assert (small.parameters["lanes"], small.parameters["pipeline_stages"], small.junk) == (1, 0, 0)
    again = run_case(small, "icarus")
    assert again is not None
    path = fuzz._written(tmp_path, small, again, 3, 4)
    assert json.loads(path.read_text())["found_by"] == "seed 3, case 4"
    with pytest.raises(SystemExit) as caught:
        fuzz.main(["--replay", str(path)])
    assert caught.value.code == 1
    monkeypatch.setattr(benches, "verilog_of", lambda spec: to_verilog([spec]))
    fuzz.main(["--replay", str(path)])


def test_a_generator_that_ends_with_an_error_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(spec: Spec) -> str:
        raise ZeroDivisionError("a budget\nof nothing")

    monkeypatch.setattr(benches, "verilog_of", crash)
    fault = run_case(Case("uniform", {"lanes": 1}, ()), "icarus")
    assert fault == Fault("icarus", "ZeroDivisionError: a budget of nothing")


def test_an_unknown_output_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(spec: Spec) -> str:
        return to_verilog([spec]).replace("weights_q <= weights;", "weights_q <= 4'hx;")

    monkeypatch.setattr(benches, "verilog_of", unknown)
    case = Case("uniform", {"lanes": 1}, (Action("part", (1, 1), "w4a4s", True),))
    fault = run_case(case, "icarus")
    assert fault is not None
    assert re.fullmatch(r"cycle \d+: accumulator is [01x]+, not 1", fault.sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "must be"),
        ("{}", "design must be there, and be a str"),
        ('{"design": "none", "parameters": {}, "junk": 0, "actions": []}', "design must be one of uniform, "),
        ('{"design": "uniform", "parameters": {"a": 1}, "junk": 0, "actions": []}', "parameters of uniform must be "),
        ('{"design": "uniform", "parameters": {}, "junk": 0, "actions": [["part", ["1"]]]}',
         "action 0 must be [kind, numbers] or [kind, numbers, precision, begins]"),
        ('{"design": "uniform", "parameters": {}, "junk": 0, "actions": [["enter", [0, 1]]]}',
         "an action must be of the design, not 'enter'"),
        ('{"design": "uniform", "parameters": {}, "junk": 0, "actions": [["part", [9, 9], "w4a4s", true]]}',
         "weights must be from -8 to 7 at w4a4s, not 9"),
        ('{"design": "thresholds", "parameters": {}, "junk": 0, "actions": [["enter", [0, 1]]]}',
         "set 0 must be loaded before it is chosen"),
    ],
)  # fmt: skip
def test_files_that_are_no_cases_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        run_case(case_from_text(text), "icarus")
    assert sentence in str(caught.value)


def test_the_command_draws_runs_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz.main(["--minutes", "0.01", "--seed", "5", "--jobs", "1", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert re.search(r"^no difference in \d+ cases, seed 5$", said, re.MULTILINE)
    assert json.loads((tmp_path / "coverage.json").read_text())
