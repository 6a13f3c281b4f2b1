"""Where the Triton kernels run: which tensors they take, and a trial of them on the GPU that is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["available", "loaded", "serves", "try_out"]

_PLAIN = (Tensor, nn.Parameter)  # a subclass may have no memory: a fake tensor of a tracer
_LEAST_CAPABILITY = (8, 0)  # what Triton supports: Ampere


def serves(tensors: Iterable[Tensor | None]) -> bool:
    """Whether the kernels can be called with all of these: contiguous float32 tensors in memory on one CUDA device
    (None is no tensor and is passed over), with nothing that traces or transforms the program looking on.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    if not given or not all(on_gpu(tensor) for tensor in given) or torch.compiler.is_compiling():
        return False
    if torch._C._len_torch_dispatch_stack() or torch._C._are_functorch_transforms_active():
        return False
    device = given[0].device
    return all(tensor.device == device and _plain(tensor) for tensor in given) and available(device)


def loaded() -> Any:
    """The module of the kernels, which loads Triton: only where it is there."""
    return import_module("qat.quantisers.cuda.kernels")


def on_gpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda"


@cache
def available(device: torch.device) -> bool:
    """Whether Triton is there, and the device is one of CUDA that it compiles for. SILIQUANT_NATIVE=0 turns all
    compiled kernels off.
    """
    if os.environ.get("SILIQUANT_NATIVE") == "0" or torch.version.cuda is None or find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY


def try_out(device: torch.device, differences: Callable[[torch.device], str]) -> bool:
    """Whether the kernels run on this device and `differences` finds none: once, with a line on standard error if not.

    differences: runs the kernels there beside PyTorch's operations, and says what differs; an empty text is nothing.
    """
    try:
        found = differences(device)
    except Exception as error:  # of Triton, of its compiler or of the driver: none may end a training
        found = f"{type(error).__name__}: {error}"
    if found:
        reason = " ".join(found.split())
        print(f"siliquant: going on without fused kernels on {device}, which is slower: {reason}", file=sys.stderr)
    return not found


def _plain(tensor: Tensor) -> bool:
    return (
        tensor.dtype is torch.float32
        and tensor.layout is torch.strided
        and type(tensor) in _PLAIN
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and tensor.is_contiguous()
        and not tensor.is_neg()
    )
