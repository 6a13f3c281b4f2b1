"""What the parameters of a quantiser that was trained can be: a file that holds others is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from siliquant.inputs import InputError

from .fakequant import RELATIVE_FLOOR

__all__ = ["BOUNDS", "check_bounds"]

_MOST = 1e12  # the sum of 2^16 such values of 8 bits is still a finite float32
BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "start": (torch.finfo(torch.float32).tiny, _MOST), "relative": (RELATIVE_FLOOR, _MOST),
        "offset": (-_MOST, _MOST), "threshold": (-_MOST, _MOST), "magnitude": (0.0, 1e30),
        "scale": (torch.finfo(torch.float32).tiny * RELATIVE_FLOOR, _MOST),
    }
)  # fmt: skip
"""Lowest and highest value of each parameter by its name; a scale is start * relative."""


def check_bounds(name: str, values: Tensor, place: str) -> None:
    """Raises InputError, which calls the parameter ``place``, where one of its values is not in BOUNDS[name]."""
    low, high = BOUNDS[name]
    bad = values[~((values >= low) & (values <= high))]
    if bad.numel():
        raise InputError(f"{place} must be from {low:.3g} to {high:.3g}, not {float(bad[0]):.6g}")
