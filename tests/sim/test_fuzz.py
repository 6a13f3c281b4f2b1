"""siliquant fuzz: what it draws, finds, makes small and runs again."""

import json
import os
import re
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from random import Random

import pytest

from rtl.mac import DESIGNS
from rtl.requant import ThresholdSpec
from rtl.verilog import Reset, to_verilog
from siliquant.inputs import InputError, ToolError
from siliquant.processes import EndedBySignalError
from sim import fuzz, parsers
from sim.campaigns import EVERY, STATE, Campaign, Tally, campaign, draw_case
from sim.campaigns.values import values_of
from sim.fuzzing import ENGINES, KINDS, Action, Case, Fault, benches, case_from_text, minimised, run_case
from sim.fuzzing.cases import ACTIONS, UNITS, Spec

ALL = [known.design for known in (*DESIGNS, *UNITS)]


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


@pytest.mark.parametrize(
    ("kinds", "cases", "seed", "engines"),
    [
        ("mac,requantiser", 12, 213, {"mac": {"graph", "icarus", "netlist"}, "requantiser": {"icarus", "netlist"}}),
        ("array,network", 3, 37, {"array": {"icarus"}, "network": {"export", "harness"}}),
    ],
)  # fmt: skip
def test_nothing_differs(
    kinds: str, cases: int, seed: int, engines: dict[str, set[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few cases of the real thing, small ones; the eight hours are a command with a record."""
    given = ["--cases", str(cases), "--jobs", "1", "--only", kinds, "--seed", str(seed), "--out", str(tmp_path)]
    fuzz.main(given)
    said = capsys.readouterr().out
    assert said.endswith(f"no difference in {cases} cases, seed {seed}\n")
    about = json.loads((tmp_path / "summary.json").read_text())
    assert about.keys() == {"seed", "failing", "mended", "cases", "engines", "compared", "values"}
    assert (about["seed"], about["failing"], sum(about["cases"].values())) == (seed, 0, cases)
    assert {kind: set(found) for kind, found in about["engines"].items()} == engines
    with pytest.raises(
        InputError, match=f"^{re.escape(str(tmp_path))} has a run of seed {seed} of {kinds.replace(',', ' and ')}; "
    ):
        fuzz.main(["--minutes", "0.5", "--seed", "1", "--out", str(tmp_path)])
    with pytest.raises(InputError) as caught:
        fuzz.main([*given[2:], "--cases", "2"])
    assert str(caught.value) == (
        f"{tmp_path} has a run that is beyond --cases 2, at {cases}; choose another --out, or begin anew with --fresh"
    )
    fuzz.main([*given[2:], "--minutes", "0.01"])  # it has run longer already
    assert json.loads((tmp_path / "summary.json").read_text()).items() > about.items()


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


@cache
def broken(spec: Spec, reset: Reset) -> str:
    """The Verilog with the first product of the first weight bit gone wrong: | in place of &, in its lowest bit."""
    product = r"= ((?:\{\d\{)?weights_q\[0\](?:\}\})? & (activations_q[^;]*));"
    return re.sub(product, r"= (\1) | weights_q[0] | (\2 & 1'b1);", to_verilog([spec], reset=reset), count=1)


def test_a_planted_fault_is_found_made_small_and_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(benches, "verilog_of", broken)
    parameters = {"lanes": 3, "weight_bits": 4, "activation_bits": 4, "pipeline_stages": 2, "reduction_length": 64}
    codes = tuple(Random(0).choices(range(-8, 8), k=16))
    noise = [Action("idle", (3,)), Action("part", codes, "w4a4s", True), Action("reset", (2,))]
    actions = (*noise, Action("part", codes[::-1], "w4a4s", True))
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
        ("[]", "it must be an object"),
        ("{}", "it lacks design"),
        ('{"design": "none", "parameters": {}, "junk": 0, "actions": [["idle", [1]]]}',
         f"parameters: design must be one of {', '.join(ALL)}, array, network, not 'none'"),
        ('{"design": "uniform", "parameters": {}, "junk": 0, "actions": [["part", ["1"]]]}',
         "action 0: must be [kind, numbers, precision, begins], not ['part', ['1']]"),
        ('{"design": "uniform", "parameters": {}, "junk": 0, "actions": [["enter", [0, 1]]]}',
         "action 0: an action must be of the design, not 'enter'"),
        ('{"design": "thresholds", "parameters": {}, "junk": 0, "actions": [["enter", [0, 1]]]}',
         "action 0: set 0 must be loaded before it is chosen"),
    ],
)  # fmt: skip
def test_files_that_are_no_cases_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        run_case(case_from_text(text), "icarus")
    assert str(caught.value) == sentence


def test_so_many_cases_have_the_same_result_whatever_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, or two at a time in a run that is killed amid them and goes on."""
    given = ["--cases", "6", "--only", "requantiser", "--seed", "4"]
    once, killed = tmp_path / "once", tmp_path / "killed"
    line = [sys.executable, "-m", "sim.fuzz", *given, "--jobs", "2", "--out", str(killed)]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while (
            not (killed / STATE).exists() or json.loads((killed / STATE).read_text())["cases"].get("requantiser", 0) < 2
        ):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()  # as kill -9 does
        process.wait()
    left = Campaign.load(killed)
    assert left is not None
    assert 2 <= left.tally.cases.total() == left.next - len(left.open) < 6
    assert len(left.open) <= 2
    said = []
    for folder in (killed, once):
        fuzz.main([*given, "--jobs", "1", "--out", str(folder)])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert (killed / "summary.json").read_bytes() == (once / "summary.json").read_bytes()
    found = Campaign.load(killed)
    assert found is not None
    assert (found.next, found.open, found.tally.cases) == (6, set(), {"requantiser": 6})
    assert sum(piece.cases for piece in found.pieces.values()) == 6
    assert found.seconds > left.seconds


def ends(seed: int, kinds: tuple[str, ...], place: int) -> campaign._Result:
    """In place of a case: number 1 ends its process."""
    if place == 1:
        os._exit(9)
    return campaign._Result("mac", ("graph",), [("uniform", "reset", "sync-high")], {"cycles": 1})


def test_a_case_that_ends_its_process_is_a_fault_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "_one", ends)
    with pytest.raises(SystemExit) as caught:
        fuzz.main(["--only", "mac", "--cases", "3", "--seed", "5", "--jobs", "1", "--out", str(tmp_path)])
    assert caught.value.code == 1
    made = Campaign.load(tmp_path)
    assert made is not None
    (name,) = made.failing
    assert json.loads((tmp_path / name).read_text())["fault"] == "it ends its process"
    assert made.tally.cases.total() == made.next == 3
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("fuzzing: ")]
    assert said == [
        f"{tmp_path / name}: {case_from_text((tmp_path / name).read_text()).spec.name}, : it ends its process",
        "sim.fuzz: 1 case fails; --replay FILE runs one again",
    ]


def lasts(seed: int, kinds: tuple[str, ...], place: int) -> campaign._Result:
    """In place of a case: one of a minute, which nothing but a signal ends."""
    time.sleep(100)
    return ends(seed, kinds, place)


def test_a_case_that_is_too_long_is_stopped_and_begun_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(campaign, "_one", lasts)
    given = ["--only", "mac", "--jobs", "1", "--out", str(tmp_path)]
    with pytest.raises(InputError) as caught:  # that it is stopped: what lasts gives a result
        fuzz.main([*given, "--minutes", "0.05"])
    assert str(caught.value) == "minutes must be long enough for one case to end, not '0.05'"
    left = Campaign.load(tmp_path)
    assert left is not None
    assert (left.next, left.open, left.tally.cases.total()) == (1, {0}, 0)
    monkeypatch.setattr(campaign, "_one", ends)
    with pytest.raises(SystemExit):
        fuzz.main([*given, "--cases", "2"])
    found = Campaign.load(tmp_path)
    assert found is not None
    assert (found.next, found.open, found.tally.cases.total()) == (2, set(), 2)


@pytest.mark.parametrize(
    "error",
    [ToolError("make ended with code 2"), EndedBySignalError("make was killed (SIGKILL)")],
    ids=lambda error: type(error).__name__,
)
def test_a_tool_that_was_killed_from_outside_is_run_again(error: ToolError, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault.of("verilator", error)
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


def test_a_kind_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fuzz.main(["--only", "mac,cpu", "--out", str(tmp_path)])
    assert str(caught.value) == "only must be of mac, requantiser, array and network, not 'cpu'"


def test_without_torch_networks_must_be_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        fuzz.main(["--out", str(tmp_path)])
    assert str(caught.value) == "only must leave out network, which needs torch: pip install '.[qat]' in the checkout"


def test_the_help_says_what_runs_where() -> None:
    text = " ".join(parsers.fuzz().format_help().split())
    every = {engine: {kind: EVERY[kind, engine][0] for kind in KINDS[:3]} for engine in ("netlist", "verilator")}
    small, large = every["netlist"]["mac"], every["netlist"]["array"]
    assert every == {
        "netlist": {"mac": small, "requantiser": small, "array": large}, "verilator": dict.fromkeys(KINDS[:3], large),
    }  # fmt: skip
    assert (
        f"One in {small} MACs and requantisers and one in {large} arrays, if small enough, also run as netlists" in text
    )
    assert f"and one in {large} of each in Verilator. Networks are compared with PyTorch" in text
    assert set(ENGINES) == set(KINDS)
    assert {kind for kind, _ in EVERY} == set(KINDS[:3])
