"""The bin regulariser of all weights in one batch, with no operation that the program waits for.

Every element adds to its bin its count, its deviation from the code and the square of that, in steps of the scale.
Counts are integers. The two sums are of int64 numbers in fixed point, of 2^-32: in any order, and so in every run and
on every device, they are the same. A mean of deviations is within 2^-33 of a step of the exact one, a mean of squares
within 2^-33 of a step's square. What follows is computed for each bin in float64, and rounded to float32 once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from qat.quantisers import RELATIVE_FLOOR, ElasticBinarizer

from .batch import Batch

__all__ = ["batched_regulariser"]

_ONE = 2.0**32  # in fixed point: deviations and squares are at most 1, and fewer than 2^31 are added


def batched_regulariser(batch: Batch) -> Tensor:
    """The sum over the batch's weights of `bin_regulariser`, float32 scalar, with its gradients."""
    weights, relatives, thresholds = _leaves(batch)
    loss: Tensor = _BatchedRegulariser.apply(batch, *weights, *relatives, *thresholds)
    return loss


def _leaves(batch: Batch) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Weights, relative scales and thresholds."""
    thresholds = [quantizer.threshold for _, quantizer in batch.pairs if isinstance(quantizer, ElasticBinarizer)]
    return [weight for weight, _ in batch.pairs], [quantizer.relative for _, quantizer in batch.pairs], thresholds


class _BatchedRegulariser(torch.autograd.Function):
    """The backward pass only multiplies."""

    @staticmethod
    def forward(ctx: Any, batch: Batch, *leaves: Tensor) -> Tensor:
        loss, *gradients = _valued(batch)
        ctx.batch, ctx.dtypes = batch, [leaf.dtype for leaf in leaves]
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        batch: Batch = ctx.batch
        of_weights, of_relatives, of_thresholds = (saved * grad for saved in ctx.saved_tensors)
        found = [*batch.split(of_weights), *batch.by_quantizer(of_relatives)]
        binary = [isinstance(quantizer, ElasticBinarizer) for _, quantizer in batch.pairs]
        found += [part for part, its in zip(batch.by_quantizer(of_thresholds), binary, strict=True) if its]
        return None, *(part.to(dtype) for part, dtype in zip(found, ctx.dtypes, strict=True))


def _valued(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Value, and gradients of weights [elements], relative scales and thresholds [groups], float32."""
    relatives, starts = batch.relatives(), batch.starts()
    scales = starts * relatives.clamp(min=RELATIVE_FLOOR)
    deviation, bins = _bins(batch, scales)
    # 0, or NaN where a weight is: then so are the value and, through the slopes, all gradients.
    poison = 0 * deviation.sum()
    found = _finished(batch, _sums(batch, deviation.nan_to_num(nan=0.0), bins), scales.double())
    slopes = (found.slopes + poison).to(torch.float32).view(-1)
    shifts = found.shifts.to(torch.float32).view(-1)
    of_weights = deviation.mul_(slopes.index_select(0, bins)).sub_(shifts.index_select(0, bins))
    of_scales = found.of_scales.to(torch.float32)
    of_relatives = (of_scales * starts).masked_fill((relatives <= RELATIVE_FLOOR) & (of_scales > 0), 0.0)
    value = (found.value + poison).to(torch.float32)
    return value, of_weights, of_relatives + poison, found.of_thresholds.to(torch.float32) + poison


def _bins(batch: Batch, scales: Tensor) -> tuple[Tensor, Tensor]:
    """For each element how far the clipped weight is from its code, in steps of the scale (exact in float32, 0 where it
    was clipped), and its bin, int32: `batch.most_codes` bins a group in the order of the codes, then those of weights
    below and above the range.
    """
    v = batch.above().div_(batch.each(scales))
    low, high = batch.each(batch.low), batch.each(batch.high)
    deviation = v.clamp(low, high)
    codes = deviation.round()
    if batch.binary is not None:
        codes = torch.where(batch.each(batch.binary), (v > 0).to(v.dtype).mul_(2).sub_(1), codes)
    deviation.sub_(codes)
    below, above = v < low, v > high
    places = codes.sub_(low).nan_to_num_(nan=0.0).to(torch.int32)
    places.masked_fill_(below, batch.most_codes).masked_fill_(above, batch.most_codes + 1)
    return deviation, batch.group.mul(batch.most_codes + 2).add_(places)


class _Sums(NamedTuple):
    """Of the elements of each bin, [groups, most_codes + 2]: how many, int32; sums in fixed point, int64."""

    counts: Tensor
    deviations: Tensor
    squares: Tensor


def _sums(batch: Batch, deviation: Tensor, bins: Tensor) -> _Sums:
    """`deviation` without NaN."""
    shape = len(batch.low), batch.most_codes + 2

    def total(values: Tensor, dtype: torch.dtype) -> Tensor:
        empty = torch.zeros(shape[0] * shape[1], dtype=dtype, device=bins.device)
        return empty.index_add_(0, bins, values).view(shape)

    ones = torch.ones((), dtype=torch.int32, device=bins.device).expand(len(bins))
    squares = deviation.double().square_().mul_(_ONE).round_().to(torch.int64)
    return _Sums(
        total(ones, torch.int32),
        total((deviation * _ONE).round_().to(torch.int64), torch.int64),
        total(squares, torch.int64),
    )


class _Finished(NamedTuple):
    """In float64. dL/dw = slopes[bin] * deviation - shifts[bin], [groups, most_codes + 2] with zeros for the last two;
    gradients of scales and thresholds, [groups].
    """

    value: Tensor
    slopes: Tensor
    shifts: Tensor
    of_scales: Tensor
    of_thresholds: Tensor


def _finished(batch: Batch, sums: _Sums, scales: Tensor) -> _Finished:
    """The deviation of a clipped weight is 0, so that it counts in its bin and adds nothing to the sums."""
    codes = batch.most_codes
    scale, groups = scales.view(-1, 1), batch.groups_of.view(-1, 1)
    inside, below, above = sums.counts.double().split((codes, 1, 1), 1)
    places = torch.arange(codes, device=scales.device)
    at_bottom, at_top = places == 0, places == (batch.high - batch.low).view(-1, 1)
    counts = inside + at_bottom * below + at_top * above
    shares = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
    deviations, squares = (each[:, :codes].double() / _ONE for each in (sums.deviations, sums.squares))
    means = deviations * shares
    variances = (squares * shares - means * means).clamp_(min=0)
    value = (scale * scale * (squares / batch.elements_of.view(-1, 1) + variances) / groups).sum()
    slopes = 2 * (1 / batch.elements_of.view(-1, 1) + shares) * scale / groups
    shifts = 2 * shares * means * scale / groups
    clipped = at_bottom * below * batch.low.view(-1, 1) + at_top * above * batch.high.view(-1, 1)
    of_scales = -(shifts * clipped).sum(1)
    of_thresholds = (shifts * inside - slopes * deviations).sum(1)
    none = torch.zeros_like(below)
    return _Finished(
        value,
        torch.cat((slopes, none, none), 1),
        torch.cat((shifts, none, none), 1),
        of_scales,
        of_thresholds,
    )
