"""Fake quantisation as one differentiable operation, in eager mode and as an operator that tracers know.

In eager mode it is a `torch.autograd.Function`, which costs least. What traces or transforms a program (torch.compile,
torch.export, torch.func, fake and meta tensors) meets operators of the namespace ``siliquant`` instead, which say what
shapes they give, what their gradients are and how they are mapped over a batch:

    siliquant::learned_quantize             the values
    siliquant::learned_quantize_backward    gradients of x, relative and offset

Both ways run the same kernel, with the same bits. The operators are PyTorch's own operations in
`torch._decomp.decomposition_table`, which the ONNX exporter reads: `torch.onnx.export(..., dynamo=True)` writes a file
of standard operators, and `ExportedProgram.run_decompositions({op: table[op]})` makes any program one without ours.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor
from torch._decomp import register_decomposition
from torch.autograd.function import once_differentiable

from .fakequant import RELATIVE_FLOOR, learned_backward, learned_forward
from .granularity import Layout
from .tracing import Seen, each_sample, seen_by

__all__ = ["fake_quantize", "wide"]


def wide(dtype: torch.dtype) -> torch.dtype:
    """In which type a quantiser computes whose parameters are of `dtype`: float32 at least."""
    return dtype if dtype is torch.float32 else torch.promote_types(dtype, torch.float32)


def fake_quantize(
    x: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    low: Tensor,
    high: Tensor,
    layout: Layout,
    size: Tensor | None = None,
    of_x: bool = False,
) -> Tensor:
    """Fake-quantised `x` with scale = start * max(relative, RELATIVE_FLOOR), differentiable in x, relative and offset.

    Args:
        x: float tensor of any shape.
        relative, start, offset, low, high: [groups]; `start` positive.
        size, of_x: what `gradient_factor` takes; the factor multiplies the gradients of relative and offset only.

    All in the dtype of `relative`, but at least in float32, also under autocast; the result is of the dtype of
    `relative`, whatever that of `x`: a model in bfloat16 is computed in float32 between its parameters and the result.
    """
    dtype = wide(relative.dtype)

    def cast(tensor: Tensor) -> Tensor:
        return tensor if tensor.dtype is dtype else tensor.to(dtype)

    narrow, x = relative.dtype, cast(x).contiguous()
    relative, start, low, high = cast(relative), cast(start), cast(low), cast(high)
    offset = None if offset is None else cast(offset)
    size = None if size is None else cast(size)
    result: Tensor
    seen = seen_by((x, relative))
    if seen is Seen.TRANSFORMED:
        result = _Transformed.apply(x, relative, start, offset, low, high, size, of_x, *layout)
    elif seen is Seen.TRACED:
        result = _learned_quantize(x, relative, start, offset, low, high, size, of_x, *layout)
    else:
        result = _FakeQuantize.apply(x, relative, start, offset, low, high, size, of_x, layout)
    return result if result.dtype is narrow else result.to(narrow)


class _FakeQuantize(torch.autograd.Function):
    """Saves x and the small per-group tensors; everything else is computed again in the backward pass."""

    # With a context in forward: setup_context, which only torch.func needs, costs more than the rest of the call.
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        relative: Tensor,
        start: Tensor,
        offset: Tensor | None,
        low: Tensor,
        high: Tensor,
        size: Tensor | None,
        of_x: bool,
        layout: Layout,
    ) -> Tensor:
        ctx.save_for_backward(x, relative, start, offset, low, high, size)
        ctx.of_x, ctx.layout = of_x, layout
        return learned_forward(x, relative, start, offset, low, high, layout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, relative, start, offset, low, high, size = ctx.saved_tensors
        grads = learned_backward(x, grad, relative, start, offset, low, high, size, ctx.of_x, ctx.layout)
        return grads[0], grads[1], None, grads[2], None, None, None, None, None


_OPERANDS = "Tensor relative, Tensor start, Tensor? offset, Tensor low, Tensor high, Tensor? size, bool of_x"
_LAYOUT = "SymInt outer, SymInt groups, SymInt inner"


@torch.library.custom_op(
    "siliquant::learned_quantize", mutates_args=(), schema=f"(Tensor x, {_OPERANDS}, {_LAYOUT}) -> Tensor"
)
def _learned_quantize(
    x: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    low: Tensor,
    high: Tensor,
    size: Tensor | None,
    of_x: bool,
    outer: int,
    groups: int,
    inner: int,
) -> Tensor:
    return learned_forward(x.contiguous(), relative, start, offset, low, high, Layout(outer, groups, inner))


@torch.library.custom_op(
    "siliquant::learned_quantize_backward",
    mutates_args=(),
    schema=f"(Tensor x, Tensor grad, {_OPERANDS}, {_LAYOUT}) -> (Tensor, Tensor, Tensor)",
)
def _learned_quantize_backward(
    x: Tensor,
    grad: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    low: Tensor,
    high: Tensor,
    size: Tensor | None,
    of_x: bool,
    outer: int,
    groups: int,
    inner: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Without an offset its gradient is empty."""
    layout = Layout(outer, groups, inner)
    grads = learned_backward(x.contiguous(), grad, relative, start, offset, low, high, size, of_x, layout)
    return grads[0], grads[1], relative.new_empty(0) if grads[2] is None else grads[2]


