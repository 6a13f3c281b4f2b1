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

from .dispatch import Seen, each_sample, seen_by
from .fakequant import Operands, learned_backward, learned_forward
from .granularity import Layout

__all__ = ["fake_quantize", "wide"]


def wide(dtype: torch.dtype) -> torch.dtype:
    """In which type a quantiser computes whose parameters are of `dtype`: float32 at least."""
    return dtype if dtype is torch.float32 else torch.promote_types(dtype, torch.float32)


def fake_quantize(x: Tensor, operands: Operands, layout: Layout) -> Tensor:
    """Fake-quantised `x`, a float tensor of any shape, differentiable in x, relative and offset.

    All in the dtype of `relative`, but at least in float32, also under autocast; the result is of the dtype of
    `relative`, whatever that of `x`: a model in bfloat16 is computed in float32 between its parameters and the result.
    """
    narrow = operands.relative.dtype
    dtype = wide(narrow)

    def cast(value: Any) -> Any:
        return value if not isinstance(value, Tensor) or value.dtype is dtype else value.to(dtype)

    x, given = cast(x).contiguous(), tuple(map(cast, operands))
    result: Tensor
    seen = seen_by((x, given[0]))
    if seen is Seen.TRANSFORMED:
        result = _Transformed.apply(x, *given, *layout)
    elif seen is Seen.TRACED:
        result = _learned_quantize(x, *given, *layout)
    else:
        result = _FakeQuantize.apply(x, *given, *layout)
    return result if result.dtype is narrow else result.to(narrow)


_Inputs = tuple[Any, ...]  # of all functions below: x, the operands, the layout


def _read(inputs: _Inputs) -> tuple[Operands, Layout]:
    """Operands and layout, as autograd and operators have them: side by side, after what is quantised."""
    return Operands(*inputs[:-3]), Layout(*inputs[-3:])


def _keep(ctx: Any, inputs: _Inputs, output: Tensor | None = None) -> None:
    *tensors, ctx.of_x, outer, groups, inner = inputs
    ctx.layout = outer, groups, inner
    ctx.save_for_backward(*tensors)


def _kept(ctx: Any) -> _Inputs:
    return *ctx.saved_tensors, ctx.of_x, *ctx.layout


def _of_inputs(of_x: Tensor, of_relative: Tensor, of_offset: Tensor | None) -> tuple[Tensor | None, ...]:
    """Gradients in the order of the inputs: x, those of Operands, the layout."""
    return of_x, of_relative, None, of_offset, *(None,) * 7


class _FakeQuantize(torch.autograd.Function):
    """Saves x and the small per-group tensors; everything else is computed again in the backward pass."""

    # With a context in forward: setup_context, which only torch.func needs, costs more than the rest of the call.
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        _keep(ctx, inputs)
        return learned_forward(inputs[0], *_read(inputs[1:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *rest = _kept(ctx)
        return _of_inputs(*learned_backward(x, grad, *_read(tuple(rest))))


_SCHEMA = (
    "Tensor relative, Tensor start, Tensor? offset, Tensor low, Tensor high, Tensor? size, bool of_x, "
    "SymInt outer, SymInt groups, SymInt inner"
)


@torch.library.custom_op("siliquant::learned_quantize", mutates_args=(), schema=f"(Tensor x, {_SCHEMA}) -> Tensor")
def _learned_quantize(x: Tensor, *inputs: Any) -> Tensor:
    return learned_forward(x.contiguous(), *_read(inputs))


@torch.library.custom_op(
    "siliquant::learned_quantize_backward",
    mutates_args=(),
    schema=f"(Tensor x, Tensor grad, {_SCHEMA}) -> (Tensor, Tensor, Tensor)",
)
def _learned_quantize_backward(x: Tensor, grad: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Without an offset its gradient is empty."""
    of_x, of_relative, of_offset = learned_backward(x.contiguous(), grad, *_read(inputs))
    return of_x, of_relative, x.new_empty(0) if of_offset is None else of_offset


@_learned_quantize.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape)


@_learned_quantize_backward.register_fake
def _(x: Tensor, grad: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    relative, offset = _read(inputs)[0].relative, _read(inputs)[0].offset
    of_offset = x.new_empty(0) if offset is None else offset.new_empty(offset.shape)
    return x.new_empty(x.shape), relative.new_empty(relative.shape), of_offset


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    x, *rest = _kept(ctx)
    of_x, of_relative, of_offset = _learned_quantize_backward(x, grad, *rest)
    return _of_inputs(of_x, of_relative, None if _read(tuple(rest))[0].offset is None else of_offset)


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
        x, *rest = _kept(ctx)
        of_x, of_relative, of_offset = _TransformedBackward.apply(x, grad, *rest)
        return _of_inputs(of_x, of_relative, None if _read(tuple(rest))[0].offset is None else of_offset)


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
def _in_torch(x: Tensor, *inputs: Any) -> Tensor:
    """With no operation in place, which a decomposition must not have."""
    operands, layout = _read(inputs)
    scale, low, high = (each.view(1, -1, 1) for each in (operands.scale, operands.low, operands.high))
    offset = None if operands.offset is None else operands.offset.view(1, -1, 1)
    v = x.reshape(layout)
    if offset is not None:
        v = v - offset
    y = (v / scale).clamp(low, high).round() * scale
    if offset is not None:
        y = y + offset
    return y.view(x.shape)
