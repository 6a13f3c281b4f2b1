"""Steps of a long job: done once, done again when something changes, gone on with after any end."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from reports import demo
from reports.values.steps import Step, StepError, perform
from siliquant.files.write import alone
from siliquant.processes import EndedBySignalError

QUIET = Console(file=StringIO())

JOB = """
import pathlib, sys
print("started", *sys.argv[1:])
out = pathlib.Path("made")
out.mkdir(exist_ok=True)
with pathlib.Path("times").open("a") as stream:
    stream.write(" ".join(sys.argv[1:]) + "\\n")
(out / "run.json").write_text("{}")
if pathlib.Path("fail").exists():
    sys.exit("nothing works\\ntoday")
(out / "result").write_text(pathlib.Path("given").read_text())
print("all is well\\n")
"""


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """A step that counts how often it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    Path("job.py").write_text(JOB)
    Path("given").write_text("first")
    return Step(
        name="job", module="job", arguments=("--fast",), inputs=(Path("given"),), outputs=(Path("made/result"),),
        packages=("siliquant",), folder=Path("made"), resumable=True,
    )  # fmt: skip


def times() -> list[str]:
    return Path("times").read_text().splitlines() if Path("times").exists() else []


def test_a_step_that_is_done_is_not_done_again(step: Step) -> None:
    first = perform(step, Path("home"), QUIET, "1/1")
    assert (first.text, first.answer) == ("python -m job --fast", "all is well")
    assert perform(step, Path("home"), QUIET, "1/1") == first
    assert times() == ["--fast"]
    assert "started --fast" in Path("home/logs/job.log").read_text()


@pytest.mark.parametrize("change", ["input", "arguments", "tools", "output"])
def test_a_step_is_done_again_when_something_changes(step: Step, change: str) -> None:
    perform(step, Path("home"), QUIET, "1/1")
    if change == "input":
        Path("given").write_text("second")
    elif change == "output":
        Path("made/result").unlink()
    else:
        step = replace(step, **{change: ("--slow",) if change == "arguments" else "other"})  # type: ignore[arg-type]
    Path("made/of old").write_text("")
    perform(step, Path("home"), QUIET, "1/1")
    assert len(times()) == 2
    # Made under other conditions, the folder is not gone on with.
    assert Path("made/of old").exists() == (change == "output")
    assert ("--resume" in times()[-1]) == (change == "output")


def test_a_step_that_failed_says_why_and_is_gone_on_with(step: Step) -> None:
    Path("fail").touch()
    with pytest.raises(StepError, match="step job failed with exit code 1") as caught:
        perform(step, Path("home"), QUIET, "1/1")
    assert caught.value.tail == "started --fast\nnothing works\ntoday"
    Path("fail").unlink()
    perform(step, Path("home"), QUIET, "1/1")
    assert times() == ["--fast", "--fast --resume"]


def test_a_folder_of_other_origin_is_left_alone(step: Step) -> None:
    Path("made").mkdir()
    Path("made/letters").touch()
    with pytest.raises(ValueError, match="made must be made by this command, or not exist; choose another --out"):
        perform(step, Path("home"), QUIET, "1/1")
    assert Path("made/letters").exists()
    assert times() == []


def test_a_step_that_is_killed_says_so_and_is_gone_on_with(step: Step) -> None:
    job = Path("job.py").read_text()
    Path("job.py").write_text(job.replace("sys.exit(", "import os; os.kill(os.getpid(), 9)  # ("))
    Path("fail").touch()
    said = "^step job was ended by SIGKILL, signal 9; run it again$"
    with pytest.raises(EndedBySignalError, match=said):
        perform(step, Path("home"), QUIET, "1/1")
    Path("fail").unlink()
    assert perform(step, Path("home"), QUIET, "1/1").answer == "all is well"


def test_a_step_that_writes_nothing_fails(step: Step) -> None:
    with pytest.raises(StepError) as caught:
        perform(replace(step, outputs=(Path("nowhere"),)), Path("home"), QUIET, "1/1")
    assert caught.value.tail == "it did not write nowhere"


def test_one_folder_is_for_one_demonstration(tmp_path: Path) -> None:
    with (
        alone(tmp_path, "demonstration"),
        pytest.raises(ValueError, match="is in use by another demonstration"),
        alone(tmp_path, "demonstration"),
    ):
        pass
    with alone(tmp_path, "demonstration"):
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_killed_demonstration_leaves_nobody_at_work(step: Step) -> None:
    Path("job.py").write_text(
        "import os, pathlib, time\npathlib.Path('made').mkdir()\n"
        "pathlib.Path('made/pid').write_text(f'{os.getpid()}\\n')\ntime.sleep(600)\n"
    )
    program = (
        "from pathlib import Path; from rich.console import Console; from reports.values.steps import *; "
        "step = Step(name='job', module='job', arguments=('--fast',), inputs=(Path('given'),), "
        "outputs=(Path('made/result'),), packages=('siliquant',), folder=Path('made'), resumable=True); "
        "perform(step, Path('home'), Console(), '1/1')"
    )
    root = Path(demo.__file__).resolve().parents[1]
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{Path.cwd()}:{root}"},
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: Path("made/pid").exists() and Path("made/pid").read_text().endswith("\n"))
    child = int(Path("made/pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())
    # What was begun is gone on with.
    Path("job.py").write_text(JOB)
    assert perform(step, Path("home"), QUIET, "1/1").answer == "all is well"


def wait_until(holds: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
