"""Confidence-guided annealing (CGA; Liu et al., OFQ, ICML 2023): late in training only weights near a border move.

A weight's confidence is its distance from the nearest border between two codes.  In every step of the annealing the
weights within the boundary range of a border are trained, and all others are held exactly where they are: no gradient,
weight decay or moment of the optimiser moves them.  One that leaves the range is held from the next step on, until its
scale brings a border near it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qat.quantisers import ElasticBinarizer, Quantizer
from siliquant.inputs import InputError

__all__ = ["ConfidenceGuidedAnnealing", "near_a_border"]


@torch.no_grad()
def near_a_border(weight: Tensor, quantizer: Quantizer, boundary_range: float) -> Tensor:
    """bool, in the shape of `weight`: whether it is at most `boundary_range` of a bin from a border of two codes.

    By the scale that the quantiser has: where that follows the weight, `refresh` it before, or quantise the weight.
    """
    low, high, scale = (each.view(1, -1, 1) for each in (quantizer.low, quantizer.high, quantizer.scale))
    grouped = weight.detach().to(low.dtype).reshape(quantizer.layout(weight))
    if isinstance(quantizer, ElasticBinarizer):
        distance = (grouped - quantizer.threshold.detach().view(1, -1, 1)) / scale
    else:
        v = grouped / scale
        distance = v.sub_(v.floor().add_(0.5).clamp_(low + 0.5, high - 0.5))
    return (distance.abs_() <= boundary_range).view(weight.shape)


class ConfidenceGuidedAnnealing:
    """Holds all `weights` that are farther than `boundary_range` bins (above 0, to 0.5) from a border of two codes.

    Between the backward pass and the step of the optimiser call `hold`, after the step `put_back`.
    """

    def __init__(self, weights: Mapping[str, tuple[nn.Parameter, Quantizer]], *, boundary_range: float = 0.005) -> None:
        if not 0 < boundary_range <= 0.5:
            raise InputError(f"boundary_range must be above 0 and at most 0.5 of a bin, not {boundary_range}")
        self._weights = dict(weights)
        self._range = boundary_range
        self._kept: dict[str, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def hold(self) -> None:
        """Decides which weights move in this step, and takes the gradient of the others away. The forward pass was of
        these weights, so a scale that follows them is theirs.
        """
        for name, (weight, quantizer) in self._weights.items():
            moves = near_a_border(weight, quantizer, self._range)
            self._kept[name] = moves, weight.detach().clone()
            if weight.grad is not None:
                weight.grad.mul_(moves)

    @torch.no_grad()
    def put_back(self) -> None:
        """After the step: puts the held weights back where they were."""
        for name, (moves, before) in self._kept.items():
            weight = self._weights[name][0]
            torch.where(moves, weight, before, out=weight)
        self._kept.clear()

    def share(self) -> float:
        """Share of weights that are held, 0 to 1, as they are now."""
        moving = total = 0
        for weight, quantizer in self._weights.values():
            quantizer.refresh(weight)
            moving += int(near_a_border(weight, quantizer, self._range).sum())
            total += weight.numel()
        return 1 - moving / max(total, 1)
