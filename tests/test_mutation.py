"""The campaign on mutants of Python: on a small project where it is known which of them the tests notice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from siliquant.inputs import InputError
from tests.mutation import campaign, operators
from tests.mutation.campaign import drawn
from tests.mutation.child import Child
from tests.mutation.groups import GROUPS, ROOT, asked_about, files_of, group_files
from tests.mutation.operators import changes_of
from tests.mutation.reach import Reach

SMALL = '''\
"""A module: 1 + 1."""

from collections.abc import Sequence

__all__ = ["area", "kept"]

LEAST: int = 2


def area(width: int, heights: Sequence[int] = (1,), *, name: str = "") -> int:
    assert width > 0
    if width >= 8 or not heights:
        raise ValueError(f"{width + 1} is too wide")
    return max(heights, default=0) * width


def kept(values: Sequence[int]) -> int:
    return -sum(values) if values else LEAST
'''
CHANGES = [
    ("LEAST: int = 2", "LEAST: int = 3"),
    ("(1,)", "(2,)"),
    ("width >= 8", "width > 8"),
    ("width >= 8", "width >= 9"),
    (" or not heights", " and not heights"),
    (" or not heights", " or heights"),
    ("* width", "/ width"),
    ("max(heights, default=0)", "max(heights, )"),
    ("max(heights", "min(heights"),
    ("default=0", "default=1"),
    ("if values else", "if (values) and False else"),
    ("if values else", "if (values) or True else"),
    ("-sum", "+sum"),
    ("sum(values)", "prod(values)"),
]
"""In annotations, assertions, texts, what is raised, names and exports nothing is changed."""


def test_what_is_changed_in_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "ROOT", tmp_path)
    (tmp_path / "small.py").write_text(SMALL)
    changes = changes_of("small.py")
    found = [changes.mutant(number) for number in range(len(changes.nodes))]
    wanted = {SMALL.replace(old, new, 1) for old, new in CHANGES}
    assert {mutant.source for mutant in found} == wanted
    assert len(found) == len(CHANGES)
    assert sorted(number for place in changes.places for number in place) == list(range(len(found)))
    chosen = next(mutant for mutant in found if mutant.after == "LEAST: int = 3")
    assert (chosen.place, chosen.module, chosen.before) == ("small.py:7", "small", "LEAST: int = 2")


def test_as_many_are_drawn_as_a_module_has_a_share_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "ROOT", tmp_path)
    texts = {"one.py": "a = 1\n", "ten.py": "a = " + " + ".join("23456789") + "\n", "none.py": "a = b\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    places, chosen = drawn(list(texts), 8, 1)
    assert places == 1 + 8 + 7
    assert [mutant.file for mutant in chosen] == ["one.py", *["ten.py"] * 7]
    assert len({mutant.number for mutant in chosen[1:]}) == 7
    assert drawn(list(texts), 8, 1)[1] == chosen
    assert drawn(list(texts), 8, 2)[1] != chosen
    assert len(drawn(list(texts), 100, 1)[1]) == places
    assert [mutant.file for mutant in drawn(list(texts), 2, 1)[1]] == ["one.py", "ten.py"]


def test_the_groups_are_modules_with_tests() -> None:
    for name in GROUPS:
        files = group_files(name)
        assert len(files) == len(set(files)) > 0
        assert all(asked_about(file) for file in files)
    every = [file for name in GROUPS for file in group_files(name)]
    assert len(every) == len(set(every))
    with pytest.raises(InputError, match=r"^a module must be one of this project, such as hwmodel.model, not 'none'$"):
        files_of("none")


def test_what_is_said_to_change_nothing_is_a_change_that_there_is() -> None:
    for each in json.loads(campaign.EQUIVALENT.read_text()):
        assert len(each["why"]) > 20
        assert each["before"] != each["after"], each
    equal = campaign.equivalents()
    assert campaign.unmatched({file for file, _, _ in equal}, equal) == []
    file, before, after = next(iter(equal))
    (line,) = campaign.unmatched([file], [(file, before, f"{after} + 1")])
    assert line == f"equivalent.json: {file} has no change of {before!r} to {f'{after} + 1'!r}"


def ended(folder: Path, code: int, said: str = "") -> Child:
    """Tests that ended so and gave no answer."""
    folder.mkdir()
    (folder / "said.txt").write_text(said)
    return Child(0, folder, 0.0, ended=code)


def test_tests_without_an_answer_are_no_answer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^tests ended with 1 and no answer: OSError: no space$"):
        ended(tmp_path / "one", 1, "Traceback\n\nOSError: no space\n\n").answer()
    answer = ended(tmp_path / "other", -11).answer()
    assert (answer["code"], answer["why"]) == (None, "was ended by signal 11")


def test_what_tests_reach_that_died_is_not_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, name = Reach(tmp_path), "tests/test_mutation.py"
    known._keep(name, ended(tmp_path / "child", -9), [])
    assert known.of("rtl/mac/serial.py", (1, 9), [name]) == []
    assert capsys.readouterr().out.startswith(f"{name}: pytest was ended by signal 9")
    assert json.loads((tmp_path / "reach.json").read_text()) == {}


MODULE = '''\
"""Numbers."""

import functools


@functools.cache
def kept(value: int) -> int:
    return value + 3


class Wide:
    @property
    def bits(self) -> int:
        return 5


def slow(value: int) -> int:
    while value > 0:
        value -= 1
    return value


def unseen(value: int) -> int:
    return value * 7


TOP = 9


def crashes(value: int) -> int:
    return value + 3


LAST = 3
'''
TESTS = """\
import os
import signal
import subprocess
import sys

