"""The ConvNet beside a transformer: its size by trying all, its blocks from the formula, training that goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from qat.analysis import convnet as module
from qat.analysis.convnet import ConvNet, Recipe, convnet_for, train_convnet
from qat.analysis.subject import Subject, open_subject

CPU = torch.device("cpu")


def parameters(model: torch.nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("wanted", [0, 3000, 11_000, 60_000])
def test_its_size_is_the_nearest_of_all(wanted: int) -> None:
    sizes = [parameters(ConvNet(1, 8, 10, width)) for width in range(1, 24)]
    nearest = min(abs(size - wanted) for size in sizes)
    assert abs(parameters(convnet_for(wanted, 1, 8, 10)) - wanted) == nearest


@pytest.mark.parametrize(("size", "last"), [(28, 7), (96, 6)])
def test_it_computes_residual_blocks(size: int, last: int) -> None:
    torch.manual_seed(0)
    model = ConvNet(1, size, 4, 3).eval()
    pixels = torch.randn(2, 1, size, size)
    seen = []
    model.blocks.register_forward_hook(lambda *call: seen.append(call))
    logits = model(pixels).logits
    x = F.relu(model.norm(F.conv2d(pixels, model.stem.weight, stride=2 if size >= 96 else 1, padding=1)))
    if size >= 96:
        x = F.max_pool2d(x, 2)
    for number, block in enumerate(model.blocks):
        stride = 2 if number in (2, 4) else 1
        inner = F.relu(block.norm1(F.conv2d(x, block.conv1.weight, stride=stride, padding=1)))
        inner = block.norm2(F.conv2d(inner, block.conv2.weight, padding=1))
        if number in (2, 4):
            conv, norm = block.shortcut
            x = norm(F.conv2d(x, conv.weight, stride=2))
        x = F.relu(inner + x)
    assert x.shape == (2, 12, last, last)
    torch.testing.assert_close(seen[0][2], x)
    torch.testing.assert_close(logits, x.mean((2, 3)) @ model.classifier.weight.T + model.classifier.bias)


@pytest.fixture
def subject(full_run: Path, quick: None) -> Subject:
    return open_subject(full_run, "mnist5k", tokenizer=None, samples=None, seed=0)


def test_a_training_that_was_stopped_ends_with_the_same_bits(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=3)
    call: Callable[[Path], ConvNet] = lambda kept: train_convnet(  # noqa: E731
        subject, recipe, kept, seed=1, workers=0, device=CPU
    )
    state = torch.get_rng_state()
    whole = call(tmp_path / "whole.pt")
    assert whole.training is False
    assert parameters(whole) == parameters(convnet_for(parameters(subject.model), 1, 28, 10))
    real, saved = module.train, []

    def stopped(training, save, report):  # type: ignore[no-untyped-def]
        def once(now):  # type: ignore[no-untyped-def]
            save(now)
            saved.append(now.epoch)
            raise KeyboardInterrupt

        return real(training, once, report)

    monkeypatch.setattr(module, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path / "parts.pt")
    monkeypatch.setattr(module, "train", real)
    torch.manual_seed(99)
    again = call(tmp_path / "parts.pt")
    assert saved == [1]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    torch.set_rng_state(state)
