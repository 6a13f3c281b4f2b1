"""MixUp, smoothed labels and averaged weights: against sums written out, in runs, and across an interruption."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from qat.network import quantizers
from qat.settings import merge
from qat.train import main, run_training
from qat.training import Processes, load_run, read_state
from qat.training.averaging import Average
from qat.training.mixing import mix_weight, mixed, mixed_cross_entropy, shown_labels
from qat.training.trainer import Training

pytestmark = pytest.mark.usefixtures("quick")
ALL = {"mixup": 0.8, "label_smoothing": 0.1, "ema": 0.9, "random_erasing": 0.5, "augment": "crop"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_the_weight_of_a_step() -> None:
    """Beta-distributed, of mean 1/2 and variance 1 / (4 (2 alpha + 1)); of seed, epoch and step alone."""
    drawn = np.array([mix_weight(0.8, 0, 0, step) for step in range(4000)])
    assert abs(drawn.mean() - 0.5) < 0.02
    assert abs(drawn.var() - 1 / (4 * 2.6)) < 0.005
    assert mix_weight(0.8, 0, 0, 5) == drawn[5]
    assert len({mix_weight(0.8, *where) for where in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))}) == 4
    assert mix_weight(0.0, 0, 0, 0) == 1.0


def test_pairs_and_their_losses_by_hand() -> None:
    """Targets written out: the smoothed labels of both images, with weights 0.3 and 0.7."""
    generator = torch.Generator().manual_seed(0)
    images, logits = torch.randn(4, 2, generator=generator), torch.randn(4, 3, generator=generator)
    labels = torch.tensor([0, 2, 1, 2])
    found = mixed(images, 0.3)
    torch.testing.assert_close(found, torch.stack([0.3 * images[i] + 0.7 * images[3 - i] for i in range(4)]))
    targets = 0.9 * (0.3 * torch.eye(3)[labels] + 0.7 * torch.eye(3)[labels.flip(0)]) + 0.1 / 3
    wanted = -(targets * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(mixed_cross_entropy(logits, labels, 0.3, 0.1), wanted)
    assert mixed(images, 1.0) is images
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert torch.equal(mixed_cross_entropy(logits, labels, 1.0, 0.0), plain)
    assert shown_labels(labels, 0.3).tolist() == [2, 1, 2, 0]
    assert shown_labels(labels, 0.5).tolist() == labels.tolist()


def test_each_option_alone_changes_the_training(train: Callable[..., Path], tmp_path: Path) -> None:
    runs = {name: train(tmp_path / name, bits=32, epochs=1, **{name: value}) for name, value in ALL.items()}
    runs["none"] = train(tmp_path / "none", bits=32, epochs=1)
    assert len({(out / "model.safetensors").read_bytes() for out in runs.values()}) == len(runs)
    for name, value in ALL.items():
        assert json.loads((runs[name] / "run.json").read_text())["options"][name] == value


def test_the_average_is_that_of_all_steps(tmp_path: Path, full_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network of 2 bits: latent weights, scales and offsets; judged, saved, and apart from what is trained."""
    steps: list[dict[str, torch.Tensor]] = []
    update = Average.update

    def kept(self: Average, model: Any) -> None:
        steps.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        update(self, model)

    monkeypatch.setattr(Average, "update", kept)
    out = tmp_path / "run"
    given = {"model": "vit-tiny", "limit": 48, "batch_size": 16, "epochs": 2, "bits": 2, "lr": 3e-3, "start": full_run}
    options = merge(
        {**given, "out": out, "ema": 0.6, "threads": 1, "device": "cpu", "calibration_batches": 1},
    )
    history = run_training(
        options, Processes(0, 1, torch.device("cpu")), resume=False, console=Console(file=io.StringIO())
    )
    assert len(steps) == 6
    found, moved = weights(out), 0
    for name, first in steps[0].items():
        wanted = first.clone()
        for step in steps[1:]:
            wanted = 0.6 * wanted + 0.4 * step[name] if wanted.is_floating_point() else step[name]
        torch.testing.assert_close(found[name], wanted, msg=name)
        moved += name.endswith(".relative") and not torch.equal(wanted, steps[-1][name])
    assert moved > 10
    state = read_state(out / "state.pt")
    assert all(torch.equal(state["model"][name], tensor) for name, tensor in steps[-1].items())
    model, _ = load_run(out)
    assert quantizers(model)
    from qat.train import open_data
    from qat.training import evaluate

    assert history[-1]["test_score"] == evaluate(model, open_data("mnist5k", limit=48, image_size=28)).score


def test_an_interrupted_run_is_the_same_run(
    command: Callable[..., Any], train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    """With everything that is drawn or averaged, in the middle of the second epoch."""

    class Killed(BaseException):
        pass

    options = {"bits": 2, "obr": 0.1, "lr": 3e-3, "start": full_run, **ALL}
    whole, parted, save, count = train(tmp_path / "whole", **options), tmp_path / "parted", Training.save, []

    def saved(self: Training, path: Path) -> None:
        save(self, path)
        count.append(1)
        if len(count) == 6:
            raise Killed

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(Training, "save", saved)
        with pytest.raises(Killed):
            train(parted, **options, checkpoint_minutes=0)
    state = read_state(parted / "state.pt")
    assert (state["epoch"], state["step"], state["average"]["steps"]) == (1, 2, 5)
    ended = command(main, "--resume", "--out", parted)
    assert ended.code == 0, ended.err
    assert (parted / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    ours, theirs = (read_state(folder / "state.pt") for folder in (parted, whole))
    for part in ("model", "average", "optimizer"):
        torch.testing.assert_close(ours[part], theirs[part], rtol=0, atol=0)


def test_what_does_not_go_with_data(command: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / "sts").mkdir()
    for part in ("train", "dev"):
        rows = [f"{n}\tx\tx\tx\tx\tx\tx\ta\tb\t{n % 5}" for n in range(6)]
        header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"
        (tmp_path / "sts" / f"{part}.tsv").write_text("\n".join([header, *rows]) + "\n")
    text = ["--model", "bert-tiny", "--max-length", 8, "--bits", 32, "--out", out]
    for given, said in (
        (["--rand-augment", 9], "rand_augment is for images of folders, but those of mnist5k are digits in grey"),
        ([*text, "--data", "mr", "--limit", 4, "--augment", "crop"],
         "augment, rand_augment and random_erasing are for images, but mr has texts"),
        ([*text, "--data", f"glue:sts-b:{tmp_path / 'sts'}", "--label-smoothing", 0.1],
         f"label_smoothing is for classes, but glue:sts-b:{tmp_path / 'sts'} has scores"),
    ):  # fmt: skip
        ended = command(main, "--out", out, *given)
        assert (ended.code, ended.err) == (2, f"program: error: {said}\n")
        assert not (out / "run.json").exists()
