"""What siliquant fuzz reads: how far a run is, and cases. Whatever no run wrote is refused, with place and value."""

from __future__ import annotations

import errno
import json
import os
import re
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs_tools.results import read_result
from siliquant.files import temporary
from siliquant.inputs import FileError, InputError, ToolError
from sim import fuzz
from sim.campaigns import STATE, Campaign, Tally, draw_case
from sim.campaigns import campaign as module
from sim.campaigns.campaign import _written, engines_of
from sim.campaigns.state import Piece
from sim.campaigns.values import values_of
from sim.fuzzing import ARRAY, KINDS, Action, Case, Fault, array_plan, case_from_text, cases, plan_of, running

CODE = "0123456789abcdef" * 4
FILE = "uniform-89abcdef.json"
MAC = Case("uniform", {"lanes": 1}, (Action("part", (1, 1), "w4a4s", True),))


def run_of(folder: Path) -> Path:
    """The state of a run of some cases, one of which fails."""
    made = Campaign(3, KINDS, 9, {4, 7}, [FILE], pieces={CODE: Piece(7, 12.34)})
    for place, kinds in enumerate((*((kind,) for kind in KINDS), ("mac",), ("array",), ("requantiser",))):
        case = draw_case(Random(place), kinds)
        made.tally.add(case.kind, engines_of(case, 2), values_of(case), {"cycles": 10, "results": 3})
    (folder / FILE).write_text(MAC.text())
    made.save(folder)
    return folder / STATE


@cache
def written(folder: Path) -> str:
    return run_of(folder).read_text()


def test_a_state_is_the_same_after_a_way_through_its_file(tmp_path: Path) -> None:
    path = run_of(tmp_path)
    before = path.read_bytes()
    found = Campaign.load(tmp_path)
    assert found is not None
    assert (found.next, found.open, found.failing, found.tally.cases.total()) == (9, {4, 7}, [FILE], 7)
    found.save(tmp_path)
    assert path.read_bytes() == before
    assert Campaign.load(tmp_path / "elsewhere") is None


def test_a_case_that_fails_no_more_is_mended(tmp_path: Path) -> None:
    run_of(tmp_path)
    found = Campaign.load(tmp_path)
    assert found is not None
    module.fuzz(found, 0, 1, tmp_path)
    after = Campaign.load(tmp_path)
    assert after is not None
    assert (after.failing, after.mended, after.tally.cases.total()) == ([], [FILE], 7)
    (tmp_path / FILE).unlink()
    with pytest.raises(InputError, match=r"mended\[0\]: must be the name of a case that fails and lies beside"):
        Campaign.load(tmp_path)