import pytest

from rtl.part import small


@pytest.mark.parametrize("value", [1, 2])
def test_kept(value: int) -> None:
    assert small.kept(value) == value + 3


def test_in_a_process_of_its_own() -> None:
    code = "from rtl.part import small; print(small.Wide().bits)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "5\\n"
    assert small.Wide().bits


def test_slow() -> None:
    assert small.slow(2) == 0


def test_top() -> None:
    assert small.TOP > 3


def test_that_fails_anyway() -> None:
    raise AssertionError


def test_how_it_is_loaded() -> None:
    assert type(small.__loader__).__name__ == "SourceFileLoader"


def test_that_crashes() -> None:
    if small.crashes(1) != 4:
        os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with a copy of the campaign, a module and its tests."""
    for name in ("siliquant", "tests/mutation"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests/mutation/equivalent.json").write_text("[]")
    campaigns = tmp_path / "tests/mutation/campaign.py"
    campaigns.write_text(campaigns.read_text().replace("_LEAST = 10.0", "_LEAST = 2.0"))  # seconds that hangs take
    for name, text in {
        "rtl/__init__.py": "",
        "rtl/part/__init__.py": "",
        "rtl/part/small.py": MODULE,
        "tests/rtl/part/test_small.py": TESTS,
        "tests/rtl/part/test_read.py": "from rtl.part import small\n\nREAD = 'abcd'[small.LAST]\n\n\n"
        "def test_read() -> None:\n    assert READ == 'd'\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".gitignore").write_text("/build/\n/tmp/\n__pycache__/\n")
    (tmp_path / "tmp").mkdir()
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    return tmp_path


def campaigned(project: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    out = project / "build" / "out.json"
    environment = os.environ | {"PYTHONPATH": str(project), "TMPDIR": str(project / "tmp")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation", "--count", "100", "--out", str(out), *arguments],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    (group,) = json.loads(out.read_text())["groups"]
    return done, group


def test_mutants_are_killed_late_or_left_and_found_again(project: Path) -> None:
    before = {path: path.read_bytes() for path in (project / "rtl").rglob("*.py")}
    done, group = campaigned(project, "rtl.part.small")
    assert done.returncode == 1
    assert "test_that_fails_anyway" in done.stdout
    left = [(each["place"], each["after"]) for each in group["survivors"]]
    assert left == [
        ("rtl/part/small.py:19", "value -= 2"), ("rtl/part/small.py:24", "return value / 7"),
        ("rtl/part/small.py:24", "return value * 8"), ("rtl/part/small.py:27", "TOP = 10"),
    ]  # fmt: skip
    assert group["places"] == group["mutants"] == 13
    # A crash is no test that failed. A test that fails on how a mutant is loaded says nothing of it; a file of tests
    # that cannot be read with it does.
    assert (group["killed"], group["late"], group["died"], group["equivalent"]) == (13 - 4 - 2, 1, 2, 0)
    assert "test_how_it_is_loaded does not pass where rtl/part/small.py is not changed" in done.stdout
    assert {path: path.read_bytes() for path in (project / "rtl").rglob("*.py")} == before
    assert list((project / "tmp").iterdir()) == []

    # What is said to change nothing does not count; nothing is tried again.
    results = project / "build/mutation/results.jsonl"
    known = results.read_text()
    equal = [{"file": "rtl/part/small.py", "before": "TOP = 9", "after": "TOP = 10", "why": "nobody reads it"}]
    (project / "tests/mutation/equivalent.json").write_text(json.dumps(equal))
    _, group = campaigned(project, "rtl.part.small")
    assert (group["equivalent"], len(group["survivors"]), group["died"]) == (1, 3, 2)
    again = results.read_text().removeprefix(known).splitlines()
    assert [json.loads(line)["how"] for line in again] == ["died", "died"]  # which may have been chance

    # A test more: what was left is tried again, what was killed is not; a line that a kill cut off is no line.
    more = "from rtl.part import small\n\n\ndef test_unseen() -> None:\n    assert small.unseen(2) == 14\n"
    (project / "tests/rtl/part/test_more.py").write_text(more)
    results.write_text(known + '{"key": "cut o')
    _, group = campaigned(project, "rtl.part.small")
    assert [each["place"] for each in group["survivors"]] == ["rtl/part/small.py:19"]
    again = results.read_text().removeprefix(known).splitlines()[1:]
    assert sorted(json.loads(line)["how"] for line in again) == [
        "died",
        "died",
        "killed",
        "killed",
        "late",
        "left",
        "left",
    ]

    # What is said to change nothing may not be killed by a test.
    equal[0] |= {"before": "return value + 3", "after": "return value - 3"}
    (project / "tests/mutation/equivalent.json").write_text(json.dumps(equal))
    (project / "build/out.json").unlink()
    with pytest.raises(AssertionError, match=r"says of rtl/part/small\.py:8 that nothing changes, but tests/rtl/part/"):
        campaigned(project, "rtl.part.small")
