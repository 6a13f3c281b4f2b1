"""Who looks at an operation: a program that only runs, or one that is traced or transformed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Seen", "each_sample", "seen_by"]

_PLAIN = (Tensor, nn.Parameter)


class Seen(Enum):
    """By whom an operation is seen: nobody, torch.func, or what records operators."""

    RUN = "run"
    TRANSFORMED = "transformed"
    TRACED = "traced"


def seen_by(tensors: Sequence[Tensor]) -> Seen:
    """Who sees an operation on these that the kernels compute for float32 on the CPU.

    TRACED is by torch.compile, torch.export, a dispatch mode or a tensor that is none in memory, and of such tensors
    only: of other dtypes and devices a compiler is shown PyTorch's operations, which it can fuse.
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
