"""Weights that oscillate are held at one code (Nagel et al., ICML 2022, section 5.2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qat.quantisers import ElasticBinarizer, Quantizer

from .batch import Batch, flat_views, renewed
from .tracker import load_tensors

__all__ = ["Freezer"]


class Freezer:
    """Holds weights that oscillate more often than `threshold` at the code they were at most (Nagel et al., 5.2)."""

    def __init__(
        self, weights: Mapping[str, tuple[nn.Parameter, Quantizer]], *, threshold: float, momentum: float = 0.01
    ) -> None:
        self._weights = dict(weights)
        self._threshold = threshold
        self._momentum = momentum
        self._batch: Batch | None = None
        shapes = {name: weight for name, (weight, _) in self._weights.items()}
        self._flat_average, self.average = flat_views(shapes, torch.float32)
        self._flat_frozen, self.frozen = flat_views(shapes, torch.bool)
        for name, (weight, quantizer) in self._weights.items():
            self.average[name].copy_(quantizer.to_int(weight))

    @torch.no_grad()
    def update(self, frequency: Mapping[str, Tensor]) -> None:
        """After the tracker's update: freezes what flips too often, and puts frozen weights back on their code."""
        self._batch = renewed(self._batch, tuple(self._weights.values()))
        if self._batch is not None:
            self._update_batch(self._batch, torch.cat([frequency[name].reshape(-1) for name in self._weights]))
            return
        for name, (weight, quantizer) in self._weights.items():
            average, frozen = self.average[name], self.frozen[name]
            codes = quantizer.to_int(weight).float()
            average.copy_(torch.where(frozen, average, average.lerp(codes, self._momentum)))
            newly = (frequency[name] > self._threshold) & ~frozen
            average.copy_(torch.where(newly, _nearest_code(average, quantizer), average))
            frozen |= newly
            if bool(frozen.any()):
                weight.copy_(torch.where(frozen, _weight_of(average.to(torch.int64), quantizer), weight))

    def _update_batch(self, batch: Batch, frequency: Tensor) -> None:
        """All weights at once. A weight that is NaN has no code, and so adds none to its average."""
        average, frozen, codes = self._flat_average, self._flat_frozen, batch.codes()
        moves = ~(frozen | codes.isnan())
        torch.where(moves, average.lerp(codes, self._momentum), average, out=average)
        newly = (frequency > self._threshold) & ~frozen
        torch.where(newly, batch.nearest_codes(average), average, out=average)
        frozen |= newly
        put_back = torch.where(frozen, batch.middles(average), batch.weights())
        torch._foreach_copy_([weight for weight, _ in batch.pairs], batch.split(put_back))

    def share(self) -> float:
        """Share of frozen weights, 0 to 1."""
        total = sum(f.numel() for f in self.frozen.values())
        return sum(int(f.sum()) for f in self.frozen.values()) / max(total, 1)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Tensors that `load_state_dict` takes."""
        return {"average": self.average, "frozen": self.frozen}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """From `state_dict`; ValueError when it is of other modules."""
        for kind, ours in self.state_dict().items():
            load_tensors(ours, state[kind])


def _nearest_code(average: Tensor, quantizer: Quantizer) -> Tensor:
    if isinstance(quantizer, ElasticBinarizer):
        return torch.where(average > 0, 1.0, -1.0)  # there is no code 0
    return average.round()


def _weight_of(codes: Tensor, quantizer: Quantizer) -> Tensor:
    """The weight in the middle of the bin of each code."""
    values = quantizer.dequantize(codes)
    if isinstance(quantizer, ElasticBinarizer):
        threshold = quantizer.threshold.detach().view(1, -1, 1)
        values = (values.view(quantizer.layout(values)) + threshold).view(values.shape)
    return values
