"""Accuracy of a trained run, with its confidence interval: ``python -m qat.evaluate``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from qat.data.datasets import Data, batches, open_data
from qat.data.images import ImageSplit
from qat.data.look import look_of_record
from qat.data.text import TextSplit
from qat.parsers import evaluate as parser
from qat.settings.options import merge
from siliquant.commandline.cli import run
from siliquant.inputs.errors import InputError
from siliquant.inputs.numbers import integer
from siliquant.inputs.reading import member

__all__ = ["Evaluation", "evaluate", "inputs_of", "split_batches", "wilson_interval"]

PROG = "python -m qat.evaluate"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result on a test split.

    logits float32 [n, classes]; labels [n]; loss is the mean cross-entropy (regression: squared error).
    """

    logits: Tensor
    labels: Tensor
    loss: float

    @property
    def regression(self) -> bool:
        return self.labels.is_floating_point()

    @property
    def correct(self) -> int:
        """Samples whose largest logit is that of their class."""
        return int((self.logits.argmax(-1) == self.labels).sum())

    @property
    def score(self) -> float:
        """Accuracy from 0 to 1; for regression Pearson's correlation, 0 where the logits are all the same."""
        if self.regression:
            pair = torch.stack([self.logits[:, 0].double(), self.labels.double()])
            return float(torch.corrcoef(pair)[0, 1].nan_to_num(0.0))
        return self.correct / len(self.labels)

    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the score: Wilson's for accuracy, Fisher's z for correlation."""
        n = len(self.labels)
        if not self.regression:
            return wilson_interval(self.correct, n)
        z, half = math.atanh(min(max(self.score, -0.9999999), 0.9999999)), 1.959964 / math.sqrt(max(n - 3, 1))
        return math.tanh(z - half), math.tanh(z + half)


def wilson_interval(correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (95 % by default).

    >>> [round(x, 4) for x in wilson_interval(944, 1000)]
    [0.928, 0.9566]
    """
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def inputs_of(fetched: Tensor | dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """What was fetched, as keyword arguments of the model."""
    named = {"pixel_values": fetched} if isinstance(fetched, Tensor) else fetched
    return {name: tensor.to(device, non_blocking=True) for name, tensor in named.items()}


def split_batches(
    data: Data, split: ImageSplit | TextSplit, batch_size: int, workers: int = 0, rank: int = 0, world: int = 1
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

    for chunk, fetched in zip(chunks, batches(split, plan(), workers), strict=True):
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
    steps = split_batches(data, data.test, batch_size, workers, rank, world)
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
    return Evaluation(logits, targets, float(loss))


def open_run_data(record: Any, *, skip: int | None = None) -> tuple[Data, list[str]]:
    """The data that a run was trained on, from its record, without the images that it left out; and the names of up to
    `skip` more of its test images that cannot be read now, which are left out too; None: none, and there is no option.

    ValueError when its files have changed, or more test images cannot be read.
    """
    from qat.data.readable import checked, without
    from qat.training.runs import names_of_skipped

    name, wanted = member(record.data, "name", str), member(record.data, "test_fingerprint", str)
    options = merge(dict(record.options), {"out": Path("run")})
    data = open_data(
        name,
        image_size=options.image_size or record.model.get("image_size"),
        tokenizer=options.tokenizer,
        max_length=options.max_length,
        limit=options.limit,
        look=look_of_record(record.data),
    )
    data = without(data, names_of_skipped(record.data))
    if data.test.fingerprint != wanted:
        raise InputError(
            f"{name} must hold the test samples of the run ({wanted[:12]}), not others ({data.test.fingerprint[:12]})"
        )
    data, left_out = checked(data, Console(stderr=True), skip=skip, parts=("test",))
    return data, left_out.get("test", [])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from qat.data.readable import MOST_SKIPPED
    from qat.training.runs import load_run

    options = parser().parse_args(arguments)
    batch_size = integer("batch_size", options.batch_size, 1, 1 << 20)
    as_json = options.format == "json"
    skip = integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED)
    model, record = load_run(options.checkpoint)
    data, left_out = open_run_data(record, skip=skip)
    result = evaluate(model, data, batch_size=batch_size, progress=not as_json)
    low, high = result.interval()
    if as_json:
        answer = {"score": result.score, "low": low, "high": high, "n": len(result.labels), "loss": result.loss}
        print(json.dumps(answer | ({"left_out": left_out} if left_out else {})))
        return
    what = "correlation" if result.regression else "accuracy"
    counts = f"{len(result.labels)} samples" if result.regression else f"{result.correct} of {len(result.labels)}"
    print(
        f"{what} {100 * result.score:.2f} % ({counts}; 95 % interval {100 * low:.2f} to {100 * high:.2f} %), "
        f"loss {result.loss:.4f}" + (f"; {len(left_out)} images left out" if left_out else "")
    )


if __name__ == "__main__":
    run(PROG, main)
