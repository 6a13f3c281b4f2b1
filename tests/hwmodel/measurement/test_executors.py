"""Runners: every item has an outcome, whatever happens to the workers; nothing goes on when nobody waits."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hwmodel.measurement.executors import Outcome, Runner, WorkerLost, cluster, local

ROOT = Path(__file__).resolve().parents[3]
needs_distributed = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="the package distributed is not installed"
)


class Task(NamedTuple):
    """What :func:`work` is to do; ``marks`` is a folder in which it notes each start."""

    name: str
    marks: Path

    def __str__(self) -> str:
        return self.name

    @property
    def starts(self) -> list[int]:
        """The processes that were given the task."""
        return [int(path.suffix[1:]) for path in self.marks.glob(f"{self.name}.*")]


class Awkward(Exception):  # noqa: N818
    """Cannot be made again from its pickle."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


def work(task: Task) -> str:
    """Returns the name in capitals, or fails as the name says."""
    again = bool(task.starts)
    (task.marks / f"{task.name}.{os.getpid()}").touch()
    if task.name == "wrong":
        raise ValueError("wrong must be right")
    if task.name == "awkward":
        raise Awkward("so", "so")
    if task.name == "unsendable":
        return threading.Lock()  # type: ignore[return-value]
    if task.name == "poison" or (task.name == "unlucky" and not again):
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "asleep":
        time.sleep(600)
    if task.name == "slow":
        time.sleep(1)
    return task.name.upper()


def outcomes(runner: Runner, names: list[str], marks: Path) -> dict[str, Outcome[Task, str]]:
    made = [Task(name, marks) for name in names]
    found = list(runner(work, made))
    assert sorted(outcome.item.name for outcome in found) == sorted(names)
    return {outcome.item.name: outcome for outcome in found}


def gone(process: int) -> bool:
    """Whether a process has ended, or will not run again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_results_and_exceptions_are_outcomes(tmp_path: Path) -> None:
    names = ["one", "wrong", "two", "awkward", "unsendable", "three"]
    found = outcomes(local(2), names, tmp_path)
    assert [found[name].result for name in ("one", "two", "three")] == ["ONE", "TWO", "THREE"]
    assert isinstance(found["wrong"].error, ValueError)
    assert str(found["wrong"].error) == "wrong must be right"
    assert str(found["awkward"].error) == "Awkward: so so"
    assert isinstance(found["unsendable"].error, TypeError)
    assert len({process for task in found.values() for process in task.item.starts}) == 2
    assert list(local(2)(work, [])) == []
    with pytest.raises(ValueError, match="jobs must be at least 1, not 0"):
        local(0)


def test_a_killed_worker_costs_one_try_of_its_item_and_nothing_of_the_others(tmp_path: Path) -> None:
    found = outcomes(local(2), ["slow", "poison", "unlucky", "last"], tmp_path)
    assert found["unlucky"].result == "UNLUCKY"
    assert len(found["unlucky"].item.starts) == 2
    assert isinstance(found["poison"].error, WorkerLost)
    assert str(found["poison"].error) == "poison was given up: 3 workers ended while working on it"
    assert len(found["poison"].item.starts) == 3
    for name in ("slow", "last"):
        assert found[name].result == name.upper()
        assert len(found[name].item.starts) == 1


def test_closing_the_generator_ends_the_workers(tmp_path: Path) -> None:
    asleep = Task("asleep", tmp_path)
    running = local(2)(work, [asleep, Task("one", tmp_path), Task("two", tmp_path)])
    assert next(running).item.name == "one"
    wait_for(lambda: asleep.starts)
    running.close()
    assert gone(asleep.starts[0])


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from hwmodel.measurement.executors import local\n"
        "from tests.hwmodel.measurement.test_executors import Task, work\n"
        "list(local(2)(work, [Task('asleep', Path(sys.argv[1]))]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    asleep = Task("asleep", tmp_path)
    wait_for(lambda: asleep.starts)
    parent.kill()
    parent.wait()
    wait_for(lambda: gone(asleep.starts[0]))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, which gives an item up with its first worker."""
    import dask
    import distributed

    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.comm.timeouts.connect": "2s"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as made,
    ):
        yield made.scheduler_address


@needs_distributed
def test_a_cluster_gives_the_same_outcomes(scheduler: str, tmp_path: Path) -> None:
    found = outcomes(cluster(scheduler), ["one", "wrong", "unlucky", "poison", "two"], tmp_path)
    assert [found[name].result for name in ("one", "two", "unlucky")] == ["ONE", "TWO", "UNLUCKY"]
    assert str(found["wrong"].error) == "wrong must be right"
    assert isinstance(found["poison"].error, WorkerLost)
    assert str(found["poison"].error) == "poison was given up: all workers that tried ended while working on it"
    assert len(found["unlucky"].item.starts) == 2


@needs_distributed
def test_a_scheduler_that_is_not_there_is_an_oserror(scheduler: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"tcp://127\.0\.0\.1:9"):
        list(cluster("tcp://127.0.0.1:9")(work, [Task("one", tmp_path)]))


@needs_distributed
@pytest.mark.parametrize("address", ["", "host", "host:8786", "http://host:8786", "tcp://host"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=f"^scheduler must be an address such as tcp://host:8786, not {address!r}$"):
        cluster(address)


def test_without_distributed_a_scheduler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        ValueError, match=r"needs the package distributed.*: pip install '\.\[cluster\]' in the checkout$"
    ):
        cluster("tcp://host:8786")


SCHEDULER = """
import time
import distributed
if __name__ == "__main__":
    with distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as made:
        print(made.scheduler_address, flush=True)
        time.sleep(600)
"""
CLIENT = """
import sys, time
from siliquant.commandline.cli import run
from hwmodel.measurement.executors import cluster
def main():
    print("begun", flush=True)
    list(cluster(sys.argv[1])(time.sleep, [600.0]))
run("p", main)
"""


@needs_distributed
def test_a_scheduler_that_is_killed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    made = subprocess.Popen(
        [sys.executable, str(tmp_path / "scheduler.py")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert made.stdout is not None
    address = made.stdout.readline().strip()
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, address], cwd=ROOT,
        env=os.environ | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline() == "begun\n"
    time.sleep(5)
    made.kill()
    _, said = client.communicate(timeout=120)
    made.wait()
    made.stdout.close()
    assert (client.returncode, said) == (2, f"p: error: the scheduler {address} was lost\n")
