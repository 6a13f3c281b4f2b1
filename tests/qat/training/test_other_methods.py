"""Ingredients of other methods in whole runs: they train, their limits are the runs without them, and they export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from qat import export
from qat.network.convert import weight_quantizers
from qat.quantisers.quantiser import StatisticalQuantizer
from qat.train import main
from qat.training.runs import load_run
from qat.training.trainer import Training

TWO = {"bits": 2, "epochs": 2, "lr": 3e-3}


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights_of(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, train: Callable[..., Path], full_run: Path) -> Path:
    return train(tmp_path_factory.mktemp("plain") / "run", **TWO, start=full_run)


def test_a_surrogate_of_amplitude_0_is_the_run_without(
    train: Callable[..., Path], tmp_path: Path, full_run: Path, plain: Path
) -> None:
    options = {**TWO, "start": full_run, "surrogate": "fourier"}
    limit = train(tmp_path / "limit", **options, surrogate_amplitude=0, surrogate_order=2)
    assert weights_of(limit) == weights_of(plain)
    assert weights_of(train(tmp_path / "run", **options)) != weights_of(plain)


def test_annealing_holds_what_is_far_from_a_border_in_its_epochs_only(
    train: Callable[..., Path], tmp_path: Path, full_run: Path, plain: Path
) -> None:
    one = train(tmp_path / "one", **{**TWO, "epochs": 1}, start=full_run)
    annealed = train(tmp_path / "run", **TWO, start=full_run, cga=1, cga_range=0.05)
    first, last = metrics(annealed)
    assert (first["held"], first["frozen"], last["frozen"]) == (None, None, None)
    assert 0.7 < last["held"] < 1
    assert "frozen,held," in (annealed / "metrics.csv").read_text()
    # Another length of the training is another learning rate: the first epoch is that of the plain run of two.
    assert first["loss"] == metrics(plain)[0]["loss"]
    assert first["loss"] != metrics(one)[0]["loss"]
    model, _ = load_run(annealed)
    other, _ = load_run(plain)
    whole = weight_quantizers(model)
    inner = weight_quantizers(model, of_blocks=True)
    assert whole.keys() - inner.keys() == {"vit.embeddings.patch_embeddings.projection", "classifier"}
    theirs = weight_quantizers(other)
    same = {name: float((w == theirs[name][0]).float().mean()) for name, (w, _) in whole.items()}
    assert max(same.values()) < 0.5  # against a run that went on training all of them


def test_annealing_from_the_first_step_moves_few_weights(
    train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    annealed = train(tmp_path / "run", **TWO, start=full_run, cga=2, cga_range=0.05)
    model, _ = load_run(annealed)
    start = load_file(full_run / "model.safetensors")
    inner = weight_quantizers(model, of_blocks=True)
    for name, (weight, _) in weight_quantizers(model).items():
        held = weight.detach() == start[f"{name}.weight"]
        if name in inner:
            assert 0.5 < float(held.float().mean()) < 1, name
        else:
            assert float(held.float().mean()) < 0.1, name


def test_a_resumed_run_with_annealing_and_a_surrogate_is_the_same(
    train: Callable[..., Path], tmp_path: Path, full_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**TWO, "start": full_run, "cga": 1.5, "cga_range": 0.05, "surrogate": "fourier", "checkpoint_minutes": 0}
    options |= {"weight_scale": "statsq", "granularity": "channel"}
    whole = train(tmp_path / "whole", **options)
    save, saves = Training.save, []

    def ends(self: Training, path: Path) -> None:
        save(self, path)
        saves.append(path)
        if len(saves) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Training, "save", ends)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", **options)
    train(tmp_path / "cut", resume=True, **options)
    assert weights_of(tmp_path / "cut") == weights_of(whole)


def test_the_range_of_statsq_is_twice_the_mean_magnitude() -> None:
    for bits in (2, 3, 4):
        weight = torch.randn(5, 300, generator=torch.Generator().manual_seed(bits))
        quantizer = StatisticalQuantizer(bits, signed=True, of_range=True)
        quantizer.fit(weight)
        lowest = quantizer.dequantize(quantizer.low.to(torch.int64))
        assert float(lowest) == pytest.approx(-2 * float(weight.abs().mean()), rel=1e-5)
    with pytest.raises(ValueError, match=r"^of_range must be False for unsigned codes, not True$"):
        StatisticalQuantizer(2, signed=False, of_range=True)


METHODS: dict[str, dict[str, Any]] = {
    "surrogate": {"surrogate": "fourier"},
    "annealing": {"cga": 1, "cga_range": 0.1},
    "statsq": {"weight_scale": "statsq", "granularity": "channel"},
    "product": {"query_key": "reparameterised"},
    "ofq": {"weight_scale": "statsq", "granularity": "channel", "query_key": "reparameterised", "cga": 1},
    "rotated": {"rotate": ["values", "queries", "residual"]},
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", METHODS)
def test_each_trains_and_its_integers_have_the_same_codes_and_logits(
    name: str, train: Callable[..., Path], command: Callable[..., Any], tmp_path: Path, full_run: Path
) -> None:
    options = {**TWO, "epochs": 3, "batch_size": 8, "start": full_run, **METHODS[name]}
    run = train(tmp_path / "run", **options)
    losses = [record["loss"] for record in metrics(run)]
    assert losses[-1] < losses[0]
    ended = command(export.main, "--checkpoint", run, "--out", tmp_path / "integers")
    assert ended.code == 0, ended
    assert "60 of 60 predictions equal; 0 of " in ended.out


def test_a_rotated_start_is_the_same_function(train: Callable[..., Path], tmp_path: Path, full_run: Path) -> None:
    rotated = train(tmp_path / "run", bits=32, epochs=0, start=full_run, rotate=["residual", "values", "queries"])
    assert metrics(rotated)[0]["test_loss"] == pytest.approx(metrics(full_run)[-1]["test_loss"], rel=1e-5)
    assert weights_of(rotated) != weights_of(full_run)


def test_a_run_with_the_product_of_query_and_key_can_be_a_start(
    train: Callable[..., Path], tmp_path: Path, full_run: Path
) -> None:
    run = train(tmp_path / "product", **TWO, start=full_run, query_key="reparameterised")
    again = train(tmp_path / "again", bits=32, epochs=0, start=run)
    theirs, ours = (load_file(folder / "model.safetensors") for folder in (run, again))
    name = "vit.layers.0.attention"
    assert torch.equal(ours[f"{name}.q_proj.weight"], theirs[f"{name}.q_proj.query_weight"])
    assert torch.equal(ours[f"{name}.k_proj.weight"], theirs[f"{name}.k_proj.weight"])
    other = train(tmp_path / "other", **TWO, start=run, query_key="reparameterised")
    assert weights_of(other) != weights_of(run)


def test_an_epoch_is_said_to_hold_only_where_its_last_step_does(train: Callable[..., Path], tmp_path: Path) -> None:
    """Three steps an epoch: the last of the first epoch begins 4 / 3 epochs before the end."""
    for cga, first in ((0.4, False), (1.2, False), (1.34, True)):
        run = train(tmp_path / f"run{cga}", **TWO, cga=cga)
        assert [record["held"] is not None for record in metrics(run)] == [first, True]


def test_annealing_of_less_than_a_step(command: Callable[..., Any], tmp_path: Path) -> None:
    options = ("--model", "vit-mnist", "--data", "digits", "--limit", "30", "--batch-size", "10", "--cga", "0.3")
    ended = command(main, *options, "--out", tmp_path / "run")
    must = "cga must be 0, or at least one step, which is 0.333333 epochs, not 0.3"
    assert (ended.code, ended.err) == (2, f"program: error: {must}\n")
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())


def test_a_rotation_without_a_start(command: Callable[..., Any], tmp_path: Path) -> None:
    ended = command(main, "--rotate", "values", "--out", tmp_path / "run")
    assert (ended.code, ended.err) == (2, "program: error: rotate must be given with start only\n")


def test_a_range_of_annealing_without_annealing(command: Callable[..., Any], tmp_path: Path) -> None:
    ended = command(main, "--cga-range", "0.01", "--out", tmp_path / "run")
    assert (ended.code, ended.err) == (2, "program: error: cga_range must be given with cga only\n")
