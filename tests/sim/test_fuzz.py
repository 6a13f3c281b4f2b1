"""siliquant fuzz: what it draws, finds, makes small and runs again."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from rtl.mac import DESIGNS
from rtl.requant import ThresholdSpec
from rtl.verilog import Reset, to_verilog
from siliquant.inputs import InputError
from sim import fuzz
from sim.campaigns import campaign, draw_case
from sim.campaigns.coverage import Tally, values_of
from sim.fuzzing import KINDS, Action, Case, Fault, benches, case_from_text, minimised, run_case
from sim.fuzzing.cases import ACTIONS, UNITS, Spec


def test_every_kind_design_and_action_is_drawn() -> None:
    cases = [draw_case(Random(place)) for place in range(300)]
    assert {case.kind for case in cases} == set(KINDS)
    assert {case.design for case in cases} == {known.design for known in (*DESIGNS, *UNITS)} | {"array", "network"}
    assert {case.reset for case in cases} == set(Reset)
    assert {action.kind for case in cases for action in case.actions} == set(ACTIONS) - {"stray"}
    assert draw_case(Random(7)) == draw_case(Random(7))


def test_a_case_is_the_same_after_a_way_through_its_file() -> None:
    for place in range(60):
        case = draw_case(Random(place))
        again = case_from_text(case.text(found_by="a test"))
        assert (again.spec.name, again.spec.parameters) == (case.spec.name, case.spec.parameters)
        assert (again.actions, again.junk, again.reset) == (case.actions, case.junk, case.reset)


@pytest.mark.parametrize(("kinds", "seed"), [("mac,requantiser", 11), ("array,network", 12)])
def test_nothing_differs(kinds: str, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a minute of the real thing on each of two workers; the eight hours are a command with a record."""
    given = ["--minutes", "0.5", "--jobs", "1", "--only", kinds, "--seed", str(seed), "--out", str(tmp_path)]
    fuzz.main(given)
    said = capsys.readouterr().out
    assert re.search(rf"^no difference in \d+ cases in \d+\.\d minutes, seed {seed}$", said, re.MULTILINE)
    about = json.loads((tmp_path / "summary.json").read_text())
    assert (about["seed"], about["failing"], set(about["cases"]) <= set(kinds.split(","))) == (seed, 0, True)
    assert about["minutes"] >= 0.5
    with pytest.raises(
        InputError, match=f"^{re.escape(str(tmp_path))} has a run of seed {seed} of {kinds.replace(',', ' and ')}; "
    ):
        fuzz.main(["--minutes", "0.5", "--seed", "1", "--out", str(tmp_path)])
    fuzz.main(given)  # it has run already
    assert json.loads((tmp_path / "summary.json").read_text()) == about


@pytest.mark.parametrize("reset", list(Reset), ids=lambda reset: reset.value)
def test_resets_of_any_style(reset: Reset) -> None:
    parts = (Action("part", (1, -1), "w2a2s", True), Action("part", (1, 1), "w2a2u"), Action("reset", (1,)))
    mac = Case("uniform", {"lanes": 1, "weight_bits": 2, "activation_bits": 2}, (*parts, *parts), 3, reset)
    enter = (Action("load", (0, 5)), Action("enter", (0, 5)), Action("reset", (2,)), Action("enter", (0, 4)))
    unit = Case("thresholds", {"accumulator_width": 6, "bits": 1}, enter, 3, reset)
    for case in (mac, unit):
        assert run_case(case, "icarus") is None


def test_all_engines_agree_on_one_case() -> None:
    case = Case("uniform", {"lanes": 2, "weight_bits": 3, "activation_bits": 2}, (
        Action("part", (1, -4, 3, 1, -1, -2), "w3a2s", True), Action("idle", (2,)),
        Action("part", (3, -4, 3, 3), "w3a2u"), Action("reset", (1,)), Action("part", (), "w3a2u", True),
    ), 5)  # fmt: skip
    for engine in ("graph", "icarus", "netlist", "verilator"):
        assert run_case(case, engine) is None


def broken(spec: Spec, reset: Reset) -> str:
    """The Verilog with the first product of the first weight bit gone wrong: | in place of &, in its lowest bit."""
    product = r"= ((?:\{\d\{)?weights_q\[0\](?:\}\})? & (activations_q[^;]*));"
    return re.sub(product, r"= (\1) | weights_q[0] | (\2 & 1'b1);", to_verilog([spec], reset=reset), count=1)


