"""The kernels as functions of torch tensors: float32, on the CPU, contiguous.

A tensor is seen as (outer, groups, inner), which `layout` gives and which multiplies to its number of elements: the
whole tensor is (1, 1, n), a scale a row of a matrix (1, rows, columns), a scale a column (rows, columns, 1). Of a group
there are `scale` > 0, sometimes an `offset`, and the integer bounds `qn` <= 0 < `qp`, each a float32 tensor of shape
(groups,). A scale that is not positive and, but for :func:`bin_regulariser`, bounds that are not such integers are not
looked for. torch.get_num_threads() threads are used where the tensor is large enough; no result depends on how many.

Every function looks at every tensor that it is given: TypeError for one that has another dtype, lies on another device
or has no memory of its own (meta, sparse, traced), ValueError for one that is not contiguous, of a wrong number of
elements or with a wrong layout, and RuntimeError where :func:`available` is False. :func:`serves` tells beforehand.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from siliquant.inputs import InputError, InputTypeError

from .build import library, status

__all__ = [
    "available",
    "bin_regulariser",
    "fake_quantize",
    "fake_quantize_backward",
    "learned_quantize",
    "learned_quantize_backward",
    "rows_of",
    "serves",
    "track_oscillation",
]

_Kernel: TypeAlias = Callable[..., int]
_NO_MEMORY, _BAD_BOUNDS, _BAD_ROWS = 1, 2, 3


def available() -> bool:
    """Whether the kernels are compiled and can be called; compiles them at first use."""
    return library() is not None


def serves(tensors: Iterable[Tensor | None]) -> bool:
    """Whether the kernels can be called with all of these: they are available, and each is a contiguous float32 tensor
    in memory on the CPU (None is no tensor and is passed over). Else the same operations in PyTorch are the way.
    """
    for tensor in tensors:
        if tensor is not None and not (_in_memory(tensor) and tensor.is_contiguous()):
            return False
    return available()


def _in_memory(tensor: object) -> bool:
    """As `_fault` of float32, which has words for it, but contiguous: this is asked in every call of a quantiser."""
    return (
        isinstance(tensor, Tensor)
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and type(tensor) in _PLAIN
        and not _wrapped(tensor)
        and not tensor.is_neg()
    )


def rows_of(grad_y: Tensor, layout: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """How :func:`learned_quantize_backward` reads a gradient that is not contiguous, without a copy of it; None where
    it cannot. It can where the elements of a group, 16 at least, lie side by side in a tensor of four axes, of which
    the last two are those of layout: as heads do that were multiplied apart.
    """
    _, groups, inner = layout
    if not _in_memory(grad_y) or grad_y.dim() != 4 or grad_y.shape[2:] != (groups, inner):
        return None
    far, near, across, one = grad_y.stride()
    return (grad_y.shape[1], far, near, across) if groups > 1 and inner >= _WIDE and one == 1 else None


def fake_quantize(
    x: Tensor, scale: Tensor, offset: Tensor | None, qn: Tensor, qp: Tensor, layout: tuple[int, int, int]
) -> Tensor:
    """The tensor of the shape of `x` with rint(clamp((x - offset) / scale, qn, qp)) * scale + offset.

    Bit for bit what torch computes with these operations, each rounded by itself; NaN stays NaN. Where v is the zero of
    the other sign than the bound, v is kept; torch.clamp with tensors as bounds takes either.
    """
    kernel, groups = _kernel("fake_quantize"), _checked(x, layout)
    _check_groups(groups, scale=scale, qn=qn, qp=qp, offset=offset)
    y = torch.empty_like(x)
    _done(
        kernel(
            x.data_ptr(),
            y.data_ptr(),
            scale.data_ptr(),
            _pointer(offset),
            qn.data_ptr(),
            qp.data_ptr(),
            _LayoutArray(*layout),
            torch.get_num_threads(),
        )
    )
    return y


def fake_quantize_backward(
    x: Tensor,
    grad_y: Tensor,
    scale: Tensor,
    offset: Tensor | None,
    qn: Tensor,
    qp: Tensor,
    layout: tuple[int, int, int],
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x (its shape), scale (groups,) and offset (groups,; None without one): LSQ, arXiv 1902.08153.

    With v = (x - offset) / scale unrounded, an element inside qn <= v <= qp gives grad_y to x, grad_y * (rint(v) - v)
    to the scale and nothing to the offset; one outside gives nothing to x, grad_y times the bound it met to the scale
    and grad_y to the offset. NaN counts as outside and makes the gradient of its scale NaN.
    """
    kernel, groups = _kernel("fake_quantize_backward"), _checked(x, layout)
    _check(grad_y, "grad_y", x.numel())
    _check_groups(groups, scale=scale, qn=qn, qp=qp, offset=offset)
    grad_x, grad_scale = torch.empty_like(x), torch.empty_like(scale)
    grad_offset = None if offset is None else torch.empty_like(offset)
    _done(
        kernel(
            x.data_ptr(),
            grad_y.data_ptr(),
            grad_x.data_ptr(),
            grad_scale.data_ptr(),
            _pointer(grad_offset),
            scale.data_ptr(),
            _pointer(offset),
            qn.data_ptr(),
            qp.data_ptr(),
            _LayoutArray(*layout),
            torch.get_num_threads(),
        )
    )
    return grad_x, grad_scale, grad_offset