def test_a_full_disk_is_no_fault_of_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run, instead of counting each case from then on as one that fails."""

    def on(error: Exception) -> Fault | None:
        def bench(*given: Any, **more: Any) -> None:
            raise error

        monkeypatch.setattr(running, "run_bench", bench)
        return running.run_case(MAC, "icarus")

    full = FileError("No space left on device for a temporary file", file=Path("tmp"))
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileError, match="No space left on device"):
        on(full)
    with pytest.raises(FileError, match="No space left on device"):
        module._one(3, ("mac",), 0)  # the whole way: not a case that is refused, either
    assert on(ToolError("the compiler failed")) is not None
    with monkeypatch.context() as patch:
        patch.setattr(temporary, "full", lambda folder: OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(FileError, match="No space left on device for a temporary file"):
            on(ToolError("the compiler failed"))
    assert on(FileError("cannot be read", file=Path("x"))) is not None
    assert on(OSError(errno.EIO, "Input/output error")) is not None


def never(folder: Path, name: str) -> bool:
    """In place of a case that is run again: it fails, or ends its process."""
    if name == FILE:
        os._exit(9)
    return False


def test_a_case_that_still_fails_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_passes", never)
    run_of(tmp_path)
    found = Campaign.load(tmp_path)
    assert found is not None
    module.fuzz(found, 0, 1, tmp_path)
    assert (found.failing, found.mended) == ([FILE], [])


def test_the_record_of_the_documents_is_what_a_run_has() -> None:
    assert Tally.from_plain(read_result("fuzz")).cases.total() == sum(read_result("fuzz")["cases"].values())


SEED, SECONDS = (1 << 64) - 1, "a number from 0 to 1e+08"
MEMBERS = "version, seed, kinds, next, open, seconds, failing, mended, pieces, cases, engines, compared and values"
NAMES = "must be the name of a case that fails and lies beside this file, each once"
STATES: list[tuple[str, Any, str]] = [
    ("version", 2, "version: must be 1, not 2"),
    ("more", 1, f"it: must have {MEMBERS}, not 'more'"),
    ("seed", -1, f"seed: must be an integer from 0 to {SEED}, not -1"),
    ("seed", True, f"seed: must be an integer from 0 to {SEED}, not True"),
    ("next", "9", "next: must be an integer from 0 to 1000000000, not '9'"),
    ("next", 8, "cases: must be 6 in all, as next and open say, not 7"),
    ("kinds", ["mac", []], "kinds: must be of mac, requantiser, array and network, in this order, not ['mac', []]"),
    ("kinds", [], "kinds: must be of mac, requantiser, array and network, in this order, not []"),
    ("kinds", ["mac"], "cases: must be of mac, as kinds says, not 'requantiser'"),
    ("open", [4, 9], "open[1]: must be a number of a case below next, 9, each once, not 9"),
    ("open", [4, 4], "open[1]: must be a number of a case below next, 9, each once, not 4"),
    ("open", [4, "7"], "open[1]: must be a number of a case below next, 9, each once, not '7'"),
    ("open", [4], "cases: must be 8 in all, as next and open say, not 7"),
    ("seconds", -5, f"seconds: must be {SECONDS}, not -5"),
    ("seconds", 1e9, f"seconds: must be {SECONDS}, not 1000000000.0"),
    ("seconds", "12.3", f"seconds: must be {SECONDS}, not '12.3'"),
    ("seconds", None, f"seconds: must be {SECONDS}, not None"),
    ("seconds", 99, "seconds: must be what all pieces took, 12.3, not 99"),
    ("failing", ["uniform-00000000.json"], f"failing[0]: {NAMES}, not 'uniform-00000000.json'"),
    ("failing", [f"../{FILE}"], f"failing[0]: {NAMES}, not '../{FILE}'"),
    ("failing", [FILE, FILE], f"failing[1]: {NAMES}, not '{FILE}'"),
    ("failing", [3], f"failing[0]: {NAMES}, not 3"),
    ("failing", [FILE] * 8, "failing: must have at most as many as there are cases, 7, not 8"),
    ("failing", {}, "failing must be a list, not {}"),
    ("pieces", {CODE: {"cases": 7}}, "pieces.01234567: must be an object of cases and seconds, not {'cases': 7}"),
    ("pieces", {CODE: 7}, "pieces.01234567: must be an object of cases and seconds, not 7"),
    ("pieces", {"x": {}}, "pieces: must have sha256 of code as names, not 'x'"),
    ("pieces", {CODE: {"cases": 6, "seconds": 12.3}}, "pieces: must have as many cases as there are, 7, not 6"),
    ("pieces", {CODE: {"cases": "7", "seconds": 1}}, "pieces.01234567.cases: must be an integer from 0 to 7, not '7'"),
    ("pieces", {CODE: {"cases": 7, "seconds": -1}}, f"pieces.01234567.seconds: must be {SECONDS}, not -1"),
    ("pieces", [], "pieces must be an object, not []"),
    ("cases", 3, "cases must be an object, not 3"),
    ("cases.mac", -1, "cases.mac: must be an integer from 0 to 1000000000000000, not -1"),
    ("cases.mac", "2", "cases.mac: must be an integer from 0 to 1000000000000000, not '2'"),
    ("cases.mac", 3, "values: must have as many values of reset of cases of mac as these are, 3, not 2"),
    ("cases.cpu", 0, "cases: must have names of mac, requantiser, array and network, not 'cpu'"),
    ("engines.mac", [], "engines.mac: must be an object, not []"),
    ("engines.mac.gpu", 1, "engines.mac: must have names of graph, icarus, verilator and netlist, not 'gpu'"),
    ("engines.mac.icarus", 3, "engines.mac.icarus: must be an integer from 0 to 2, not 3"),
    ("engines.cpu", {}, "engines: must have names of mac, requantiser, array and network, not 'cpu'"),
    ("compared.mac.seconds", 1, "compared.mac: must have names of cycles and results, not 'seconds'"),
    ("compared.mac.cycles", 1.5, "compared.mac.cycles: must be an integer from 0 to 1000000000000000, not 1.5"),
    ("values", 3, "values must be an object, not 3"),
    ("values.array", 3, "values.array: must be an object, not 3"),
    ("values.array.rows", 3, "values.array.rows: must be an object, not 3"),
    ("values.array.A B", {}, "values.array: must have names of parameters, not 'A B'"),
    ("values.array.rows.many", 1, "values.array.rows: must have values from 1 to 256, not 'many'"),
    ("values.array.rows.257", 1, "values.array.rows: must have values from 1 to 256, not '257'"),
    ("values.array.rows.1", "1", "values.array.rows.1: must be an integer from 0 to 1000000000000000, not '1'"),
    ("values.array.architecture.ring", 1,
     "values.array.architecture: must have values of broadcast and systolic, not 'ring'"),
    ("values.array.action.run", [], "values.array.action.run: must be an integer from 0 to 1000000000000000, not []"),
    ("values.array.reset.sync-high", 10**9,
     "values: must have as many values of reset of cases of array as these are, 2, not "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "sentence"), STATES, ids=[f"{place}={value!r}" for place, value, _ in STATES]
)
def test_a_state_that_no_run_wrote_is_refused_and_kept(place: str, value: Any, sentence: str, tmp_path: Path) -> None:
    path = run_of(tmp_path)
    data = json.loads(path.read_text())
    *above, name = place.split(".")
    within = data
    for each in above:
        within = within[each]
    within[name] = value
    path.write_text(json.dumps(data))
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(InputError) as caught:
        fuzz.main(["--seed", "3", "--out", str(tmp_path)])
    joint = ", " if ":" in sentence.split(" must ")[0] else ": "
    if sentence.endswith("not "):
        assert str(caught.value).startswith(f"{path}{joint}{sentence}")
    else:
        assert str(caught.value) == f"{path}{joint}{sentence}"
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["version", "seed", "kinds", "next", "open", "seconds", "failing", "pieces", "values"])
def test_a_state_without_a_member_is_refused(name: str, tmp_path: Path) -> None:
    path = run_of(tmp_path)
    data = json.loads(path.read_text())
    del data[name]
    path.write_text(json.dumps(data))
    with pytest.raises(
        InputError, match=rf"^{re.escape(str(path))}(, {name}: must be .*, not None|: it lacks {name})$"
    ):
        Campaign.load(tmp_path)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "0", "1", "mac", "uniform", "array", "reset", "w4a4s"]) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=4,
)  # fmt: skip


def damaged(data: Any, draw: st.DataObject) -> Any:
    """JSON with one value, at any depth, that is another, or not there, or one more."""
    if isinstance(data, dict | list) and data and draw.draw(st.integers(0, 5)):
        keys = sorted(data) if isinstance(data, dict) else list(range(len(data)))
        key = draw.draw(st.sampled_from(keys))
        kind = draw.draw(st.integers(0, 11))
        if kind == 0:
            copy = dict(data) if isinstance(data, dict) else list(data)
            del copy[key]  # type: ignore[arg-type]
            return copy
        if kind == 1:
            more = draw.draw(ANY)
            return {**data, draw.draw(st.text(max_size=5)): more} if isinstance(data, dict) else [*data, more]
        copy = dict(data) if isinstance(data, dict) else list(data)
        copy[key] = damaged(data[key], draw)  # type: ignore[index]
        return copy
    return draw.draw(ANY)


@given(draw=st.data())
def test_a_damaged_state_is_refused_in_one_line_or_is_one(draw: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / STATE
    path.write_text(json.dumps(damaged(json.loads(written(folder)), draw)))
    try:
        found = Campaign.load(folder)
    except InputError as error:
        said = str(error)
    else:
        assert found is not None
        list(found.tally.lines())
        list(found.tally.by_kind())
        found.save(folder)
        return
    assert said.startswith(str(path))
    assert "\n" not in said


CASES: list[tuple[dict[str, Any], str]] = [
    ({"foo": 1}, "it: must have design, parameters, junk, reset, actions, found_by, engine and fault, not 'foo'"),
    ({"junk": -1}, f"junk: must be an integer from 0 to {(1 << 63) - 1}, not -1"),
    ({"junk": 1 << 63}, f"junk: must be an integer from 0 to {(1 << 63) - 1}, not {1 << 63}"),
    ({"reset": "none"}, "reset: must be one of sync-high, sync-low, async-high, async-low, not 'none'"),
    ({"reset": []}, "reset: must be one of sync-high, sync-low, async-high, async-low, not []"),
    ({"actions": []}, "actions: must have at least one, not []"),
    ({"actions": [["part", [1, 1], "w4a4s", True], 7]}, "action 1: must be [kind, numbers], not 7"),
    ({"actions": [["part", [1, 1]]]}, "action 0: must be [kind, numbers, precision, begins], not ['part', [1, 1]]"),
    ({"actions": [["idle", [1], "w4a4s", True]]},
     "action 0: must be [kind, numbers], not ['idle', [1], 'w4a4s', True]"),
    ({"actions": [["idle", [1 << 64]]]}, f"action 0: must be [kind, numbers], not ['idle', [{1 << 64}]]"),
    ({"actions": [["idle", [-1]]]}, "action 0: an action must be of the design, not 'idle'"),
    ({"actions": [["part", [9, 9], "w4a4s", True]]}, "action 0: weights must be from -8 to 7 at w4a4s, not 9"),
    ({"parameters": {"lanes": 0}}, "parameters: lanes must be an integer from 1 to 1024, not 0"),
    ({"parameters": {"widths": [4, 2]}, "design": "padded", "actions": [["load", [1]]]},
     "action 0: an action must be of the design, not 'load'"),
    ({"parameters": {"lines": 1}, "design": "xnor"},
     "parameters: parameters of xnor must be half_adders, lanes, pipeline_stages and reduction_length, not 'lines'"),
    *(({"parameters": {"accumulator_width": 8, "groups": 2}, "design": "partialsum",
        "actions": [["load", [0, 4]], ["enter", numbers]]}, f"action 1: {said}") for numbers, said in (
        ([0, 3, 5, 1], "first must be 0 or 1, not 5"), ([0, 3, 1, -1], "last must be 0 or 1, not -1"),
        ([0, 128, 1, 1], "accumulators must be from -128 to 127, not 128"),
    )),
    ({"found_by": 3}, "found_by: must be a text of at most 1000 characters, not 3"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), CASES)
def test_a_case_that_the_fuzzer_did_not_write_is_refused(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**json.loads(MAC.text()), **changes}))
    with pytest.raises(InputError) as caught:
        fuzz.main(["--replay", str(path)])
    assert str(caught.value) == f"{path}, {sentence}"


def test_a_network_has_no_actions(tmp_path: Path) -> None:
    network = json.loads(draw_case(Random(1), ("network",)).text())
    for changes, sentence in (
        ({"actions": [["idle", [1]]]}, "actions: must be empty for a network, not [['idle', [1]]]"),
        ({"junk": 1}, "junk: must be 0 for a network, not 1"),
        ({"reset": "async-low"}, "reset: must be sync-high for a network, not 'async-low'"),
    ):
        with pytest.raises(InputError) as caught:
            case_from_text(json.dumps({**network, **changes}))
        assert str(caught.value) == sentence


NAMES_OF_VIT = (
    "hidden_size, image_size, intermediate_size, model_type, num_attention_heads, num_channels, num_hidden_layers, "
    "patch_size and qkv_bias"
)


def test_a_network_has_what_its_family_has() -> None:
    drawn = [draw_case(Random(place), ("network",)) for place in range(60)]
    for family, names in cases._CONFIGS.items():
        configs = [each.parameters["config"] for each in drawn if each.parameters["config"]["model_type"] == family]
        assert {name for config in configs for name in config} == {"model_type", *names}
    network = json.loads(next(each for each in drawn if each.parameters["config"]["model_type"] == "vit").text())
    config = {**network["parameters"]["config"], "foo": 1}
    for name, value, sentence in (
        ("config", config, f"parameters: parameters of config of vit must be {NAMES_OF_VIT}, not 'foo'"),
        ("tokens", 5, "parameters: tokens must be 0 for 'vit', not 5"),
        ("scheme", [], "parameters: scheme must be an object, not []"),
        ("moved", 1, "parameters: moved must be true or false, not 1"),
    ):
        with pytest.raises(InputError) as caught:
            case_from_text(json.dumps({**network, "parameters": {**network["parameters"], name: value}}))
        assert str(caught.value) == sentence


@pytest.mark.parametrize("option", ["--minutes 1", "--cases 1", "--seed 1", "--only mac", "--fresh", "--jobs 1"])
def test_options_of_a_run_go_with_no_replay(option: str) -> None:
    with pytest.raises(InputError, match=rf"^{option.split()[0]} must be given with a run \(no --replay\) only$"):
        fuzz.main(["--replay", "x", *option.split()])


def test_what_the_fuzzer_writes_is_read_as_it_is(tmp_path: Path) -> None:
    for place in range(40):
        case = draw_case(Random(f"7 {place}"))
        name = _written(tmp_path, case, Fault("icarus", "ToolError: x", "ToolError"), 7, place)
        found = case_from_text((tmp_path / name).read_text())
        assert (found.design, found.actions, found.junk, found.reset) == (
            case.design,
            case.actions,
            case.junk,
            case.reset,
        )


DRAWN = [json.loads(draw_case(Random(place), (kind,)).text()) for kind in KINDS[:3] for place in range(4)]


@given(draw=st.data())
def test_a_damaged_case_is_refused_in_one_line_or_is_one(draw: st.DataObject) -> None:
    text = json.dumps(damaged(draw.draw(st.sampled_from(DRAWN)), draw))
    try:
        case = case_from_text(text)
        (array_plan if case.design == ARRAY else plan_of)(case)
        said = ""
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_an_error_says_the_same_whatever_folder_a_tool_ran_in() -> None:
    """As the names of files of two runs must be the same."""
    said = [
        Fault.of("icarus", RuntimeError(f"/tmp/siliquant-cycles-{pid}-77-0123abcd-{end}/design.v:3: no"))
        for pid, end in ((11, "abcdefgh"), (12, "ijklmnop"))
    ]
    assert said[0] == said[1] == Fault("icarus", "RuntimeError: TMP/design.v:3: no", "RuntimeError")