def test_a_planted_fault_is_found_made_small_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(benches, "verilog_of", broken)
    parameters = {"lanes": 3, "weight_bits": 4, "activation_bits": 4, "pipeline_stages": 2, "reduction_length": 64}
    codes = tuple(Random(0).choices(range(-8, 8), k=40))
    noise = [Action("idle", (3,)), Action("part", codes, "w4a4s", True), Action("reset", (2,))]
    actions = (*noise, Action("part", codes[::-1], "w4a4s", True), *noise)
    case = Case("uniform", parameters, actions, 99, Reset.ASYNCHRONOUS_LOW)
    fault = run_case(case, "icarus")
    assert isinstance(fault, Fault)
    small, again = minimised(case, fault, lambda each: run_case(each, "icarus"))
    assert len(small.actions) == 1
    assert len(small.actions[0].numbers) <= 4
    assert (small.parameters["lanes"], small.parameters["pipeline_stages"], small.junk) == (1, 0, 0)
    assert small.reset is Reset.SYNCHRONOUS_HIGH
    path = tmp_path / campaign._written(tmp_path, small, again, 3, 4)
    assert json.loads(path.read_text())["found_by"] == "seed 3, case 4"
    with pytest.raises(SystemExit) as caught:
        fuzz.main(["--replay", str(path)])
    assert caught.value.code == 1
    monkeypatch.undo()
    fuzz.main(["--replay", str(path)])


def test_a_fault_of_a_requantiser_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(spec: Spec, reset: Reset) -> str:
        return re.sub(r"(comparison0 = .* \+ \w+);", r"\1 + 7'd1;", to_verilog([spec], reset=reset))

    monkeypatch.setattr(benches, "verilog_of", wrong)
    actions = (Action("load", (0, 5)), *(Action("enter", (0, value)) for value in range(2, 8)), Action("idle", (3,)))
    case = Case("thresholds", {"accumulator_width": 6, "bits": 1, "pipeline_stages": 1}, actions, 3)
    fault = run_case(case, "icarus")
    assert fault is not None
    small, _ = minimised(case, fault, lambda each: run_case(each, "icarus"), most_tries=90)
    assert [action.kind for action in small.actions] == ["load", "enter"]


def test_a_generator_that_ends_with_an_error_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(spec: Spec, reset: Reset) -> str:
        raise ZeroDivisionError("a budget\nof nothing")

    monkeypatch.setattr(benches, "verilog_of", crash)
    fault = run_case(Case("uniform", {"lanes": 1}, ()), "icarus")
    assert fault == Fault("icarus", "ZeroDivisionError: a budget of nothing", "ZeroDivisionError")


def test_an_accumulator_that_does_not_stay_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(spec: Spec, reset: Reset) -> str:
        text = to_verilog([spec], reset=reset)
        assert "if (valid_q0) accumulator_q" in text
        return text.replace("if (valid_q0) accumulator_q", "accumulator_q")

    monkeypatch.setattr(benches, "verilog_of", forgets)
    case = Case("uniform", {"lanes": 1}, (Action("part", (1, 1, 1, 1), "w4a4s", True), Action("idle", (3,))))
    fault = run_case(case, "icarus")
    assert fault is not None
    assert re.fullmatch(r"cycle \d+: accumulator is 3, not 2", fault.sentence)


