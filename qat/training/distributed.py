"""One process or several (torchrun): who is who, on which device, and sums over all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from siliquant.inputs import InputError, integer

from .accuracy import Evaluation

__all__ = ["Processes", "device_named", "processes"]

MOST_PROCESSES = 4096
"""Processes that train together, at most."""


@dataclass(frozen=True)
class Processes:
    """This process among all that train together, of which `beside` are on this machine."""

    rank: int
    world: int
    device: torch.device
    beside: int = 1

    def summed(self, values: dict[str, float]) -> dict[str, float]:
        """The sums over all processes."""
        if self.world == 1:
            return dict(values)
        tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return dict(zip(values, tensor.tolist(), strict=True))

    def gathered(self, part: Evaluation) -> Evaluation:
        """The evaluation of the whole split from those of its shares; the mean loss is weighted by their sizes."""
        if self.world == 1:
            return part
        parts: list[Evaluation | None] = [None] * self.world
        dist.all_gather_object(parts, part)
        whole = [p for p in parts if p is not None]
        labels = torch.cat([p.labels for p in whole])
        loss = sum(p.loss * len(p.labels) for p in whole) / len(labels)
        return Evaluation(torch.cat([p.logits for p in whole]), labels, loss, part.metrics)


def device_named(name: str) -> torch.device:
    """The device of this process for auto, cpu or cuda.  ValueError when there is no GPU for cuda."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device must be cpu or auto where PyTorch finds no GPU, not 'cuda'")
    if available and name != "cpu":
        return torch.device("cuda", integer("LOCAL_RANK", os.environ.get("LOCAL_RANK", "0"), 0, MOST_PROCESSES))
    return torch.device("cpu")


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Joins the group that torchrun has set up in the environment, or none.

    `device`: auto, cpu or cuda.  ValueError when there is no GPU for cuda.
    """
    chosen = device_named(device)
    world = integer("WORLD_SIZE", os.environ.get("WORLD_SIZE", "1"), 1, MOST_PROCESSES)
    rank = integer("RANK", os.environ.get("RANK", "0"), 0, world - 1)
    on_gpu = chosen.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Processes(0, 1, chosen)
        return
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Processes(
            rank, world, chosen, integer("LOCAL_WORLD_SIZE", os.environ.get("LOCAL_WORLD_SIZE", "1"), 1, world)
        )
    finally:
        dist.destroy_process_group()
