"""How often weights flip between two codes (Nagel et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qat.quantisers import ElasticBinarizer, Layout, Quantizer, Seen, integers, native, seen_by
from qat.quantisers.native import kernels
from siliquant.inputs import InputError

from .batch import Batch, flat_views, renewed

__all__ = ["OscillationTracker", "load_tensors"]


def _count(now: Tensor, codes: Tensor, direction: Tensor, frequency: Tensor, momentum: float) -> None:
    """One step of the statistics, in place on the last three, for the integers of now."""
    now = now.to(torch.int16)
    change = (now - codes).sign().to(torch.int8)
    oscillates = change * direction < 0
    frequency.mul_(1 - momentum).add_(oscillates, alpha=momentum)
    torch.where(change != 0, change, direction, out=direction)
    codes.copy_(now)


@torch.library.custom_op(
    "siliquant::track_oscillation",
    mutates_args=("codes", "direction", "frequency"),
    schema="(Tensor weight, Tensor scale, Tensor low, Tensor high, Tensor(a!) codes, Tensor(b!) direction, "
    "Tensor(c!) frequency, float momentum, SymInt outer, SymInt groups, SymInt inner) -> ()",
)
def _track(
    weight: Tensor,
    scale: Tensor,
    low: Tensor,
    high: Tensor,
    codes: Tensor,
    direction: Tensor,
    frequency: Tensor,
    momentum: float,
    outer: int,
    groups: int,
    inner: int,
) -> None:
    """The tracker's step for tracers."""
    layout = Layout(outer, groups, inner)
    if native((weight, scale, low, high, frequency)):
        kernels.track_oscillation(weight, scale, low, high, layout, codes, direction, frequency, momentum)
    else:
        _count(integers(weight, scale, None, low, high, layout), codes, direction, frequency, momentum)


class OscillationTracker:
    """Counts how often weights flip back and forth.

    A weight oscillates at a step when its code changes, opposite to its last change.  An exponential average of that
    event above `threshold` makes it an oscillating weight; shares are of all weights of a module.
    """

    def __init__(
        self,
        weights: Mapping[str, tuple[nn.Parameter, Quantizer]],
        *,
        momentum: float = 0.01,
        threshold: float = 0.005,
    ) -> None:
        self._weights = dict(weights)
        self._momentum = momentum
        self._threshold = threshold
        self._batch: Batch | None = None
        shapes = {name: weight for name, (weight, _) in self._weights.items()}
        self._flat_codes, self._codes = flat_views(shapes, torch.int16)
        self._flat_direction, self._direction = flat_views(shapes, torch.int8)
        self._flat_frequency, self.frequency = flat_views(shapes, torch.float32)
        for name, (weight, quantizer) in self._weights.items():
            self._codes[name].copy_(quantizer.to_int(weight))

    @torch.no_grad()
    def update(self) -> None:
        """Looks at the weights as they are now: once after each step of the optimiser."""
        for weight, quantizer in self._weights.values():
            quantizer.refresh(weight)
        self._batch = renewed(self._batch, tuple(self._weights.values()))
        if self._batch is not None:
            self._count_batch(self._batch)
            return
        for name, (weight, quantizer) in self._weights.items():
            codes, direction, frequency = self._codes[name], self._direction[name], self.frequency[name]
            if not isinstance(quantizer, ElasticBinarizer):
                operands = (weight.detach(), quantizer.scale, quantizer.low, quantizer.high)
                state, layout = (codes, direction, frequency), quantizer.layout(weight)
                if seen_by((weight, frequency)) is Seen.TRACED:
                    _track(*operands, *state, self._momentum, *layout)
                    continue
                if native((*operands, frequency)):
                    kernels.track_oscillation(*operands, layout, *state, self._momentum)
                    continue
            _count(quantizer.to_int(weight), codes, direction, frequency, self._momentum)

    def _count_batch(self, batch: Batch) -> None:
        """All weights at once. As in the kernels, one that is NaN keeps its code."""
        found = batch.codes()
        found = torch.where(found.isnan(), self._flat_codes.to(found.dtype), found)
        _count(found, self._flat_codes, self._flat_direction, self._flat_frequency, self._momentum)

    def shares(self) -> dict[str, float]:
        """Share of oscillating weights of each module, 0 to 1."""
        return {name: float((f > self._threshold).float().mean()) for name, f in self.frequency.items()}

    def share(self) -> float:
        """Share of oscillating weights among all tracked ones, 0 to 1."""
        oscillating = sum(int((f > self._threshold).sum()) for f in self.frequency.values())
        return oscillating / max(sum(f.numel() for f in self.frequency.values()), 1)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Tensors that `load_state_dict` takes."""
        return {"codes": self._codes, "direction": self._direction, "frequency": self.frequency}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """ValueError when it is of other modules."""
        for kind, ours in self.state_dict().items():
            load_tensors(ours, state[kind])


def load_tensors(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    if {name: t.shape for name, t in ours.items()} != {name: t.shape for name, t in theirs.items()}:
        raise InputError("the oscillation state must be of the same modules")
    for name, tensor in theirs.items():
        ours[name].copy_(tensor)
