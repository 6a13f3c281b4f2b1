"""The oscillation-aware bin regulariser of the paper (section 4.3), and what it is of all weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from qat.quantisers import RELATIVE_FLOOR, ElasticBinarizer, Layout, Quantizer, Seen, each_sample, native, seen_by
from qat.quantisers.native import kernels

from .batch import Batch, renewed
from .batched_regulariser import batched_regulariser

__all__ = ["BinRegulariser", "bin_regulariser", "regulariser_weight"]


def regulariser_weight(largest: float, progress: float, start: float = 0.25) -> float:
    """Weight of the regulariser: 0 for the share `start` of the training, then a half cosine up to `largest`.

    >>> [round(regulariser_weight(0.01, p), 4) for p in (0, 0.25, 0.625, 1)]
    [0.0, 0.0, 0.005, 0.01]
    """
    if progress <= start:
        return 0.0
    return largest * 0.5 * (1 - math.cos(math.pi * (progress - start) / (1 - start)))


def bin_regulariser(weights: Iterable[tuple[nn.Parameter, Quantizer]], max_bits: int = 4) -> Tensor:
    """Sum over tensors of the oscillation-aware bin regulariser, a scalar differentiable in weights and scales.

    For each group (elements that share a scale): mean((w_c - w_q)^2) + sum over codes n of Var(w_c where code = n),
    with w_c the weight clipped to its range and w_q its quantised value, detached; a tensor's value is the mean over
    its groups, so that it weighs the same whatever its granularity.  Var is the population variance (a bin of one
    weight has none).  Bins are told apart by integer codes.  Tensors wider than `max_bits` are left out.
    """
    total = torch.zeros(())
    for weight, quantizer in weights:
        if max(quantizer.bits) > max_bits:
            continue
        threshold = quantizer.threshold if isinstance(quantizer, ElasticBinarizer) else None
        wide = quantizer.low.dtype  # float32, or float64 where the parameters are
        operands = (
            weight.to(wide).contiguous(),
            quantizer.relative.to(wide),
            quantizer.start.to(wide),
            None if threshold is None else threshold.to(wide),
            quantizer.low,
            quantizer.high,
        )
        layout = quantizer.layout(weight)
        seen = seen_by((operands[0], operands[1]))
        loss: Tensor
        if seen is Seen.RUN:
            loss = _BinRegulariser.apply(*operands, layout)
        elif seen is Seen.TRACED:
            loss = _operator(*operands, *layout)[0]
        else:
            loss = _Transformed.apply(*operands, *layout)[0]
        total = total.to(loss.device) + loss
    return total


class BinRegulariser:
    """`bin_regulariser` of the same weights in every step: on CUDA of all at once, without a wait for the GPU.

    There the sums of a bin are the same whatever the order of its weights; the value and its gradients differ from
    those of `bin_regulariser` by rounding (`batched_regulariser`).
    """

    def __init__(self, weights: Iterable[tuple[nn.Parameter, Quantizer]], max_bits: int = 4) -> None:
        self._pairs = tuple(pair for pair in weights if max(pair[1].bits) <= max_bits)
        self._max_bits = max_bits
        self._batch: Batch | None = None

    def __call__(self) -> Tensor:
        """A scalar, differentiable in weights, scales and thresholds."""
        self._batch = renewed(self._batch, self._pairs)
        return bin_regulariser(self._pairs, self._max_bits) if self._batch is None else batched_regulariser(self._batch)


def _valued(
    weight: Tensor,
    relative: Tensor,
    start: Tensor,
    threshold: Tensor | None,
    low: Tensor,
    high: Tensor,
    layout: Layout,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Value of one tensor, and its gradients for weight, relative scales and thresholds, in one pass."""
    scale = start * relative.clamp(min=RELATIVE_FLOOR)
    grad_threshold = None
    if threshold is None and native((weight, scale, low, high)):
        value, grad_weight, grad_scale = kernels.bin_regulariser(weight, scale, low, high, layout)
        loss = torch.tensor(value, dtype=torch.float32)
    else:
        loss, grad_weight, grad_scale = _regulariser(weight, scale, threshold, low, high, layout)
        if threshold is not None:
            grad_threshold = -grad_weight.reshape(layout).sum((0, 2))
    grad_relative = (grad_scale * start).masked_fill((relative <= RELATIVE_FLOOR) & (grad_scale > 0), 0.0)
    return loss, grad_weight, grad_relative, grad_threshold


