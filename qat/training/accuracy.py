"""The accuracy of a model on the test samples of a data set, with its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from qat.data import Data, ImageSplit, TextSplit, batches
from siliquant.inputs import InputError

from .metrics import METRICS, Score

__all__ = ["Evaluation", "evaluate", "inputs_of", "split_batches"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result on a test split.

    logits float32 [n, classes]; labels [n]; loss is the mean cross-entropy (regression: squared error). metrics are
    names of :data:`qat.settings.METRIC_NAMES`.
    """

    logits: Tensor
    labels: Tensor
    loss: float
    metrics: tuple[str, ...] = ("accuracy",)

    @property
    def regression(self) -> bool:
        return self.labels.is_floating_point()

    @property
    def correct(self) -> int:
        """Samples whose largest logit is that of their class."""
        return int((self.logits.argmax(-1) == self.labels).sum())

    @cached_property
    def scores(self) -> dict[str, Score]:
        """By name of the metric, in order."""
        return {name: METRICS[name].of(self.logits, self.labels) for name in self.metrics}

    @property
    def headline(self) -> Score:
        """Of the first metric."""
        return self.scores[self.metrics[0]]

    @property
    def score(self) -> float:
        """Value of the first metric: a share from 0 to 1, or a correlation from -1 to 1."""
        return self.headline.value

    def check_finite(self) -> None:
        """InputError where a logit or the loss is NaN or infinite: no class is predicted then, whatever argmax says."""
        bad = int((~self.logits.isfinite()).any(-1).sum())
        if bad:
            raise InputError(
                f"the outputs of the network must be finite numbers, but those of {bad} of {len(self.labels)} test "
                "samples are not"
            )
        if not math.isfinite(self.loss):
            raise InputError(f"the test loss must be a finite number, but is {self.loss}")

    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the score."""
        return self.headline.low, self.headline.high


def inputs_of(fetched: Tensor | dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """What was fetched, as keyword arguments of the model."""
    named = {"pixel_values": fetched} if isinstance(fetched, Tensor) else fetched
    return {name: tensor.to(device, non_blocking=True) for name, tensor in named.items()}


def split_batches(
    data: Data,
    split: ImageSplit | TextSplit,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    *,
    pinned: bool = False,
) -> Iterator[tuple[Any, Tensor]]:
    """Inputs and labels of a whole split in order, as it is evaluated; of every `world`-th sample from `rank`."""
    indices = np.arange(rank, len(split.labels), world, dtype=np.int64)
    chunks = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]

    def plan() -> Iterator[Any]:
        for chunk in chunks:
            views = None
            if data.evaluation is not None and not isinstance(split, TextSplit):
                views = data.evaluation.sample(0, 0, chunk, 0, split.sizes(chunk))
            yield chunk, views

    for chunk, fetched in zip(chunks, batches(split, plan(), workers, pinned=pinned), strict=True):
        yield fetched, torch.from_numpy(np.asarray(split.labels)[chunk])


@torch.no_grad()
def evaluate(
    model: nn.Module,
    data: Data,
    *,
    batch_size: int = 256,
    device: torch.device | None = None,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    progress: bool = False,
) -> Evaluation:
    """Logits of the whole test split; with `world` > 1 those of every `world`-th sample, from `rank`."""
    device = device or torch.device("cpu")
    was_training = model.training
    model.eval()
    found, wanted = [], []
    steps = split_batches(data, data.test, batch_size, workers, rank, world, pinned=device.type == "cuda")
    count = math.ceil(math.ceil((len(data.test.labels) - rank) / world) / batch_size)
    console = Console(stderr=True)
    hidden = not (progress and console.is_terminal)
    for fetched, labels in track(steps, "evaluation", count, console=console, disable=hidden, transient=True):
        found.append(model(**inputs_of(fetched, device)).logits.float().cpu())
        wanted.append(labels)
    model.train(was_training)
    logits, targets = torch.cat(found), torch.cat(wanted)
    if targets.is_floating_point():
        loss = F.mse_loss(logits[:, 0], targets.float())
    else:
        loss = F.cross_entropy(logits, targets)
    return Evaluation(logits, targets, float(loss), data.metrics)
