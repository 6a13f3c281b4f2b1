"""Tensors that were read for a network: each is looked at before it is taken, and none is cast."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qat.quantisers import check_bounds
from siliquant.inputs import InputError, InputTypeError

from .convert import quantizers

__all__ = ["check_state"]


def check_state(network: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """InputError for a tensor whose dtype, shape or numbers the network cannot have at that name of its state.

    Numbers are finite, variances not negative, parameters of quantisers within their bounds, and integers, which are
    tables of the architecture, those of `network`. `prefix` stands before the name in messages.
    """
    state = network.state_dict()
    owned = {f"{name}.{own}": own for name, quantizer in quantizers(network).items() for own in quantizer.state_dict()}
    for name, found in tensors.items():
        own, place = state[name], f"{prefix}{name}"
        if found.shape != own.shape:
            raise InputError(f"{place} must have shape {list(own.shape)}, not {list(found.shape)}")
        if found.dtype is not own.dtype:
            raise InputTypeError(f"{place} must be of {own.dtype}, not {found.dtype}")
        if found.is_floating_point():
            if not bool(found.isfinite().all()):
                raise InputError(f"{place} must be finite numbers, but holds NaN or infinity")
            if name.endswith("running_var") and not bool((found >= 0).all()):
                raise InputError(f"{place} must be variances of 0 or more, but the least is {float(found.min())}")
            if name in owned:
                check_bounds(owned[name], found, place)
        elif name.endswith("num_batches_tracked"):
            if int(found) < 0:
                raise InputError(f"{place} must be 0 or more, not {int(found)}")
        elif not torch.equal(found, own):
            raise InputError(f"{place} must be the table of this architecture, and holds other numbers")