@_learned_quantize.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape)


@_learned_quantize_backward.register_fake
def _(x: Tensor, grad: Tensor, relative: Tensor, start: Tensor, offset: Tensor | None, *_: Any) -> tuple[Tensor, ...]:
    of_offset = relative.new_empty(0) if offset is None else offset.new_empty(offset.shape)
    return x.new_empty(x.shape), relative.new_empty(relative.shape), of_offset


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.of_x, outer, groups, inner = inputs
    ctx.layout = outer, groups, inner
    ctx.save_for_backward(*tensors)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, relative, start, offset, low, high, size = ctx.saved_tensors
    of_x, of_relative, of_offset = _learned_quantize_backward(
        x, grad, relative, start, offset, low, high, size, ctx.of_x, *ctx.layout
    )
    return of_x, of_relative, None, None if offset is None else of_offset, *(None,) * 7


_learned_quantize.register_autograd(_gradients, setup_context=_keep)


class _Transformed(torch.autograd.Function):
    """The same for torch.func, which takes no gradient of an operator registered so."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        result: Tensor = _learned_quantize(*inputs)
        return result

    setup_context = staticmethod(_keep)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, relative, start, offset, low, high, size = ctx.saved_tensors
        of_x, of_relative, of_offset = _TransformedBackward.apply(
            x, grad, relative, start, offset, low, high, size, ctx.of_x, *ctx.layout
        )
        return of_x, of_relative, None, None if offset is None else of_offset, *(None,) * 7


class _TransformedBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        of_x, of_relative, of_offset = _learned_quantize_backward(*inputs)
        return of_x, of_relative, of_offset

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> NoReturn:
        raise RuntimeError("the gradient of a quantiser is constant but for jumps: it cannot be differentiated again")


@_learned_quantize.register_vmap
def _(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
    x, *others, outer, groups, inner = arguments
    if axes[0] is not None and not any(axis is not None for axis in axes[1:]):  # more rows of the same groups
        moved = x.movedim(axes[0], 0)
        return _learned_quantize(moved.contiguous(), *others, info.batch_size * outer, groups, inner), 0
    return each_sample(_learned_quantize, info.batch_size, axes, arguments)


@_learned_quantize_backward.register_vmap
def _(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    return each_sample(_learned_quantize_backward, info.batch_size, axes, arguments)


@register_decomposition(torch.ops.siliquant.learned_quantize.default)
def _in_torch(
    x: Tensor, relative: Tensor, start: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, *rest: Any
) -> Tensor:
    """With no operation in place, which a decomposition must not have."""
    scale, low, high = (each.view(1, -1, 1) for each in (start * relative.clamp(min=RELATIVE_FLOOR), low, high))
    v = x.reshape(rest[-3:])
    if offset is not None:
        v = v - offset.view(1, -1, 1)
    y = (v / scale).clamp(low, high).round() * scale
    if offset is not None:
        y = y + offset.view(1, -1, 1)
    return y.view(x.shape)
