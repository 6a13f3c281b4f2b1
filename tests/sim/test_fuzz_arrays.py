"""siliquant fuzz on arrays: what its model says, and faults in every part of an array that it finds and makes small."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import UniformSpec
from rtl.requant import ThresholdSpec
from rtl.verilog import Reset, to_verilog
from siliquant.inputs import InputError
from sim import fuzz
from sim.campaigns import draw_case
from sim.fuzzing import Action, Case, Fault, array_plan, benches, case_from_text, minimised, run_case

MAC = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=16)
SMALL = ArraySpec(mac=MAC, rows=2, columns=1, activation_depth=8, weight_depth=8, result_depth=8, result_width=12)
WIDE = replace(
    SMALL, rows=3, columns=2, drains=2, architecture=Architecture.SYSTOLIC,
    requant=ThresholdSpec(accumulator_width=12, bits=1, groups=2, signed=False),
)  # fmt: skip
OPERANDS = Action("operands", (0, 4, 2, 1, 1, 2, 0, 1, -2, 1, 1, -1, 1, 0, -2, 1, 0), "w2a2s")  # two tiles
WAIT = Action("wait", ())


def case(spec: ArraySpec, *actions: Action, reset: Reset = Reset.SYNCHRONOUS_HIGH) -> Case:
    return Case("array", spec.parameters, actions, 7, reset)


def results(given: Case) -> list[int]:
    """Known results, in the order of their last reading."""
    spec = given.spec
    assert isinstance(spec, ArraySpec)
    wanted = array_plan(given).wanted[-spec.result_depth :]
    return [want.value for wants in wanted for want in wants if want.port == "result_data"]


def test_the_model_knows_a_product_and_what_is_added_to_it() -> None:
    # 1 * (1, 1, -2, 0) - 2 * (-1, 1, 1, ...): rows 1 and 0 of the first tile, then 3 and 2 of the second.
    product = [1 * a - 2 * b for a, b in ((1, -1), (1, 0), (-2, 1))]
    operands = Action("operands", (0, 3, 2, 1, 0, 0, 0, 1, -2, 1, -1, 1, 0, -2, 1), "w2a2s")
    once = results(case(SMALL, operands, Action("run", (0, 2)), WAIT))
    assert once == [value % 4096 for value in (product[1], product[0], product[2])]
    again = case(SMALL, operands, Action("run", (0, 2)), WAIT, Action("run", (0, 2, 1, 1, 1, 1)), WAIT)
    assert results(again) == [((value - 2 * value) >> 1) % 4096 for value in (product[1], product[0], product[2])]


def test_what_is_not_promised_is_not_wanted() -> None:
    start = Action("start", (1, 1, 1, 1, 1))
    assert results(case(SMALL, start, WAIT)) == []  # nothing was loaded
    assert len(results(case(SMALL, OPERANDS, Action("run", (0, 0)), WAIT))) == 4
    cut = case(SMALL, OPERANDS, Action("run", (0, 0)), Action("idle", (6,)), Action("reset", (1,)))
    assert 0 < len(results(cut)) < 4  # what was written before
    spoilt = case(SMALL, OPERANDS, Action("run", (0, 0)), replace(OPERANDS, numbers=(1, *OPERANDS.numbers[1:])), WAIT)
    assert len(results(spoilt)) < 4  # other operands are loaded over those that it reads
    mixed = case(SMALL, OPERANDS, Action("operands", (1, 1, 1, 1, 1, 6, 0, 1, 1), "w2a2u"), Action("run", (0, 0)), WAIT)
    assert results(mixed) == []  # weights and table of one precision, activations of another
    words = [want.port for wants in array_plan(case(SMALL)).wanted for want in wants]
    assert set(words) == {"busy", "error", "written"}


def test_refused_runs_say_why_and_keep_results() -> None:
    refused = case(SMALL, OPERANDS, Action("run", (0, 0)), WAIT, Action("start", (0, 1, 1)), WAIT)
    assert array_plan(refused).refused == (1,)
    assert len(results(refused)) == 4
    assert [want.value for want in array_plan(refused).wanted[-1] if want.port == "error"] == [1]


def test_other_cycles_than_the_spec_predicts_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArraySpec, "cycles", lambda spec, run, *, changed=False: 1)
    fault = run_case(case(SMALL, OPERANDS, Action("run", (0, 0)), WAIT), "icarus")
    assert fault is not None
    assert fault.kind == "cycles"
    assert re.fullmatch(r"a run of {.*} takes \d+ cycles, and 1 are predicted", fault.sentence)


SETS = tuple(Action("set", (3, group, 6 + group)) for group in range(2))
BUSY = (
    Action("pace", (8, 4, 4)), OPERANDS, Action("run", (0, 1)), WAIT, Action("read", (0, 8)),
    Action("pace", (0, 0, 0)), Action("run", (0, 1, 1, 1, 1, 1)), WAIT, Action("read", (0, 8)),
    Action("run", (0, 1)), Action("idle", (3,)), Action("reset", (1,)),
    Action("operands", (1, 4, 3, 2, 0, 0, 0, *((1, -1, -2) * 6)), "w2a2s"), Action("start", (1, 1, 1, 1, 9)), WAIT,
    Action("run", (1, 0)), WAIT, Action("read", (0, 8)),
)  # fmt: skip
CODES = (*SETS, *BUSY, Action("run", (1, 0, 0, 0, 0, 0, 1, 0, 1)), WAIT)


@pytest.mark.parametrize("reset", list(Reset), ids=lambda reset: reset.value)
def test_nothing_differs_whatever_the_reset(reset: Reset) -> None:
    assert array_plan(case(WIDE, *CODES, reset=reset)).checked > 30
    assert run_case(case(WIDE, *CODES, reset=reset), "icarus") is None


FAULTS = {
    "MAC": (SMALL, r"(wire \[1:0\] lane0_row1 = .*) & ", r"\1 | "),
    "operand controller": (SMALL, r"issue = \(running & ~hold\)", "issue = running"),
    "drain controller": (WIDE, r"\(since < \(together \? ('?\d'd\d+) : ('?\d'd\d+)\)\)", r"(since < \1)"),
    "drain register": (SMALL, r"drain_q <= (\w+ \?) (.*) : drain_in;", r"drain_q <= \1 \2 : ~drain_in;"),
    "result": (SMALL, r"(wire \[12:0\] term_0 = )run_negate", r"\1~run_negate"),
    "refusal": (SMALL, r"(refusal <= )error_2;", r"\1error_2 ^ 4'd1;"),
    "requantiser": (WIDE, r"(wire \[12:0\] comparison0 = .* \+ threshold0);", r"\1 + 13'd1;"),
}


@pytest.mark.parametrize("part", FAULTS)
def test_a_fault_is_found_made_small_and_runs_again(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec, pattern, replacement = FAULTS[part]
    changed: list[int] = []

    @cache
    def broken(each: ArraySpec, reset: Reset) -> str:
        text, count = re.subn(pattern, replacement, to_verilog([each], reset=reset), count=1)
        changed.append(count)
        return text

    given = case(spec, *(CODES if spec.requant is not None else BUSY))
    monkeypatch.setattr(benches, "verilog_of", broken)
    fault = run_case(given, "icarus")
    assert changed == [1]
    assert fault is not None
    assert fault.kind == "difference"
    small, again = minimised(given, fault, lambda each: run_case(each, "icarus"), most_tries=5)
    assert again.kind == "difference"
    assert len(small.actions) < len(given.actions)
    path = tmp_path / "case.json"
    path.write_text(small.text(fault=fault.sentence))
    assert case_from_text(path.read_text()).actions == small.actions
    monkeypatch.setattr(fuzz, "ENGINES", {"array": ("icarus",)})
    with pytest.raises(SystemExit) as caught:
        fuzz.main(["--replay", str(path)])
    assert caught.value.code == 1
    monkeypatch.undo()
    assert run_case(small, "icarus") is None


def test_a_fault_becomes_as_small_as_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every result that is not 0 were wrong: one product of one element shows it."""

    def run(each: Case) -> Fault | None:
        return Fault("icarus", "a result is not 0") if any(results(each)) else None

    given = case(WIDE, *CODES)
    fault = run(given)
    assert fault is not None
    small, _ = minimised(given, fault, run, most_tries=2000)
    spec = small.spec
    assert isinstance(spec, ArraySpec)
    assert [action.kind for action in small.actions] == ["operands", "run"]
    assert small.actions[0].numbers == (0, 1, 1, 1, 0, 0, 0, 1, 1)
    assert small.actions[1].numbers == (0,)
    assert (spec.rows, spec.columns, spec.drains, spec.requant, spec.systolic) == (1, 1, 1, None, False)
    assert (small.junk, spec.weight_depth, spec.activation_depth) == (0, 1, 1)


