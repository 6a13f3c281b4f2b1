"""By which way an operation goes: at once, through torch.func, or as an operator that what traces programs records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Seen", "each_sample", "seen_by"]

_PLAIN = (Tensor, nn.Parameter)


class Seen(Enum):
    """What looks at an operation, and so by which way it goes.

    RUN: by PyTorch's operations and the kernels, at once. Nothing looks, or a compiler does at tensors that no kernel
    takes (other dtypes, other devices): it is shown these operations, which it can fuse.
    TRANSFORMED: torch.func looks. TRACED: what records operators does, at tensors that the kernels take.
    """

    RUN = "run"
    TRANSFORMED = "transformed"
    TRACED = "traced"


def seen_by(tensors: Sequence[Tensor]) -> Seen:
    """What looks at an operation on these; torch.compile, torch.export, dispatch modes and tensors that are none in
    memory trace it.
    """
    if not torch.compiler.is_compiling():
        if torch._C._are_functorch_transforms_active():
            return Seen.TRANSFORMED
        if torch._C._len_torch_dispatch_stack() == 0 and all(type(tensor) in _PLAIN for tensor in tensors):
            return Seen.RUN
    served = all(tensor.device.type == "cpu" and tensor.dtype is torch.float32 for tensor in tensors)
    return Seen.TRACED if served else Seen.RUN


def each_sample(
    operator: Callable[..., Any], samples: int, axes: Sequence[int | None], arguments: Sequence[Any]
) -> tuple[Any, Any]:
    """The rule of torch.vmap that has the bits of a loop: the operator on one sample after another, stacked.

    axes: of each argument the one along which samples lie, or None; a result's is its first.
    """

    def sample(index: int) -> list[Any]:
        pairs = zip(arguments, axes, strict=True)
        return [value if axis is None else value.select(axis, index) for value, axis in pairs]

    results = [operator(*sample(index)) for index in range(samples)]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
    return stacked, (0,) * len(stacked)
