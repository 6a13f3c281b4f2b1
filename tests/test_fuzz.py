"""A part of the fuzzing campaign at a fixed seed, and the campaign on readers with planted faults."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from siliquant.inputs.errors import InputError
from tests.fuzz import campaign as campaigns
from tests.fuzz import isolate
from tests.fuzz.campaign import campaign
from tests.fuzz.isolate import run_cases
from tests.fuzz.lines import line_targets
from tests.fuzz.targets import Target, targets

SEED = 20261128
NAMES = [target.name for target in targets()] + [target.name for target in line_targets()]
MINUTES = 0.4
PATIENT = {target.name for target in line_targets() if target.patient}
SECONDS = 6.0  # after which a command at work is ended


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_input_is_answered_with_a_fault(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in PATIENT:
        monkeypatch.setattr(campaigns, "_SECONDS", SECONDS)
    cases, faults = campaign(SEED, 60 * MINUTES / len(NAMES), name, tmp_path)
    assert cases >= 1
    assert faults == 0, capsys.readouterr().out


def planted(text: str, do: Callable[[], object]) -> Target:
    """A reader that fails where the file holds a text."""

    def read(_: Path, file: Path) -> None:
        if text.encode() in file.read_bytes():
            do()

    return Target("planted", lambda: [{"a.txt": b"first line\nsecond line 12\nthird\n" * 20, "b.txt": b"other"}], read)


def crash() -> None:
    ctypes.string_at(0)


def grow() -> None:
    kept = bytearray(b"x") * (3 << 27)
    time.sleep(30)  # what grows and is gone again between two looks is not seen
    del kept


def long_text() -> None:
    error = InputError("x")
    error.args = ("x" * 1000,)
    raise error


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda: {}["key"], "KeyError: 'key'"),
        (lambda: time.sleep(60), "no end within 2 s"),
        (crash, "the process ended with status 11"),
        (grow, "more than 268435456 bytes of memory"),
        (long_text, "an error text of 1000 characters"),
    ],
    ids=["exception", "hang", "crash", "growth", "text"],
)
def test_a_planted_fault_is_found_and_its_input_made_small(
    do: Callable[[], object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(campaigns, "targets", lambda: [planted("\x1b[1m", do)])
    monkeypatch.setattr(campaigns, "line_targets", list)
    assert isolate.GROWTH_BYTES == 2 << 30
    monkeypatch.setattr(isolate, "GROWTH_BYTES", 1 << 28)  # a smaller bound takes less time to reach
    if "no end" in said:
        monkeypatch.setattr(campaigns, "_SECONDS", 2.0)
    monkeypatch.setattr(campaigns, "_SHRINKING", 2.0)
    assert campaign(1, 1, "", tmp_path)[1] > 0
    assert said in capsys.readouterr().out
    (kept, *_) = tmp_path.iterdir()
    assert said in (kept / "fault.txt").read_text()
    small = [path.read_bytes() for path in (kept / "input").iterdir() if b"\x1b[1m" in path.read_bytes()]
    assert small
    assert len(min(small, key=len)) < 100


def test_cases_go_on_after_a_fault_and_each_is_run_once(tmp_path: Path) -> None:
    def case(number: int) -> str | None:
        with (tmp_path / "ran").open("a") as stream:
            stream.write(f"{number}\n")
        if number == 3:
            raise KeyError(number)
        return "wrong" if number == 5 else None

    count, faults = run_cases(case, 0, time.monotonic() + 30, 10, most=8)
    assert (tmp_path / "ran").read_text().split() == [str(number) for number in range(8)]
    assert count == 8
    assert [fault.number for fault in faults] == [3, 5]
    assert "KeyError: 3" in faults[0].what
    assert faults[1].what == "wrong"