def test_engines_agree_on_one_array() -> None:
    for engine in ("netlist", "verilator"):
        assert run_case(case(SMALL, *BUSY), engine) is None


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (Action("enter", (1, 2)), "an action must be of an array, not 'enter' with 2 numbers"),
        (Action("run", (0, 0)), "an action must be of an array, not 'run' with 2 numbers"),
        (Action("start", (1 << 16,)), "steps must be from 0 to 65535, not 65536"),
        (Action("set", (1, 0, 0)), "a set must have columns, its number and parameters, on an array with requantisers"),
        (Action("operands", (0, 1, 1, 1), "w2a2s"),
         "operands must have 7 numbers and then their codes, not 4 numbers"),
        (Action("operands", (0, 1, 1, 1, 0, 0, 0, 1), "w2a2s"), "operands must have a slot, sizes and 2 codes, not 1"),
        (Action("operands", (0, 1, 1, 1, 0, 0, 0, 9, 1), "w2a2s"), "codes must be from -2 to 1 at w2a2s, not 9"),
        (Action("operands", (0, 1, 1, 1, 0, 0, 0, (1 << 64) - 1, 1), "w2a2s"),
         f"codes must be from -128 to 255, not {(1 << 64) - 1}"),
        (Action("operands", (0, 1, 1, 1, 0, 0, 0, 1, 1), "w9a9s"),
         "precision must be one of uniform_w2_a2_l1_k16, not 'w9a9s'"),
        (Action("read", (7, 2)), "an action must be of an array, not 'read' with 2 numbers"),
        (Action("idle", (1 << 14,)), "a case of an array must have at most 16,384 cycles"),
    ],
)  # fmt: skip
def test_actions_that_no_array_takes_are_refused(action: Action, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        run_case(case(SMALL, action), "icarus")
    assert str(caught.value) == f"action 0: {sentence}"


@pytest.mark.parametrize("value", [7, None, []])
def test_parameters_of_its_mac_must_be_an_object(value: object) -> None:
    text = json.loads(case(SMALL, Action("wait", ())).text())
    text["parameters"]["mac"]["parameters"] = value
    with pytest.raises(InputError, match=r"^parameters: parameters must be .*, not "):
        case_from_text(json.dumps(text))


def test_random_cases_are_their_own_again() -> None:
    for place in range(25):
        drawn = draw_case(Random(place), ("array",))
        assert array_plan(case_from_text(drawn.text())) == array_plan(drawn)