class _BinRegulariser(torch.autograd.Function):
    """The backward pass only multiplies."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        loss, *grads = _valued(*inputs)
        ctx.save_for_backward(*grads)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad_weight, grad_relative, grad_threshold = ctx.saved_tensors
        if grad_threshold is not None:
            grad_threshold = grad * grad_threshold
        return grad * grad_weight, grad * grad_relative, None, grad_threshold, None, None, None


@torch.library.custom_op(
    "siliquant::bin_regulariser",
    mutates_args=(),
    schema="(Tensor weight, Tensor relative, Tensor start, Tensor? threshold, Tensor low, Tensor high, SymInt outer, "
    "SymInt groups, SymInt inner) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _operator(*inputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same for tracers: value and gradients, that of the threshold empty where there is none."""
    weight, relative, start, threshold, low, high, *layout = inputs
    operands = weight.contiguous(), relative, start, threshold, low, high
    loss, of_weight, of_relative, of_threshold = _valued(*operands, Layout(*layout))
    return loss, of_weight, of_relative, weight.new_empty(0) if of_threshold is None else of_threshold


@_operator.register_fake
def _(weight: Tensor, relative: Tensor, start: Tensor, threshold: Tensor | None, *_: Any) -> tuple[Tensor, ...]:
    of_threshold = weight.new_empty(0) if threshold is None else threshold.new_empty(threshold.shape)
    return weight.new_empty(()), weight.new_empty(weight.shape), relative.new_empty(relative.shape), of_threshold


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.has_threshold = inputs[3] is not None
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[1:])


def _gradients(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    grad_weight, grad_relative, grad_threshold = ctx.saved_tensors
    of_threshold = grad * grad_threshold if ctx.has_threshold else None
    return grad * grad_weight, grad * grad_relative, None, of_threshold, *(None,) * 5


_operator.register_autograd(_gradients, setup_context=_keep)


@_operator.register_vmap
def _(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    return each_sample(_operator, info.batch_size, axes, arguments)


class _Transformed(torch.autograd.Function):
    """The same for torch.func."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, ...]:
        return cast(tuple[Tensor, ...], _operator(*inputs))

    setup_context = staticmethod(_keep)
    backward = staticmethod(_gradients)


def _regulariser(
    weight: Tensor, scale: Tensor, threshold: Tensor | None, low: Tensor, high: Tensor, layout: Layout
) -> tuple[Tensor, Tensor, Tensor]:
    """Value of one tensor, its gradient for the weight and for the scales; of no elements 0, as the kernel has it."""
    if not weight.numel():
        return weight.new_zeros(()), torch.zeros_like(weight), torch.zeros_like(scale)
    steps, bottom, top = (t.view(1, -1, 1) for t in (scale, low, high))
    v = weight.reshape(layout)
    if threshold is not None:
        v = v - threshold.view(1, -1, 1)
    v = v / steps
    inside = (v >= bottom) & (v <= top)
    clipped = v.clamp(bottom, top)
    code = clipped.round() if threshold is None else torch.where(v > 0, 1.0, -1.0)
    error = (clipped - code) * steps  # of the clipped weight from its quantised value

    levels = int((high - low).max()) + 1
    group = torch.arange(layout.groups, device=weight.device).view(1, -1, 1)
    bins = ((code - bottom).to(torch.int64) + group * levels).expand(layout).reshape(-1)
    slots = layout.groups * levels
    counts = torch.bincount(bins, minlength=slots).to(weight.dtype).clamp_(min=1)
    flat = error.reshape(-1)
    # Within a bin the clipped weight is a constant plus the error, so mean and variance of the error will do.
    means = torch.zeros(slots, dtype=weight.dtype, device=weight.device).index_add_(0, bins, flat) / counts
    deviation = flat - means[bins]
    variances = torch.zeros_like(means).index_add_(0, bins, deviation * deviation) / counts
    elements = layout.outer * layout.inner
    loss = (flat @ flat / elements + variances.sum()) / layout.groups
    gradient = (2 / elements * flat + 2 * deviation / counts[bins]).view(layout) / layout.groups
    grad_weight = gradient.masked_fill(~inside, 0.0)
    limits = torch.where(v < bottom, bottom, top)
    grad_scale = (gradient.masked_fill(inside, 0.0) * limits).sum((0, 2))
    return loss, grad_weight.view(weight.shape), grad_scale
