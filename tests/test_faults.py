"""A part of the campaign of faults of the world at a fixed seed, and the campaign on commands with planted faults."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from siliquant.commandline.commands import COMMANDS
from siliquant.inputs import InputError
from siliquant.processes.owners import owner
from tests.faults import campaign as campaigns
from tests.faults.campaign import FAULTS, campaign, known_outcomes
from tests.faults.disks import may_mount
from tests.faults.jobs import JOBS, Job
from tests.faults.kills import KILLED, kills
from tests.faults.leftovers import DISK, clear, clear_old
from tests.faults.memory import MISSING
from tests.faults.processes import TOKEN, Started, fork
from tests.faults.tools import names, tools
from tests.faults.trial import Trial
from tests.faults.worlds import ROOT, World
from tests.faults.writers import writers

SEED = 20261130
PLANTED = "tests.test_faults:planted"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "disk", "writers", "streams"])
def test_a_command_survives(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if fault == "disk" and not may_mount(tmp_path / "disk"):
        pytest.skip("only root may make disks")
    found = campaign(SEED, 4, 20, ["gen"], [fault], tmp_path)
    (outcome,) = found.values()
    assert outcome["cases"] >= 2
    assert outcome["found"] == [], capsys.readouterr().out
    assert json.loads((tmp_path / f"{fault}-gen.json").read_text()) == outcome
    assert campaign(SEED, 4, 20, ["gen"], [fault], tmp_path) == found  # it is not done again
    assert capsys.readouterr().out.count("cases") == 1


def planted() -> None:
    """A command that does, one of these a run, what none may; else it writes a file."""
    kind, out, mark = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(exist_ok=True)
    if kind == "leaves":
        Path(os.environ["TMPDIR"], "rubbish").touch()
    if kind == "half":
        with (out / "result.json").open("w") as stream:
            stream.write("{")
            stream.flush()
            time.sleep(0.4)
            stream.write("}")
        return
    if kind == "child" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    if kind == "trips":  # over what a killed run left
        begun = out / "begun"
        if begun.exists():
            raise FileExistsError(begun)
        begun.touch()
        time.sleep(0.4)
        begun.unlink()
    if kind == "kernels":
        mark.write_text("plain" if os.environ.get("SILIQUANT_NATIVE") == "0" else "compiled")
    if kind == "differs":
        mark.write_text(f"{mark.read_text() if mark.exists() else ''}x")
    time.sleep(0.1)
    (out / "result.json").write_text(mark.read_text() if mark.exists() else "{}")


def _alone(request: pytest.FixtureRequest, folder: Path) -> bool:
    """Whether this process has few threads: commands are copies of it. Else the test is run in a process of its own."""
    if threading.active_count() < 4:
        return True
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=--import-mode=importlib",
        "--basetemp",
        str(folder / "own"),
    )
    words = [sys.executable, "-m", "pytest", *options, request.node.nodeid]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return False


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("leaves", "tmp/rubbish is left"),
        ("child", "process left: "),
        ("trips", "again after kill of "),
        ("differs", "result.json differs"),
    ],
)
def test_a_planted_fault_is_found(
    kind: str, said: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:  # fmt: skip
    if not _alone(request, tmp_path):
        return
    job = Job("planted", (kind, "OUT", str(tmp_path / "mark")), PLANTED)
    trial = Trial(job, tmp_path, tmp_path, Random(3), 12 if kind == "trips" else 6, lasting=0.5)
    kills(trial)
    assert trial.tally.cases > 0 or kind == "leaves"  # which is seen without a kill
    assert any(said in line for line in trial.tally.found), trial.tally.found


def test_a_command_that_writes_and_renames_is_none(tmp_path: Path) -> None:
    trial = Trial(Job("planted", ("good", "OUT", str(tmp_path / "mark")), PLANTED), tmp_path, tmp_path, Random(3), 6)
    kills(trial)
    assert (trial.tally.cases, trial.tally.found) == (6, [])


@pytest.mark.parametrize(
    ("missing", "said", "named"),
    [
        ("sta", "make setup installs everything", False),
        ("sta", "OpenSTA is needed for timing: apt-get install opensta", True),
        ("as", "was killed, as when no memory is left", False),
        ("as", "g++: fatal error: cannot execute 'as'", True),
        ("make", "make setup makes it", False),
        ("g++", "g++ is missing; sudo apt-get install g++", True),
        ("cc", "a successful account", False),
    ],
)
def test_a_program_is_named_by_a_word(missing: str, said: str, named: bool) -> None:
    assert names(missing, said) == named


@pytest.mark.parametrize("said", ["a design of signed codes", "as intended", "appended", "a skilled designer", "sign"])
def test_other_words_say_nothing_of_memory_or_a_kill(said: str) -> None:
    assert not re.search(MISSING, said, re.IGNORECASE)
    assert not re.search(KILLED, said, re.IGNORECASE)
    for right in ("g++ was killed (SIGKILL), as when no memory is left", "sta crashed (SIGSEGV)"):
        assert re.search(MISSING, right, re.IGNORECASE)
    assert re.search(KILLED, "a.v was given up: 3 workers ended while working on it", re.IGNORECASE)


def planted_trial(kind: str, tmp_path: Path, *, count: int = 12, printed: bool = False) -> Trial:
    """Of the planted command, always in a copy of this process, which has it."""

    def started(world: World, more: Mapping[str, str] | None = None) -> Started:
        return fork(job.main, world.line(), world.folder("work"), world.environment(more), streams=world.place)

    job = Job("planted", (kind, "OUT", str(tmp_path / "mark")), PLANTED, printed=printed)
    trial = Trial(job, tmp_path, tmp_path, Random(3), count, lasting=0.5)
    trial.start = started  # type: ignore[method-assign,assignment]
    return trial


def test_results_of_a_command_that_prints_are_compared(tmp_path: Path) -> None:
    trial = planted_trial("differs", tmp_path, count=1, printed=True)
    writers(trial)
    assert trial.tally.cases == 2
    assert any("of 2 at once: result.json differs" in line for line in trial.tally.found)


def test_results_without_a_program_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.tools.PROGRAMS", ("perl",))
    monkeypatch.setattr("tests.faults.tools.PACKAGES", ())
    monkeypatch.setattr("tests.faults.tools._without", lambda trial, world, _: trial.end(trial.start(world)))
    trial = planted_trial("differs", tmp_path)
    tools(trial)
    assert trial.tally.ends == {"did without": 1}
    assert any("without perl: result.json differs" in line for line in trial.tally.found)


def test_without_kernels_results_are_those_without_kernels(tmp_path: Path) -> None:
    trial = planted_trial("kernels", tmp_path)
    reference, world = trial.reference(), trial.world()
    for text, found in (("plain", 0), ("of neither", 1)):
        world.out.mkdir(exist_ok=True)
        (world.out / "result.json").write_text(text)
        (world.place / "stderr").write_text("siliquant: going on without compiled kernels, at a fraction of the speed")
        trial.same(world, reference, "a full disk")
        assert len(trial.tally.found) == found
        assert (world.out / "result.json").read_text() == text
    (world.place / "stderr").write_text("")
    trial.same(world, reference, "a full disk")
    assert len(trial.tally.found) == 2
    (world.out / "result.json").write_text("plain")
    trial.same(world, reference, "without cc", silent=True)
    assert len(trial.tally.found) == 2


def test_why_there_are_no_kernels_is_no_result(tmp_path: Path) -> None:
    world = World(Job("planted", ()), tmp_path, tmp_path)
    world.out.mkdir()
    found = []
    for said in ('torch, no \\"cc\\" here', "torch, they are turned off", "native, gcc 12"):
        (world.out / "run.json").write_text(f'{{"kernels": "{said}", "bits": 4}}')
        found.append(world.results()["run.json"])
    assert found[0] == found[1] != found[2]


def test_what_killed_campaigns_left_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes, disks and folders; not those of one that runs."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    gone, here = (tmp_path / f"siliquant-faults-{each}-0123abcd" for each in (dead_owner(), owner()))
    sleepers = []
    for folder in (gone, here):
        (folder / "disk").mkdir(parents=True)
        environment = os.environ | {TOKEN: str(folder / "trial/world")}
        sleepers.append(subprocess.Popen(["sleep", "60"], env=environment))
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", DISK, str(gone / "disk")]
    mounted = may_mount(tmp_path / "try") and subprocess.run(mount, check=False).returncode == 0
    try:
        clear_old()
        assert sleepers[0].wait(10) == -signal.SIGKILL
        assert sleepers[1].poll() is None
        assert str(gone) not in Path("/proc/self/mounts").read_text()
        assert here.exists()
        clear(here)
        assert sleepers[1].wait(10) == -signal.SIGKILL
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(gone / "disk")], check=False, capture_output=True)
        for each in sleepers:
            each.kill()
            each.wait()


def dead_owner() -> str:
    """A process that has ended, as a name has it."""
    script = "from siliquant.processes.owners import owner; print(owner())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_campaign_that_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    words = ["--only", "gen", "--faults", "streams", "--out", str(tmp_path / "out")]
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults", *words],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list(tmp_path.glob("tmp/*/trial/world/stderr")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.terminate()
    assert process.communicate(timeout=60)[1] == "tests.faults: interrupted\n"
    assert process.returncode == 130
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_is_recorded_is_whole_and_of_this_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"code_sha256": "1", "versions": {"python": "3"}}
    monkeypatch.setattr(campaigns, "_made_with", lambda: made)
    kept = tmp_path / "kill-gen.json"
    with pytest.raises(InputError, match=r"kill-gen\.json: is missing: python -m tests\.faults tries it$"):
        known_outcomes(tmp_path, ["gen"], ["kill"])
    for known, said in (
        ({"found": []}, "was tried with other code or versions"),
        ({"found": [], **made, "code_sha256": "2"}, "was tried with other code or versions"),
        ({"found": ["a: differs"], **made}, "found something: a: differs$"),
    ):
        kept.write_text(json.dumps(known))
        with pytest.raises(InputError, match=said):
            known_outcomes(tmp_path, ["gen"], ["kill"])
    kept.write_text(json.dumps({"found": [], **made}))
    assert known_outcomes(tmp_path, ["gen"], ["kill"]) == [{"found": [], **made}]
    other = {"found": [], **made, "code_sha256": "2"}
    kept.write_text(json.dumps(other))
    assert known_outcomes(tmp_path, ["gen"], ["kill"], older=True) == [other]
    kept.write_text(json.dumps({**other, "found": ["a: differs"]}))
    with pytest.raises(InputError, match="was tried with other code or versions"):  # what may be mended is tried anew
        known_outcomes(tmp_path, ["gen"], ["kill"], older=True)
    kept.unlink()
    assert known_outcomes(tmp_path, ["gen"], ["kill"], older=True) == []


def test_the_record_says_of_which_code_it_is_and_found_nothing() -> None:
    outcomes = json.loads((ROOT / "reports/results/faults.json").read_text())["values"]["outcomes"]
    for each in outcomes:
        assert re.fullmatch("[0-9a-f]{64}", each["code_sha256"])
        assert each["found"] == []
        assert each["cases"] >= 50 or each["fault"] != "kill"


def test_every_long_command_is_tried() -> None:
    commands = {command.name for command in COMMANDS if command.long}
    assert sorted(job.name for job in JOBS) == sorted({*commands, "record"})  # that of docs_tools
    assert all(job.words[0] == job.name for job in JOBS)
    assert set(FAULTS) == {"kill", "disk", "writers", "clock", "streams", "memory", "tools", "cluster"}
    assert set(FAULTS) > campaigns.FORKED
