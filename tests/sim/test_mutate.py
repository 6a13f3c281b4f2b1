"""Mutants: the tests find what is planted, the solver tells what cannot be seen, and a weak sequence is found out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, BitSerialSpec, PaddedSpec, UniformSpec, XnorSpec
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.verilog import to_verilog
from sim import mutate
from sim.array import run_array_tests
from sim.controllers import CONTROLLERS
from sim.fuzzing import run_case
from sim.mutants import Stimulus, Subject, score_mutants, standard_subjects, stimulus_of
from sim.mutants.deciding import check_assumed, check_granted, decide, with_assumptions
from sim.mutants.running import changes_of, play
from sim.mutants.stimuli import Due, unit_case
from sim.proofs import ProofError
from sim.simulators import SimulationError, ToolError
from tests.caches import with_runtime

SMALL = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9)
ARRAY = ArraySpec(
    mac=BitSerialSpec(units=1, maximum_bits=2, reduction_length=7), rows=2, columns=1,
    activation_depth=60, weight_depth=50, result_depth=30, result_width=12,
)  # fmt: skip
REQUANTISED = replace(
    ARRAY, architecture=Architecture.SYSTOLIC, requant=ThresholdSpec(accumulator_width=12, bits=2, groups=2)
)
MODES = ("const0", "const1")
_MAC = UniformSpec(weight_bits=1, activation_bits=1, lanes=1, reduction_length=2)
_MEMORIES = {"activation_depth": 4, "weight_depth": 4, "result_depth": 4, "result_width": 4}
TINY = ArraySpec(mac=_MAC, rows=2, columns=1, **_MEMORIES)
TINY_SYSTOLIC = ArraySpec(mac=_MAC, rows=2, columns=2, drains=2, architecture=Architecture.SYSTOLIC, **_MEMORIES)
UNITS = (
    ThresholdSpec(accumulator_width=8, bits=2, groups=3),
    MultiplierSpec(accumulator_width=8, bits=2, groups=3, multiplier_width=4, offset_width=10, shift=4, shift_bits=1),
    PartialSumSpec(accumulator_width=8, groups=3, multiplier_width=4, pipeline_stages=1),
)


def test_every_design_is_mutated_in_two_configurations() -> None:
    subjects = standard_subjects()
    for kind in (*DESIGNS, ThresholdSpec, MultiplierSpec, PartialSumSpec):
        assert sum(isinstance(subject.spec, kind) for subject in subjects) == 2
    for architecture in Architecture:
        arrays = [each for each in subjects if getattr(each.spec, "architecture", None) is architecture]
        assert [each.part for each in arrays] == ["", *CONTROLLERS]


@pytest.mark.parametrize("spec", [SMALL, *UNITS], ids=lambda spec: spec.name)
def test_nearly_all_mutants_are_found(spec: UniformSpec) -> None:
    found = score_mutants(Subject(spec), count=60, seed=3)
    assert found.mutants == 60
    assert found.killed + found.equal + len(found.survivors) == 60
    assert found.score > 0.96, found.survivors


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_units_pass_their_sequences_in_icarus(spec: LoadableSpec) -> None:
    assert run_case(unit_case(spec), "icarus") is None


def test_a_weak_sequence_finds_less() -> None:
    """The gates that force ignored bits to zero are found only where those bits are something else."""
    spec = PaddedSpec(units=1, widths=(4, 2), gating=True, reduction_length=20)
    stimulus = stimulus_of(spec)
    low, cycles = 0, []
    places = {}
    for name, width in stimulus.inputs:
        places[name] = low
        low += width
    for word, due in zip(stimulus.cycles, stimulus.due, strict=True):
        mode = word >> places["mode"] & 1
        ignored = sum(0b0011 << places[name] for name in ("weights", "activations")) if mode else 0
        cycles.append(word & ~ignored if due else word)
    verilog = with_assumptions(spec, to_verilog([spec]))
    strong, weak = (
        sum(each.cycle is None for each in play(verilog, spec.name, each, seed=1, count=200))
        for each in (stimulus, replace(stimulus, cycles=tuple(cycles)))
    )
    assert strong < weak


def test_the_module_itself_must_pass() -> None:
    stimulus = stimulus_of(SMALL)
    at = stimulus.due.index(Due.RESULT)
    results = [*stimulus.results[:at], stimulus.results[at] ^ 1, *stimulus.results[at + 1 :]]
    with pytest.raises(ToolError, match=rf"^{SMALL.name} is not what its stimulus expects, in cycle {at}$"):
        play(to_verilog([SMALL]), SMALL.name, replace(stimulus, results=tuple(results)), seed=1, count=3)


def test_the_solver_tells_what_cannot_be_seen() -> None:
    """Of the sums of a comparator only the sign is read."""
    unit = ThresholdSpec(accumulator_width=6, bits=1)
    text = with_assumptions(unit, to_verilog([unit]))
    changes = [each.change for each in play(text, unit.name, stimulus_of(unit), seed=1, count=80)]
    sums = [each for each in changes if "-wire comparison0 " in each]
    low = [each for each in sums if "-wirebit 6 " not in each and "-port Y " in each]
    high = [each for each in sums if "-wirebit 6 " in each]
    assert {decide(unit, text, each) for each in low[:3]} == {"equal"}
    assert {decide(unit, text, each) for each in high[:3]} == {"differs"}


def test_the_solver_calls_nothing_equal_that_a_test_finds() -> None:
    """And what it assumes of the controls is what the tests drive."""
    spec = PaddedSpec(units=1, widths=(4, 2), gating=True, reduction_length=20, pipeline_stages=1)
    stimulus, text = stimulus_of(spec), with_assumptions(spec, to_verilog([spec]))
    assert text.count("assume (") == 3  # in the stages of operands, sum and output
    check_assumed(spec, stimulus)
    found = [each.change for each in play(text, spec.name, stimulus, seed=2, count=60) if each.cycle is not None]
    assert {decide(spec, text, change) for change in found[:8]} == {"differs"}
    odd = XnorSpec(lanes=5, reduction_length=20)
    check_assumed(odd, stimulus_of(odd))


def test_controls_that_the_solver_takes_for_illegal_are_not_driven() -> None:
    spec = PaddedSpec(units=1, widths=(4, 2, 1), gating=True, reduction_length=20)
    stimulus = stimulus_of(spec)
    check_assumed(spec, stimulus)
    low = 0
    for name, width in stimulus.inputs:
        if name == "mode":
            break
        low += width
    at = next(k for k, word in enumerate(stimulus.cycles) if word & 3 == 2)  # in_valid without rst
    word = stimulus.cycles[at] & ~(3 << low) | 2 << low
    strange = replace(stimulus, cycles=(*stimulus.cycles[:at], word, *stimulus.cycles[at + 1 :]))
    with pytest.raises(ToolError, match="the tests drive controls that should not be"):
        check_assumed(spec, strange)


def test_control_words_that_no_table_has_are_not_loaded(array_stimulus: Stimulus) -> None:
    check_assumed(ARRAY, array_stimulus)
    low, places = 0, {}
    for name, width in array_stimulus.inputs:
        places[name] = low
        low += width
    word = 1 << places["load_control"] | 2 << places["control_data"]
    strange = replace(array_stimulus, cycles=(word, *array_stimulus.cycles[1:]))
    with pytest.raises(ToolError, match=r"the tests drive controls that should not be: .*'control_data': 2"):
        check_assumed(ARRAY, strange)


def test_an_enable_that_is_always_1_is_never_seen() -> None:
    """It loads what nobody reads: registers differ, outputs do not. One that is always 0 is seen."""
    spec = BitSerialSpec(units=1, maximum_bits=2, reduction_length=4, pipeline_stages=1)
    text, stimulus = with_assumptions(spec, to_verilog([spec])), stimulus_of(spec)
    changes = [each.change for each in play(text, spec.name, stimulus, seed=1, count=400)]
    enables = {mode: [each for each in changes if f"-mode {mode} " in each and "-port EN" in each] for mode in MODES}
    assert {decide(spec, text, change) for change in enables["const1"][:2]} == {"equal"}
    assert {decide(spec, text, change) for change in enables["const0"][:2]} == {"differs"}


@pytest.fixture(scope="module")
def array_stimulus() -> Stimulus:
    return stimulus_of(ARRAY)


@pytest.mark.slow
def test_the_tests_can_be_played_on_every_array_that_is_mutated() -> None:
    arrays = [each.spec for each in standard_subjects() if isinstance(each.spec, ArraySpec) and not each.part]
    assert len(arrays) == 2
    assert all(len(stimulus_of(array).cycles) > 5000 for array in arrays)


def test_what_the_tests_of_an_array_look_at_finds_its_mutants(array_stimulus: Stimulus) -> None:
    text = to_verilog([ARRAY])
    played = play(text, ARRAY.name, array_stimulus, seed=1, count=60)
    found = [each.change for each in played if each.cycle is not None]
    assert len(found) > 50
    # What the solver takes for granted of an array hides no fault that can be seen.
    assumed = with_assumptions(ARRAY, text)
    late = sorted((each for each in played if each.cycle is not None), key=lambda each: -(each.cycle or 0))
    assert decide(ARRAY, assumed, late[0].change) in ("differs", "open")
    blind = replace(array_stimulus, masks=(0,) * len(array_stimulus.cycles))
    assert all(each.cycle is None for each in play(text, ARRAY.name, blind, seed=1, count=5))


@pytest.mark.parametrize(("array", "look"), [(ARRAY, 20), (REQUANTISED, 53)], ids=("broadcast", "systolic"))
def test_the_tests_of_an_array_fail_where_they_see_another_bit(array: ArraySpec, look: int, tmp_path: Path) -> None:
    """Else a mutant would count as found where a test looks at it and does not care."""
    trace = tmp_path / "trace.txt"
    with pytest.raises(SimulationError) as caught:
        run_array_tests([array], tmp_path, simulator="icarus", trace=trace, flip=look)
    looked = trace.read_text().splitlines().count("flip")
    assert looked > 10
    assert re.match(rf"{looked} of \d+ tests failed", str(caught.value))


def test_rows_that_shift_on_after_the_last_sum_are_never_seen(tmp_path: Path) -> None:
    """Not of any array, for ever, though registers differ."""
    text = with_assumptions(TINY, to_verilog([TINY]))
    (tmp_path / "design.v").write_text(text)
    shifts = [each for each in changes_of(tmp_path, TINY.name, 1, 400) if "-wire rows_left" in each]
    answers = {decide(TINY, text, each) for each in shifts if "-mode const" in each}
    assert answers == {"equal", "differs"}
    for cell in ("weight_0", "result_0_0", "drain_controller"):  # its clock stands still
        assert decide(TINY, text, f"mutate -mode const0 -module mutated -cell {cell} -port clk -portbit 0") != "equal"


@pytest.mark.parametrize(
    "words",
    [("-port EN", "-wire grid.valid_out_"), ("-port write_address", "-wire result_"),
     ("-mode const0", "-wire finished_d"), ("-mode const0", "-wire error ")],
    ids=("enable", "address", "end", "refusal"),
)  # fmt: skip
def test_what_a_systolic_array_shows_or_writes_otherwise_is_seen(
    words: tuple[str, ...], tiny_systolic: tuple[str, list[str]]
) -> None:
    text, changes = tiny_systolic
    change = next(each for each in changes if all(word in each for word in words))
    assert decide(TINY_SYSTOLIC, text, change) == "differs"


@pytest.fixture(scope="module")
def tiny_systolic(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """The text of an array and changes to it."""
    folder, text = tmp_path_factory.mktemp("mutants"), with_assumptions(TINY_SYSTOLIC, to_verilog([TINY_SYSTOLIC]))
    (folder / "design.v").write_text(text)
    return text, changes_of(folder, TINY_SYSTOLIC.name, 1, 1000)


@pytest.mark.parametrize("array", [TINY, TINY_SYSTOLIC], ids=("broadcast", "systolic"))
def test_a_run_that_ends_too_early_is_found(array: ArraySpec) -> None:
    """It would hide what can be seen of a mutant, since it is taken for granted that there is none."""
    text = with_assumptions(array, to_verilog([array]))
    check_granted(array, text, cycles=16)
    end = re.search(r"else if \((finished\w*)\) running <= 1'b0;", text)
    assert end
    early = text.replace(end[0], end[0].replace(end[1], "tile_q"))
    with pytest.raises(ProofError) as caught:
        check_granted(array, early, cycles=12)
    assert str(caught.value) == f"{array.name}: a run ends while operands or sums are on their way"
    with pytest.raises(ProofError) as caught:
        check_granted(array, text, cycles=4)
    assert str(caught.value) == f"{array.name}: no run ends in 4 cycles"


def test_a_controller_that_is_proved_no_more_is_refused(array_stimulus: Stimulus) -> None:
    text, part = to_verilog([ARRAY]), "operand_controller"
    played = play(text, ARRAY.name, array_stimulus, seed=1, count=120, part=part)
    high = [each for each in played if re.search(r"-mode (inv|const1) .*-wire step -wirebit 1[0-5] ", each.change)]
    assert high
    assert {decide(ARRAY, text, each.change, part) for each in high[:2]} == {"refused"}


def test_the_command_scores_keeps_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(with_runtime(tmp_path / "cache")))
    arguments = ["--design", "uniform", "--weight-bits", "1", "--activation-bits", "2", "--lanes", "1", "--count", "40"]
    mutate.main([*arguments, "--out", str(tmp_path / "one.json")])
    said = capsys.readouterr().out
    assert "of 40 that can be seen are found" in said
    record = json.loads((tmp_path / "one.json").read_text())
    assert [each["name"] for each in record["modules"]] == ["uniform_w1_a2_l1"]
    monkeypatch.setattr(mutate, "score_mutants", lambda *_, **__: pytest.fail("scored again"))
    mutate.main([*arguments, "--out", str(tmp_path / "two.json")])
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_low_score_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(with_runtime(tmp_path / "cache")))
    good = score_mutants(Subject(SMALL), count=10)
    monkeypatch.setattr(mutate, "_scored", lambda *_, **__: [replace(good, killed=5, equal=0, mutants=10)])
    with pytest.raises(SystemExit) as caught:
        mutate.main([])
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"sim.mutate: {SMALL.name}: 50.0 % killed, not 99 %"
