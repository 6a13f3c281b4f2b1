"""A plain residual ConvNet to compare a transformer with: as many parameters, trained on the same images.

After He et al., "Deep residual learning for image recognition" (CVPR 2016): a 3x3 stem, three stages of two basic
blocks (two 3x3 convolutions with batch norm and ReLU, 1x1 shortcuts where the shape changes) with widths w, 2w and 4w,
strides 1, 2 and 2, global average pooling and a linear classifier. For images of 96 pixels or more the stem has
stride 2 and is followed by a pooling of 2x2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from qat.data import TextSplit
from qat.settings import Options
from qat.training import Processes, Training, read_state, train

from .subject import Subject

__all__ = ["ConvNet", "Recipe", "convnet_for", "train_convnet"]

_LARGE = 96  # pixels
_MOST_WIDTH = 1024


@dataclass(frozen=True)
class Recipe:
    """AdamW with a cosine to 0 after a warm-up of an eighth; batches of 64, and the augmentation of the data."""

    epochs: int = 8
    lr: float = 2e-3
    weight_decay: float = 0.05

    def options(self, subject: Subject, seed: int, workers: int | None) -> Options:
        """For the training loop."""
        return replace(
            subject.options, epochs=self.epochs, lr=self.lr, weight_decay=self.weight_decay, bits=32, seed=seed,
            warmup=self.epochs / 8, workers=workers,
        )  # fmt: skip


class _Block(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)); x [batch, channels, height, width]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.shortcut(x))


@dataclass
class _Output:
    logits: Tensor


class ConvNet(nn.Module):
    """pixel_values [batch, channels, size, size] to logits [batch, labels]; `width`: channels of the first stage."""

    def __init__(self, channels: int, size: int, labels: int, width: int) -> None:
        super().__init__()
        self.large = size >= _LARGE
        self.stem = nn.Conv2d(channels, width, 3, 2 if self.large else 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        stages = []
        before = width
        for wide, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            stages += [_Block(before, wide, stride), _Block(wide, wide, 1)]
            before = wide
        self.blocks = nn.Sequential(*stages)
        self.classifier = nn.Linear(before, labels)

    def forward(self, pixel_values: Tensor) -> _Output:
        x = F.relu(self.norm(self.stem(pixel_values)))
        if self.large:
            x = F.max_pool2d(x, 2)
        return _Output(self.classifier(self.blocks(x).mean((2, 3))))


def convnet_for(parameters: int, channels: int, size: int, labels: int) -> ConvNet:
    """With the width, 1 to 1024, whose number of parameters is nearest to `parameters`."""

    def away(width: int) -> int:
        with torch.device("meta"):
            made = ConvNet(channels, size, labels, width)
        return abs(sum(parameter.numel() for parameter in made.parameters()) - parameters)

    low, high = 1, _MOST_WIDTH
    while high - low > 2:  # `away` falls, then rises
        middle = (low + high) // 2
        low, high = (low, middle + 1) if away(middle) <= away(middle + 1) else (middle, high)
    return ConvNet(channels, size, labels, min(range(low, high + 1), key=away))


def train_convnet(
    subject: Subject, recipe: Recipe, kept: Path, *, seed: int, workers: int | None, device: torch.device
) -> ConvNet:
    """One with as many parameters as the transformer, trained on the images that scales are found on; in evaluation
    mode. `kept`: a file where every epoch is kept, so that the same call goes on after an interruption.
    """
    split = subject.data.train
    assert not isinstance(split, TextSplit)
    options = recipe.options(subject, seed, workers)
    parameters = sum(each.numel() for each in subject.model.parameters())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = convnet_for(parameters, split.channels, split.image_size, len(subject.data.classes))
    processes = Processes(0, 1, device)
    training = Training(options, subject.data, cast(PreTrainedModel, model.to(device)), processes)
    if kept.exists():
        training.load(read_state(kept), kept)
    train(training, lambda now: now.save(kept), _nothing)
    return model.eval()


def _nothing(*_: Any) -> None:
    """What a training reports: only its end is of use here."""
