"""An exponential moving average of a network while it is trained, which is what is then evaluated and kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import PreTrainedModel

__all__ = ["Average"]


class Average:
    """Average of all parameters, those of quantisers too, and of buffers such as the statistics of batch norms.

    After each step it is ``decay`` times itself plus the rest of the network; the first step is taken as it is.
    Integers and flags are those of the network.
    """

    def __init__(self, model: PreTrainedModel, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        """The averaged network, in evaluation mode."""
        self.steps = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, model: PreTrainedModel) -> None:
        """After a step of ``model``."""
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        averaged = [pair for pair in pairs if self.steps and pair[0].is_floating_point()]
        if averaged:
            ours, theirs = zip(*averaged, strict=True)
            get_ema_multi_avg_fn(self._decay)(list(ours), list(theirs), self.steps)
        for own, other in pairs:
            if not (self.steps and own.is_floating_point()):
                own.copy_(other)
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        """All that ``load_state_dict`` needs."""
        return {"model": cast(nn.Module, self.model).state_dict(), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What ``state_dict`` gave. Raises KeyError or RuntimeError."""
        cast(nn.Module, self.model).load_state_dict(state["model"])
        self.steps = int(state["steps"])


def _tensors(model: PreTrainedModel) -> list[Tensor]:
    module = cast(nn.Module, model)
    return [*(parameter.detach() for parameter in module.parameters()), *module.buffers()]
