"""All weights of a network as one flat tensor, for CUDA: a few operations a step in place of some for each tensor, and
none that the program waits for.

Element i of it belongs to group `group[i]`; a group has one scale, one range of codes and, at one bit, one threshold.
What does not change in training (groups, ranges, sizes) is made once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from qat.quantisers import RELATIVE_FLOOR, ElasticBinarizer, Quantizer, Seen, seen_by
from qat.settings import code_range

__all__ = ["Batch", "Pair", "flat_views", "renewed", "serves"]

Pair = tuple[nn.Parameter, Quantizer]

_MOST_ELEMENTS = 2**31  # int32 numbers them, and so many fixed-point sums fit int64


def serves(pairs: Sequence[Pair]) -> bool:
    """Whether these weights can be one batch: on one GPU, computed in float32, fewer than 2**31, and with nothing that
    traces or transforms the program looking on.
    """
    if not pairs or not on_gpu(pairs[0][0]) or torch.compiler.is_compiling():
        return False
    device = pairs[0][0].device
    for weight, quantizer in pairs:
        tensors = (weight, quantizer.relative)
        if any(tensor.device != device for tensor in tensors) or quantizer.low.dtype is not torch.float32:
            return False
        if isinstance(quantizer, ElasticBinarizer) and not quantizer.signed:
            return False
        if seen_by(tensors) is not Seen.RUN:
            return False
    return sum(weight.numel() for weight, _ in pairs) < _MOST_ELEMENTS


def on_gpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda"


class Batch:
    """Weights and their quantisers, on one device, side by side in their order.

    group: int32 [elements]; low, high: float32 [groups], the range of the codes; groups_of: float64 [groups], how many
    groups the weight has; elements_of: float64 [groups], elements of the group, at least 1; binary: bool [groups],
    codes -1 and +1 about a threshold, None where no group has them; most_codes: integers in the widest range.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = tuple(pairs)
        self.device = self.pairs[0][0].device
        self.shapes = [weight.shape for weight, _ in self.pairs]
        self.sizes = [weight.numel() for weight, _ in self.pairs]
        self.group_counts = [quantizer.groups for _, quantizer in self.pairs]
        parts, first = [], 0
        groups_of: list[float] = []
        elements_of: list[float] = []
        binary: list[bool] = []
        for weight, quantizer in self.pairs:
            layout = quantizer.layout(weight)
            numbers = torch.arange(first, first + layout.groups, dtype=torch.int32, device=self.device)
            parts.append(numbers.view(1, -1, 1).expand(layout).reshape(-1))
            first += layout.groups
            groups_of += [layout.groups] * layout.groups
            elements_of += [max(layout.outer * layout.inner, 1)] * layout.groups
            binary += [isinstance(quantizer, ElasticBinarizer)] * layout.groups
        self.group = torch.cat(parts)
        self.low = torch.cat([quantizer.low for _, quantizer in self.pairs])
        self.high = torch.cat([quantizer.high for _, quantizer in self.pairs])
        self.groups_of = torch.tensor(groups_of, dtype=torch.float64, device=self.device)
        self.elements_of = torch.tensor(elements_of, dtype=torch.float64, device=self.device)
        self.binary = torch.tensor(binary, device=self.device) if any(binary) else None
        self.most_codes = max(_codes(bits, quantizer.signed) for _, quantizer in self.pairs for bits in quantizer.bits)

    def weights(self) -> Tensor:
        """float32 [elements], a copy."""
        return torch.cat([weight.detach().reshape(-1) for weight, _ in self.pairs]).to(torch.float32)

    def relatives(self) -> Tensor:
        """float32 [groups]."""
        return torch.cat([quantizer.relative.detach() for _, quantizer in self.pairs]).to(torch.float32)

    def starts(self) -> Tensor:
        """float32 [groups]."""
        return torch.cat([quantizer.start for _, quantizer in self.pairs]).to(torch.float32)

    def scales(self) -> Tensor:
        """float32 [groups]."""
        return self.starts() * self.relatives().clamp(min=RELATIVE_FLOOR)

    def thresholds(self) -> Tensor | None:
        """float32 [groups], 0 for groups that are not binary; None where no group is."""
        if self.binary is None:
            return None
        parts = [
            quantizer.threshold.detach() if isinstance(quantizer, ElasticBinarizer) else quantizer.low * 0
            for _, quantizer in self.pairs
        ]
        return torch.cat(parts).to(torch.float32)

    def above(self) -> Tensor:
        """The weights less their thresholds: float32 [elements], to be changed at will."""
        weights, thresholds = self.weights(), self.thresholds()
        return weights if thresholds is None else weights.sub_(self.each(thresholds))

    def each(self, of_group: Tensor) -> Tensor:
        """For each element the value of its group."""
        return of_group.index_select(0, self.group)

    def codes(self) -> Tensor:
        """The codes of the weights as they are, float32 [elements]; NaN where a weight is NaN."""
        above = self.above()
        codes = (above / self.each(self.scales())).clamp_(self.each(self.low), self.each(self.high)).round_()
        if self.binary is None:
            return codes
        return torch.where(self.each(self.binary), _signs(above), codes)

    def nearest_codes(self, averages: Tensor) -> Tensor:
        """The codes nearest to averages of them, both float32 [elements]; a group of one bit has no code 0."""
        codes = averages.round()
        if self.binary is None:
            return codes
        return torch.where(self.each(self.binary), _signs(averages), codes)

    def middles(self, codes: Tensor) -> Tensor:
        """The weights in the middle of the bins of these codes, both float32 [elements]."""
        middles, thresholds = codes * self.each(self.scales()), self.thresholds()
        return middles if thresholds is None else middles.add_(self.each(thresholds))

    def split(self, flat: Tensor) -> list[Tensor]:
        """Views of `flat` [elements], one a weight, in its shape."""
        return [part.view(shape) for part, shape in zip(flat.split(self.sizes), self.shapes, strict=True)]

    def by_quantizer(self, of_group: Tensor) -> tuple[Tensor, ...]:
        """Views of `of_group` [groups], one a quantiser."""
        return of_group.split(self.group_counts)


def _codes(bits: int, signed: bool) -> int:
    """Integers in the range, of one bit too, where 0 is no code."""
    low, high = code_range(bits, signed)
    return high - low + 1


def _signs(above: Tensor) -> Tensor:
    """+1 above 0, else -1; NaN stays."""
    codes = (above > 0).to(above.dtype).mul_(2).sub_(1)
    return torch.where(above.isnan(), above, codes)


def renewed(batch: Batch | None, pairs: Sequence[Pair]) -> Batch | None:
    """The batch of these weights: `batch`, if it is of the device where they are. None where `serves` says no."""
    if not serves(pairs):
        return None
    return batch if batch is not None and batch.device == pairs[0][0].device else Batch(pairs)


def flat_views(like: Mapping[str, Tensor], dtype: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
    """Zeros of this type in one flat tensor, as many as the tensors have elements, and views of it in their shapes (but
    tensors of their own for those that lie on another device than the first).
    """
    device = next(iter(like.values())).device if like else None
    flat = torch.zeros(sum(tensor.numel() for tensor in like.values()), dtype=dtype, device=device)
    parts = flat.split([tensor.numel() for tensor in like.values()])
    views = {name: part.view(like[name].shape).to(like[name].device) for name, part in zip(like, parts, strict=True)}
    return flat, views