def learned_quantize(
    x: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    qn: Tensor,
    qp: Tensor,
    layout: tuple[int, int, int],
    least: float,
    *,
    served: bool = False,
) -> Tensor:
    """:func:`fake_quantize` with scale = start * max(relative, least). `served`: :func:`serves` took the tensors just
    now, and only their sizes are looked at.
    """
    if not (served and _fit(layout, (x,), (relative, start, offset, qn, qp))):
        groups = _checked(x, layout)
        _check_groups(groups, relative=relative, start=start, offset=offset, qn=qn, qp=qp)
    y = torch.empty_like(x)
    _done(
        _kernel("learned_quantize")(
            x.data_ptr(),
            y.data_ptr(),
            relative.data_ptr(),
            start.data_ptr(),
            _pointer(offset),
            qn.data_ptr(),
            qp.data_ptr(),
            *layout,
            least,
            torch.get_num_threads(),
        )
    )
    return y


def learned_quantize_backward(
    x: Tensor,
    grad_y: Tensor,
    relative: Tensor,
    start: Tensor,
    offset: Tensor | None,
    qn: Tensor,
    qp: Tensor,
    size: Tensor | None,
    of_x: bool,
    layout: tuple[int, int, int],
    least: float,
    *,
    served: bool = False,
    rows: tuple[int, int, int, int] | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of x, relative (groups,) and offset for :func:`learned_quantize`.

    Those of the last two are divided by sqrt(size * qp), `size` (groups,) or, if `of_x`, the L1 norm of x in the group;
    with neither they are as they come. Where relative <= least, a gradient that would lower it is 0. `served` as there;
    `rows`: what :func:`rows_of` says of a `grad_y` that is not contiguous.
    """
    fits = _fit(layout, (x, grad_y), (relative, start, offset, qn, qp, size))
    if not (served and fits and rows == (None if grad_y.is_contiguous() else rows_of(grad_y, layout))):
        groups = _checked(x, layout)
        _check(grad_y, "grad_y", x.numel())
        _check_groups(groups, relative=relative, start=start, offset=offset, qn=qn, qp=qp, size=size)
    grad_x, grad_relative = torch.empty_like(x), torch.empty_like(relative)
    grad_offset = None if offset is None else torch.empty_like(offset)
    _done(
        _kernel("learned_quantize_backward")(
            x.data_ptr(),
            grad_y.data_ptr(),
            grad_x.data_ptr(),
            grad_relative.data_ptr(),
            _pointer(grad_offset),
            relative.data_ptr(),
            start.data_ptr(),
            _pointer(offset),
            qn.data_ptr(),
            qp.data_ptr(),
            _pointer(size),
            of_x,
            *layout,
            *(rows or _NO_ROWS),
            least,
            torch.get_num_threads(),
        )
    )
    return grad_x, grad_relative, grad_offset


def bin_regulariser(
    w: Tensor, scale: Tensor, qn: Tensor, qp: Tensor, layout: tuple[int, int, int]
) -> tuple[float, Tensor, Tensor]:
    """The oscillation-aware bin regulariser of one tensor, with its gradients of w (its shape) and scale (groups,).

    With c = clamp(w, qn * scale, qp * scale) and the integer code k = rint(clamp(w / scale, qn, qp)), a group's term is
    the mean of (c - k * scale)**2, k * scale taken as a constant, plus the sum over the codes present of the population
    variance of c among the elements with that code; the loss is the mean over the groups (arXiv 2307.00331, section on
    bin regularisation). Elements with qn <= w / scale <= qp pass their gradient to w, the others, times the bound they
    met, to the scale. An empty tensor has loss 0. Also raises ValueError for bounds that are not integers with
    qn <= 0 < qp and at most 256 codes.
    """
    kernel, groups = _kernel("bin_regulariser"), _checked(w, layout, "w")
    _check_groups(groups, scale=scale, qn=qn, qp=qp)
    if layout[0] > 1 and groups > 1 and layout[2] < _SHORT:
        # Groups that lie a few elements at a time are counted as rows: copying there and back costs less than strides.
        rows = w.view(layout).transpose(0, 1)
        loss, grad, grad_scale = bin_regulariser(rows.contiguous(), scale, qn, qp, (1, groups, layout[0] * layout[2]))
        return loss, grad.view(rows.shape).transpose(0, 1).reshape(w.shape), grad_scale
    grad_w, grad_scale = torch.empty_like(w), torch.empty_like(scale)
    loss_value = ctypes.c_double()
    _done(
        kernel(
            w.data_ptr(),
            grad_w.data_ptr(),
            grad_scale.data_ptr(),
            ctypes.byref(loss_value),
            scale.data_ptr(),
            qn.data_ptr(),
            qp.data_ptr(),
            _LayoutArray(*layout),
            torch.get_num_threads(),
        )
    )
    return loss_value.value, grad_w, grad_scale


def track_oscillation(
    w: Tensor,
    scale: Tensor,
    qn: Tensor,
    qp: Tensor,
    layout: tuple[int, int, int],
    code: Tensor,
    direction: Tensor,
    frequency: Tensor,
    momentum: float,
) -> None:
    """One step of the oscillation statistics (Nagel et al., arXiv 2203.11086), in place on the last three tensors.

    code: int16, the integers of the step before; direction: int8, the sign of their last change, 0 before the first;
    frequency: float32, the running share of oscillations; each as many elements as `w`. A weight oscillates when its
    integer changes against its last direction: frequency = momentum * oscillates + (1 - momentum) * frequency. A NaN
    weight keeps its code. Also raises ValueError for a momentum outside 0 to 1.
    """
    kernel, groups = _kernel("track_oscillation"), _checked(w, layout, "w")
    _check_groups(groups, scale=scale, qn=qn, qp=qp)
    _check(code, "code", w.numel(), torch.int16)
    _check(direction, "direction", w.numel(), torch.int8)
    _check(frequency, "frequency", w.numel())
    if not 0.0 <= momentum <= 1.0:
        raise InputError(f"momentum must be from 0 to 1, not {momentum}")
    _done(
        kernel(
            w.data_ptr(),
            code.data_ptr(),
            direction.data_ptr(),
            frequency.data_ptr(),
            momentum,
            1.0 - momentum,
            scale.data_ptr(),
            qn.data_ptr(),
            qp.data_ptr(),
            _LayoutArray(*layout),
            torch.get_num_threads(),
        )
    )


_WIDE = 16  # elements of a group in a row from which on the kernels walk along it: their NARROW
_NO_ROWS = (0, 0, 0, 0)
_SHORT = 8  # elements of a group in a row below which the bin regulariser rearranges
_LayoutArray = ctypes.c_int64 * 3
_POINTER, _FLOAT, _COUNT = ctypes.c_void_p, ctypes.c_float, ctypes.c_int64
_LAYOUT = ctypes.POINTER(ctypes.c_int64)
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "fake_quantize": (*[_POINTER] * 6, _LAYOUT, _COUNT),
    "fake_quantize_backward": (*[_POINTER] * 9, _LAYOUT, _COUNT),
    "learned_quantize": (*[_POINTER] * 7, *[_COUNT] * 3, _FLOAT, _COUNT),
    "learned_quantize_backward": (*[_POINTER] * 11, *[_COUNT] * 8, _FLOAT, _COUNT),
    "bin_regulariser": (*[_POINTER] * 7, _LAYOUT, _COUNT),
    "track_oscillation": (*[_POINTER] * 4, _FLOAT, _FLOAT, *[_POINTER] * 3, _LAYOUT, _COUNT),
}


@cache
def _kernel(name: str) -> _Kernel:
    kernels = library()
    if kernels is None:
        raise RuntimeError(f"the compiled kernels are not available: {status().reason}")
    kernel = kernels[name]
    kernel.argtypes, kernel.restype = _ARGUMENTS[name], ctypes.c_int
    return kernel


def _fit(layout: tuple[int, int, int], whole: tuple[Tensor, ...], of_groups: tuple[Tensor | None, ...]) -> bool:
    """Whether tensors have as many elements as a layout, and those of groups as many as it has groups."""
    outer, groups, inner = layout
    elements = outer * groups * inner
    for tensor in whole:
        if tensor.numel() != elements:
            return False
    for values in of_groups:
        if values is not None and values.numel() != groups:
            return False
    return groups >= 1


def _checked(x: Tensor, layout: object, name: str = "x") -> int:
    """The number of groups of `layout`, which fits `x`."""
    if not isinstance(layout, tuple) or len(layout) != 3 or any(type(size) is not int for size in layout):
        raise InputTypeError(f"layout must be a tuple of three integers, not {layout!r}")
    outer, groups, inner = layout
    if outer < 0 or groups < 1 or inner < 0:
        raise InputError(f"layout must have at least one group and no negative size, not {tuple(layout)}")
    _check(x, name, None)
    if outer * groups * inner != x.numel():
        raise InputError(f"layout {tuple(layout)} must multiply to the {x.numel()} elements of {name}")
    return groups


def _check_groups(groups: int, **values: Tensor | None) -> None:
    for name, value in values.items():
        if value is not None:
            _check(value, name, groups)


def _check(value: object, name: str, elements: int | None, dtype: torch.dtype = torch.float32) -> None:
    fault = _fault(value, dtype)
    if fault:
        raise fault[0](f"{name} must be {fault[1]}")
    assert isinstance(value, Tensor)
    if elements is not None and value.numel() != elements:
        raise InputError(f"{name} must have {elements} elements, not {value.numel()}")


def _fault(value: object, dtype: torch.dtype) -> tuple[type[InputError], str] | None:
    """Why the address of the first element of `value` is not that of a plain array of `dtype`: the kind of error, and
    what the value must be.
    """
    if not isinstance(value, Tensor):
        return InputTypeError, f"a tensor, not {type(value).__name__}"
    if value.dtype is not dtype:
        return InputTypeError, f"a tensor of {dtype}, not {value.dtype}"
    if value.device.type != "cpu":
        return InputTypeError, f"a tensor on the CPU, not on {value.device}"
    if value.layout is not torch.strided or type(value) not in _PLAIN or _wrapped(value):
        return InputTypeError, f"a dense tensor in memory, not {type(value).__name__} of layout {value.layout}"
    if not value.is_contiguous() or value.is_neg():
        return InputError, f"contiguous, which one of shape {tuple(value.shape)} is not"
    return None


_PLAIN = (Tensor, nn.Parameter)  # a subclass may have no memory: a fake tensor of a tracer
_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


def _pointer(value: Tensor | None) -> int | None:
    return None if value is None else value.data_ptr()


def _done(code: int) -> None:
    if code == _NO_MEMORY:
        raise MemoryError("there is no memory for the partial sums of a quantisation kernel")
    if code == _BAD_ROWS:
        raise InputError(f"rows must be of several groups with at least {_WIDE} elements in a row")
    if code == _BAD_BOUNDS:
        raise InputError("qn and qp must be integers with qn <= 0 < qp and at most 256 codes from qn to qp")
