"""Starting scales of least mean squared error: exact for weights, over a fixed grid for streams of activations."""

from __future__ import annotations

import torch
from torch import Tensor

from siliquant.inputs import InputError

from .fakequant import lsq_forward
from .granularity import Layout

__all__ = ["ScaleSearch", "fit_scale"]

# Candidates as shares of the scale that just holds the largest value; log-spaced, 1/64 to 1.
_GRID = 2.0 ** (-torch.arange(0, 49, dtype=torch.float32) / 8)
_ZOOM = (1 / 32, 1 / 256)  # octaves between the candidates around the best so far
_REFINEMENTS = 6
_SMALLEST = 1e-8


def _largest_scale(low_value: Tensor, high_value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The scale at which both extremes are representable; positive even for constant zero."""
    down = torch.where(low < 0, low_value / torch.where(low < 0, low, -1.0), 0.0)
    return torch.maximum(down, high_value / high).clamp(min=_SMALLEST)


def _extremes(x: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    grouped = x.reshape(layout)
    return grouped.amin((0, 2)), grouped.amax((0, 2))


def _errors(x: Tensor, scale: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, layout: Layout) -> Tensor:
    difference = lsq_forward(x, scale, offset, low, high, layout).sub_(x)
    return difference.reshape(layout).square_().sum((0, 2))


def _best(weight: Tensor, scale: Tensor, shares: Tensor, low: Tensor, high: Tensor, layout: Layout) -> Tensor:
    """Of the scales times each of the shares those of least error, group by group."""
    shares = shares.to(weight.device)
    errors = torch.stack([_errors(weight, scale * share, None, low, high, layout) for share in shares])
    return scale * shares[errors.argmin(0)]


def fit_scale(weight: Tensor, low: Tensor, high: Tensor, layout: Layout) -> Tensor:
    """float32 [groups]: the scales of least squared error on `weight`, float32.

    The best of ever finer grids, then alternating least squares: codes for the scale, then scale = <w, q> / <q, q> for
    the codes.  Least squares alone would stay at the local minimum next to the first grid's best.
    """
    weight = weight.contiguous()
    largest = _largest_scale(*_extremes(weight, layout), low, high)
    scale = _best(weight, largest, _GRID[::2], low, high, layout)
    for octaves in _ZOOM:
        scale = _best(weight, scale, 2.0 ** (torch.arange(-8, 9) * octaves), low, high, layout)
    grouped = weight.reshape(layout)
    for _ in range(_REFINEMENTS):
        quantised = lsq_forward(weight, scale, None, low, high, layout).reshape(layout)
        power = (quantised * quantised).sum((0, 2))
        factor = (quantised * grouped).sum((0, 2)) / torch.where(power > 0, power, 1.0)
        scale = torch.where((power > 0) & (factor > 0), scale * factor, scale)
    return scale


class ScaleSearch:
    """Squared errors of a grid of scales over batches of activations; its memory does not grow with them.

    The first batch that is not constant sets the grid of a group (and its offset, the smallest value); all vote.
    """

    def __init__(self, low: Tensor, high: Tensor, *, with_offset: bool) -> None:
        self._low, self._high = low, high
        self._with_offset = with_offset
        self._largest = torch.full_like(low, _SMALLEST)
        self._offset = torch.zeros_like(low)
        self._errors = torch.zeros(len(_GRID), len(low), device=low.device)
        self._l1 = torch.zeros_like(low)
        self._elements = 0
        self._samples = 0

    @torch.no_grad()
    def observe(self, x: Tensor, layout: Layout) -> None:
        """Add `x`, whose first axis counts samples."""
        if not x.numel():  # an empty batch says nothing
            return
        x = x.detach().float().contiguous()
        if not bool(x.isfinite().all()):
            raise InputError("activations must be finite to calibrate a quantiser on them")
        smallest, largest = _extremes(x, layout)
        offset = smallest.clamp(max=0.0) if self._with_offset else torch.zeros_like(smallest)
        widest = _largest_scale(smallest, largest - offset, self._low, self._high)
        # Nothing but zeros until now gave no error at any scale, so no vote is lost.
        silent = self._largest <= _SMALLEST
        self._largest = torch.where(silent, widest, self._largest)
        self._offset = torch.where(silent, offset, self._offset)
        used = self._offset if self._with_offset else None
        for row, share in enumerate(_GRID.tolist()):
            self._errors[row] += _errors(x, self._largest * share, used, self._low, self._high, layout)
        self._l1 += x.reshape(layout).abs().sum((0, 2))
        self._elements += layout.outer * layout.inner
        self._samples += x.shape[0]

    def result(self) -> tuple[Tensor, Tensor | None]:
        """Scales and offsets, float32 [groups]; RuntimeError when nothing was observed."""
        if not self._samples:
            raise RuntimeError("a quantiser saw no activations: is its module used by the model?")
        scale = self._largest * _GRID.to(self._largest.device)[self._errors.argmin(0)]
        return scale, self._offset if self._with_offset else None

    def mean_magnitude(self) -> Tensor:
        """Mean |x| of each group, float32 [groups]."""
        return self._l1 / max(self._elements, 1)

    def norm_per_sample(self, l1: bool) -> Tensor:
        """L1 norm (or number of elements) of a group for one sample, float32 [groups]."""
        total = self._l1 if l1 else torch.full_like(self._l1, self._elements)
        return total / max(self._samples, 1)
