"""Oscillation of weights between two codes: a regulariser against it, a tracker of it, and freezing.

The regulariser is the oscillation-aware bin regularisation of the paper (section 4.3); tracking and freezing follow
Nagel et al., ICML 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from qat.quantisers import (
    RELATIVE_FLOOR,
    ElasticBinarizer,
    Layout,
    Quantizer,
    Seen,
    each_sample,
    integers,
    native,
    seen_by,
)
from qat.quantisers.native import kernels
from siliquant.inputs import InputError

__all__ = ["Freezer", "OscillationTracker", "bin_regulariser", "regulariser_weight"]


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
        self._codes: dict[str, Tensor] = {}
        self._direction: dict[str, Tensor] = {}
        self.frequency: dict[str, Tensor] = {}
        for name, (weight, quantizer) in self._weights.items():
            self._codes[name] = quantizer.to_int(weight).to(torch.int16)
            self._direction[name] = torch.zeros_like(weight, dtype=torch.int8)
            self.frequency[name] = torch.zeros_like(weight, dtype=torch.float32)

    @torch.no_grad()
    def update(self) -> None:
        """Looks at the weights as they are now: once after each step of the optimiser."""
        for name, (weight, quantizer) in self._weights.items():
            codes, direction, frequency = self._codes[name], self._direction[name], self.frequency[name]
            quantizer.refresh(weight)
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
            _load(ours, state[kind])


class Freezer:
    """Holds weights that oscillate more often than `threshold` at the code they were at most (Nagel et al., 5.2)."""

    def __init__(
        self, weights: Mapping[str, tuple[nn.Parameter, Quantizer]], *, threshold: float, momentum: float = 0.01
    ) -> None:
        self._weights = dict(weights)
        self._threshold = threshold
        self._momentum = momentum
        self.average = {name: q.to_int(w).float() for name, (w, q) in self._weights.items()}
        self.frozen = {name: torch.zeros_like(w, dtype=torch.bool) for name, (w, _) in self._weights.items()}

    @torch.no_grad()
    def update(self, frequency: Mapping[str, Tensor]) -> None:
        """After the tracker's update: freezes what flips too often, and puts frozen weights back on their code."""
        for name, (weight, quantizer) in self._weights.items():
            average, frozen = self.average[name], self.frozen[name]
            codes = quantizer.to_int(weight).float()
            average.copy_(torch.where(frozen, average, average.lerp(codes, self._momentum)))
            newly = (frequency[name] > self._threshold) & ~frozen
            average.copy_(torch.where(newly, _nearest_code(average, quantizer), average))
            frozen |= newly
            if bool(frozen.any()):
                weight.copy_(torch.where(frozen, _weight_of(average.to(torch.int64), quantizer), weight))

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
            _load(ours, state[kind])


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


def _load(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    if {name: t.shape for name, t in ours.items()} != {name: t.shape for name, t in theirs.items()}:
        raise InputError("the oscillation state must be of the same modules")
    for name, tensor in theirs.items():
        ours[name].copy_(tensor)