def test_an_unknown_output_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(spec: Spec, reset: Reset) -> str:
        return to_verilog([spec], reset=reset).replace("weights_q <= weights;", "weights_q <= 4'hx;")

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


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    given = ["-m", "sim.fuzz", "--minutes", "5", "--only", "requantiser", "--jobs", "2", "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, *given], stderr=subprocess.DEVNULL, start_new_session=True)
    path = tmp_path / campaign.STATE
    try:
        while not path.exists() or json.loads(path.read_text())["cases"]["requantiser"] < 3:
            assert process.poll() is None
            time.sleep(0.1)
    finally:
        process.kill()  # as kill -9 does
        process.wait()
    killed = campaign.Campaign.load(tmp_path)
    assert killed is not None
    assert killed.tally.cases.total() == killed.next - len(killed.open) >= 3
    assert len(killed.open) <= 2
    begun, seconds = set(killed.open), killed.seconds
    while begun & killed.open or killed.seconds < seconds + 3:
        campaign.fuzz(killed, killed.seconds + 3, 1, tmp_path)
    again = campaign.Campaign.load(tmp_path)
    assert again is not None
    assert again.tally.cases.total() == again.next - len(again.open)
    assert not begun & again.open
    assert again.seconds >= seconds + 3
    assert sum(piece["cases"] for piece in again.pieces.values()) == again.tally.cases.total()


def ends(seed: int, kinds: tuple[str, ...], place: int) -> campaign._Result:
    """In place of a case: number 1 ends its process."""
    if place == 1:
        os._exit(9)
    time.sleep(0.05)
    return campaign._Result("mac", ("graph",), [("uniform", "lanes", "1")], {"cycles": 1})


def test_a_case_that_ends_its_process_is_a_fault_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "_one", ends)
    made = campaign.Campaign(5, ("mac",))
    campaign.fuzz(made, 12, 1, tmp_path)
    assert len(made.failing) == 1
    assert json.loads((tmp_path / made.failing[0]).read_text())["fault"] == "it ends its process"
    assert made.tally.cases.total() == made.next - len(made.open) > 1
    assert "it ends its process" in capsys.readouterr().err


def test_a_tool_that_was_killed_from_outside_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault("verilator", "ToolError: make ended with code 2", "ToolError")
    for outcomes, expected in (([fault, None, None, None], None), ([fault, fault], fault)):
        left = iter(outcomes)
        monkeypatch.setattr(campaign, "run_case", lambda case, engine, compared, left=left: next(left, None))
        monkeypatch.setattr(campaign, "minimised", lambda case, fault, run: (case, fault))
        assert campaign._one(5, ("mac",), 1).fault == expected


def test_netlists_of_large_units_are_left_out() -> None:
    for groups, bits, expected in ((3, 7, ("icarus",)), (3, 2, ("icarus", "netlist"))):
        spec = ThresholdSpec(accumulator_width=48, bits=bits, groups=groups)
        assert (spec.groups * spec.parameter_width > 2048) == (bits == 7)
        assert campaign.engines_of(Case(spec.design, spec.parameters, ()), 2) == expected


def test_what_was_never_drawn_is_told() -> None:
    tally = Tally()
    drawn = Case("uniform", {"lanes": 3, "pipeline_stages": 1}, (Action("part", (1, 1), "w4a4s", True),))
    tally.add("mac", ("graph", "icarus"), values_of(drawn), {"cycles": 9})
    lines = {line[1]: line[2:] for line in Tally.from_plain(json.loads(json.dumps(tally.plain()))).lines()}
    assert lines["pipeline_stages"] == ["1", "1", "0 to 2", "0, 2"]
    assert lines["reset"] == ["1", "sync-high", "sync-high, sync-low, async-high, async-low",
                              "sync-low, async-high, async-low"]  # fmt: skip
    assert lines["reduction_length"] == ["1", "4096", "1 to 16777216", "16,777,215 values"]
    assert lines["weight_bits"][3] == "1 to 3, 5 to 8"
    spec = draw_case(Random(2), ("array",))
    tally.add("array", ("icarus",), values_of(spec), {})
    missing = {line[1]: line[5] for line in tally.lines() if line[0] == "array"}
    assert missing["architecture"] in ("broadcast", "systolic")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": 2}, "version must be 1, not 2"),
        ({"kinds": ["mac", "none"]}, "kinds must be of mac, requantiser, array and network, not "),
        ({"open": [9]}, "seed, next and open must be numbers of cases, from 0 on, open ones below next"),
        ({"cases": {"mac": -1}}, "the counts of a run must be those that it wrote: "),
        ({"values": 3}, "the counts of a run must be those that it wrote: "),
        ({"seconds": "1"}, "seconds must be "),
    ],
)
def test_a_state_that_no_run_wrote_is_refused(changes: dict[str, object], sentence: str, tmp_path: Path) -> None:
    campaign.Campaign(3).save(tmp_path)
    path = tmp_path / campaign.STATE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError) as caught:
        campaign.Campaign.load(tmp_path)
    assert sentence in str(caught.value)


def test_a_kind_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fuzz.main(["--only", "mac,cpu", "--out", str(tmp_path)])
    assert str(caught.value) == "only must be of mac, requantiser, array and network, not 'cpu'"


def test_without_torch_networks_must_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        fuzz.main(["--out", str(tmp_path)])
    assert str(caught.value) == "only must leave out network, which needs torch: pip install '.[qat]' in the checkout"
