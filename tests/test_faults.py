"""A part of the campaign of faults of the world at a fixed seed, and the campaign on commands with planted faults."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults import campaign as campaigns
from tests.faults.campaign import FAULTS, campaign
from tests.faults.disks import may_mount
from tests.faults.jobs import JOBS, Job
from tests.faults.kills import kills
from tests.faults.trial import Trial

SEED = 20261130
PLANTED = "tests.test_faults:planted"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "disk", "writers", "streams"])
def test_a_command_survives(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if fault == "disk" and not may_mount(tmp_path / "disk"):
        pytest.skip("only root may make disks")
    found = campaign(SEED, 8, 20, ["gen"], [fault], tmp_path)
    (outcome,) = found.values()
    assert outcome["cases"] >= 2
    assert outcome["found"] == [], capsys.readouterr().out
    assert json.loads((tmp_path / f"{fault}-gen.json").read_text()) == outcome
    assert campaign(SEED, 8, 20, ["gen"], [fault], tmp_path) == found  # it is not done again
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
    if kind == "differs":
        mark.write_text(f"{mark.read_text() if mark.exists() else ''}x")
    time.sleep(0.1)
    (out / "result.json").write_text(mark.read_text() if mark.exists() else "{}")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("leaves", "tmp/rubbish is left"),
        ("child", "process left: "),
        ("trips", "again after kill of "),
        ("differs", "result.json differs"),
    ],
)
def test_a_planted_fault_is_found(kind: str, said: str, tmp_path: Path) -> None:
    assert threading.active_count() < 4  # commands are copies of this process
    job = Job("planted", (kind, "OUT", str(tmp_path / "mark")), PLANTED)
    trial = Trial(job, tmp_path, tmp_path, Random(3), 12, lasting=0.5)
    kills(trial)
    assert trial.tally.cases > 0
    assert any(said in line for line in trial.tally.found), trial.tally.found


def test_a_command_that_writes_and_renames_is_none(tmp_path: Path) -> None:
    trial = Trial(Job("planted", ("good", "OUT", str(tmp_path / "mark")), PLANTED), tmp_path, tmp_path, Random(3), 12)
    kills(trial)
    assert (trial.tally.cases, trial.tally.found) == (12, [])


def test_every_long_command_is_tried() -> None:
    names = {"gen", "synth", "calibrate", "validate", "prove", "mutate", "fuzz", "train", "softlabels", "export"}
    assert {job.name for job in JOBS} == names | {"verify", "compare", "report", "record", "demo"}
    assert set(FAULTS) == {"kill", "disk", "writers", "clock", "streams", "memory", "tools", "cluster"}
    assert set(FAULTS) > campaigns.FORKED
