"""A run that was killed and resumed is, to the byte, the run that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import qat.train
from qat.train import main
from qat.training.runs import load_run, read_record, read_state
from qat.training.softlabels import make_store
from qat.training.trainer import Training

pytestmark = pytest.mark.usefixtures("quick")
ROOT = Path(__file__).resolve().parents[3]
OFTEN = {"checkpoint_minutes": 0}
CHILD = """
import sys, time
sys.path[:0] = sys.argv[2:]
import pytest, torch
from qat.training.trainer import Training
import conftest
torch.set_num_threads(1)
saves, save = [], Training.save
def saved(self, path):
    save(self, path)
    saves.append(1)
    if len(saves) == 6:  # an epoch is three steps and its end: this is within the second
        print("now", flush=True)
        time.sleep(600)
Training.save = saved
conftest.train_tiny(sys.argv[1], **{options})
"""


class Killed(BaseException):
    """What ends a run in the middle."""


def lines(folder: Path) -> list[dict[str, Any]]:
    """The metrics, without what time they took."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        del record["seconds"], record["samples_per_second"]
    return records


def assert_same(found: Path, expected: Path) -> None:
    assert (found / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
    assert lines(found) == lines(expected)
    assert len((found / "metrics.csv").read_text().splitlines()) == 1 + len(lines(expected))
    ours, theirs = (read_state(folder / "state.pt") for folder in (found, expected))
    for part in ("model", "tracker", "freezer", "optimizer"):
        torch.testing.assert_close(ours[part], theirs[part], rtol=0, atol=0)


def test_a_run_that_is_really_killed(
    command: Callable[..., Any], tmp_path: Path, low_run: Path, full_run: Path
) -> None:
    """By signal 9, within an epoch, with a teacher, the regulariser, tracker and freezing on."""
    folder = tmp_path / "run"
    options = {"bits": 2, "obr": 0.1, "freeze": 0.02, "lr": 3e-3, "start": str(full_run), "teacher": str(full_run)}
    script = CHILD.replace("{options}", repr(options | OFTEN)).replace("sys.argv[1],", "conftest.Path(sys.argv[1]),")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder), str(ROOT), str(Path(__file__).parents[1])],
        stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"now\n"
        finally:
            child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    state = read_state(folder / "state.pt")
    assert (state["epoch"], state["step"], state["sums"]["samples"]) == (1, 2, 32.0)
    (folder / ".state.pt.1.tmp").write_bytes(b"half a check")
    (folder / ".model.safetensors.1.ab.tmp").write_bytes(b"")
    ended = command(main, "--resume", "--out", folder)
    assert ended.code == 0, ended.err
    assert [line.split(":")[0] for line in ended.err.splitlines()] == ["epoch 2", str(folder)]
    assert_same(folder, low_run)
    assert read_record(folder).model == read_record(low_run).model


def killed_after(train: Callable[..., Path], folder: Path, saves: int, **options: Any) -> None:
    """A run that dies in the save of that number, just after the state was written."""
    save, count = Training.save, []

    def saved(self: Training, path: Path) -> None:
        save(self, path)
        count.append(1)
        if len(count) == saves:
            raise Killed

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Training, "save", saved)
        with pytest.raises(Killed):
            train(folder, **options, **OFTEN)


@pytest.mark.parametrize("saves", range(1, 9))
def test_killed_after_any_checkpoint(
    train: Callable[..., Path], tmp_path: Path, low_run: Path, full_run: Path, saves: int
) -> None:
    """Also between the state and the model of an epoch, the last one too."""
    options = {"bits": 2, "obr": 0.1, "freeze": 0.02, "lr": 3e-3, "start": full_run, "teacher": full_run}
    killed_after(train, tmp_path / "run", saves, **options)
    torch.manual_seed(99)
    train(tmp_path / "run", resume=True, **options, **OFTEN)
    assert_same(tmp_path / "run", low_run)


