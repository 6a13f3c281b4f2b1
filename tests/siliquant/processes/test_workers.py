"""One function over many items: taken as they are needed, and what goes wrong is said with where it happened.

What becomes of items whose workers end is tested in tests/hwmodel/measurement/test_executors.py, with clusters.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from siliquant.inputs import InputError, ToolError
from siliquant.processes import EndedBySignalError, WorkerLost, local, run_program, side_by_side, workers


class Item(NamedTuple):
    """What :func:`work` gets."""

    name: str
    parameters: dict[str, int] = {}  # noqa: RUF012 (never written)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int | None]]:
    """Of each worker that was ended: the seconds that it got, and its exit code then: None where it must be killed."""
    found: list[tuple[float, int | None]] = []
    given: list[float] = []
    stop, kill = workers._Worker.stop, SpawnProcess.kill

    def stopped(worker: workers._Worker, seconds: float) -> None:
        given.append(seconds)
        stop(worker, seconds)

    def killed(process: SpawnProcess) -> None:
        found.append((given[-1], process.exitcode))
        kill(process)

    monkeypatch.setattr(workers._Worker, "stop", stopped)
    monkeypatch.setattr(SpawnProcess, "kill", killed)
    return found


def work(item: Item) -> str:
    """The name in capitals, or what the name says."""
    if item.name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.name == "fault":
        return {}[item.name]
    if item.name == "wrong":
        raise InputError("wrong must be right")
    if item.name == "slow":
        run_program(["sleep", "60"], timeout=0.1)
    if item.name == "stubborn":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if item.name in ("stubborn", "long"):
        time.sleep(60)
    if item.name == "memory":
        raise MemoryError
    if item.name == "thread":
        raise RuntimeError("can't start new thread")
    if item.name == "clearing":
        Path(os.environ["CLEARING"]).touch()
        _clear_slowly()
        time.sleep(60)
    if item.name == "killed":
        run_program(["sh", "-c", "kill -KILL $$"])
    return item.name.upper()


def _clear_slowly() -> None:
    class Slow:
        def __del__(self) -> None:
            time.sleep(3)

    Slow()


def test_what_has_no_words_for_missing_memory_gets_some() -> None:
    with closing(local(1)(work, [Item("memory"), Item("thread")])) as outcomes:
        errors = [outcome.error for outcome in outcomes]
    assert all(isinstance(error, ToolError) for error in errors)
    assert [str(error) for error in errors] == [
        "this needs more memory than there is",
        "this needs more memory than there is: can't start new thread",
    ]


def test_a_worker_that_clears_an_object_away_ends_all_the_same_and_says_nothing(
    ends: list[tuple[float, int | None]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(workers, "_SECONDS_TO_END", 60.0)
    monkeypatch.setenv("CLEARING", str(tmp_path / "begun"))
    run = local(2)(work, [Item("one"), Item("clearing")])
    assert next(run).result == "ONE"
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    run.close()
    # It ended by itself and was not killed. The other one may have had no item yet, nor anything to do at an end.
    assert sorted(code for _, code in ends if code is not None) in ([1, 1], [-signal.SIGTERM, 1])
    assert capfd.readouterr().err == ""


def test_items_are_taken_when_there_is_a_worker_for_them() -> None:
    taken = []

    def items() -> Iterator[Item]:
        for name in ("one", "two", "three"):
            taken.append(name)
            yield Item(name)

    with closing(local(1)(work, items())) as outcomes:
        assert next(outcomes).result == "ONE"
        assert taken == ["one"]
        assert [outcome.result for outcome in outcomes] == ["TWO", "THREE"]


def test_all_ends_in_time_whatever_still_runs(ends: list[tuple[float, int | None]]) -> None:
    items = [Item("one"), Item("stubborn"), Item("stubborn"), Item("long"), Item("never")]
    found = [outcome.result for outcome in local(3)(work, items[:1])]
    ends.clear()
    found += [outcome.result for outcome in local(3, until=time.monotonic() + 4)(work, items)]
    assert found in (["ONE"], ["ONE", "ONE"])  # a busy machine may not have begun it; the others were stopped
    assert len(ends) == 3
    for (seconds, code), (later, _) in pairwise(ends):  # five seconds for all of them together
        assert later == 0.0 if code is None else later <= seconds


def test_a_fault_says_where_it_happened_and_bad_input_does_not() -> None:
    found = {outcome.item.name: outcome.error for outcome in local(2)(work, [Item("fault"), Item("wrong")])}
    assert isinstance(found["fault"], KeyError)
    (note,) = found["fault"].__notes__
    assert "in work" in note
    assert isinstance(found["wrong"], InputError)
    assert not hasattr(found["wrong"], "__notes__")


def test_errors_of_tools_stay_such_errors() -> None:
    """Whatever they are made from: a command ends with 2 for them, and with 70 for all others."""
    found = {outcome.item.name: outcome.error for outcome in local(2)(work, [Item("slow"), Item("killed")])}
    assert isinstance(found["slow"], ToolError)
    assert str(found["slow"]) == "sleep did not finish in 0.1 s"
    assert isinstance(found["killed"], EndedBySignalError)
    assert str(found["killed"]) == "sh was killed (SIGKILL), as when no memory is left"


def test_specs_side_by_side_are_named_where_their_workers_are_killed() -> None:
    """As of siliquant prove and mutate: an error that a user can read, not a broken pool."""
    with pytest.raises(WorkerLost, match=r"^poison was given up: 3 workers ended while working on it$"):
        list(side_by_side(work, [Item("poison"), Item("one")], 2))
    assert sorted(side_by_side(work, [Item("one"), Item("two")], 2)) == [(Item("one"), "ONE"), (Item("two"), "TWO")]
    with pytest.raises(InputError, match=r"^wrong must be right$"):
        list(side_by_side(work, [Item("wrong"), Item("one")], 2))