def test_killed_with_dropout_soft_labels_and_statistical_scales(
    train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    teacher = load_run(full_run)[0]
    data = qat.train.open_data("mnist5k", limit=48, image_size=28)
    make_store(lambda x: teacher(pixel_values=x).logits, data, tmp_path / "labels", crops=4, top_k=3)
    options = {
        "model": "vit-drop", "bits": 3, "soft_labels": tmp_path / "labels", "crops_per_image": 2,
        "weight_scale": "statistical",
    }  # fmt: skip
    train(tmp_path / "whole", **options)
    killed_after(train, tmp_path / "run", 5, **options)
    train(tmp_path / "run", resume=True, **options)
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_killed_at_one_bit_and_resumed_without_its_start(
    command: Callable[..., Any], train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    """What it started from is not needed any more, and the machine may differ."""
    start = Path(shutil.copytree(full_run, tmp_path / "start"))
    options = {"bits": 1, "activation_bits": 2, "start": start, "obr": 0.01}
    train(tmp_path / "whole", **options)
    killed_after(train, tmp_path / "run", 6, **options)
    shutil.rmtree(start)
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    ended = command(main, "--resume", "--out", moved, "--bits", 1, "--workers", 1, "--checkpoint-minutes", 5)
    assert ended.code == 0, ended.err
    assert_same(moved, tmp_path / "whole")


def test_a_run_that_ended_before_its_first_checkpoint_starts_again(
    command: Callable[..., Any], train: Callable[..., Path], tmp_path: Path
) -> None:
    """Also where there never is one, in post-training quantisation."""
    for epochs in (2, 0):
        folder = tmp_path / str(epochs)
        train(folder / "whole", bits=32, epochs=epochs)
        (folder / "run").mkdir()
        (folder / "run" / "run.json").write_bytes((folder / "whole" / "run.json").read_bytes())
        ended = command(main, "--resume", "--out", folder / "run")
        assert ended.code == 0, ended.err
        model = (folder / "whole" / "model.safetensors").read_bytes()
        assert (folder / "run" / "model.safetensors").read_bytes() == model
        assert lines(folder / "run") == lines(folder / "whole")


def test_resuming_what_is_finished_changes_nothing(command: Callable[..., Any], tmp_path: Path, low_run: Path) -> None:
    folder = Path(shutil.copytree(low_run, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = command(main, "--resume", "--out", folder)
    assert ended.code == 0, ended.err
    assert ended.err.startswith(f"{folder}: test accuracy ")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_state_that_cannot_be_used(command: Callable[..., Any], tmp_path: Path, low_run: Path) -> None:
    folder = Path(shutil.copytree(low_run, tmp_path / "run"))
    state = folder / "state.pt"

    def refused() -> str:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        ended = command(main, "--resume", "--out", folder)
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        return str(ended.err).split(": error: ", 1)[1].strip()

    whole = read_state(state)
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    assert refused().startswith(f"{state} must be a checkpoint that can be read: ")
    for change, message in [
        ({"epoch": None}, "must be a checkpoint of this run: 'epoch'"),
        ({"freezer": None}, "must be a checkpoint of this run: "),
        ({"epoch": "x"}, "must be a checkpoint of this run: epoch must be an integer from 0 to "),
        ({"step": 10**9}, "must be a checkpoint of this run: step must be an integer from 0 to "),
        ({"sums": {}}, "must be a checkpoint of this run: sums must be numbers by name"),
        ({"history": [3]}, "must be a checkpoint of this run: history must be a list of records"),
        ({"tracker": {"codes": {}, "direction": {}, "frequency": {}}},
         "must be a checkpoint of this run: the oscillation state must be of the same modules"),
        ({"model": {}}, "must fit the model, but it lacks "),
    ]:  # fmt: skip
        changed = {**whole, **change}
        if change == {"epoch": None}:
            del changed["epoch"]
        torch.save(changed, state)
        assert refused().startswith(f"{state} {message}")


@pytest.mark.parametrize("part", ["train", "test"])
def test_data_that_changed(command: Callable[..., Any], tmp_path: Path, low_run: Path, part: str) -> None:
    folder = Path(shutil.copytree(low_run, tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text())
    ours = record["data"][f"{part}_fingerprint"]
    record["data"][f"{part}_fingerprint"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record))
    ended = command(main, "--resume", "--out", folder)
    assert ended.code == 2
    assert ended.err.split(": error: ", 1)[1] == (
        f"mnist5k must hold the {part} samples of the run (000000000000), not others ({ours[:12]})\n"
    )


def test_the_last_state_has_the_last_model(low_run: Path) -> None:
    state = read_state(low_run / "state.pt")
    assert (state["epoch"], state["step"]) == (2, 0)
    model = load_file(low_run / "model.safetensors")
    assert all(torch.equal(model[name], tensor) for name, tensor in state["model"].items())
