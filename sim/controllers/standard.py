"""The arrays whose controllers are proved as a matter of course."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, ThresholdSpec

__all__ = ["standard_arrays"]

_PLACES = ((1, 1, 1), (2, 3, 1), (3, 2, 2), (4, 4, 4), (7, 1, 3), (9, 16, 3), (16, 16, 4), (32, 8, 5))
"""Rows, columns and drains: one of each, drains of equal and of different lengths, and as many as rows."""
_DEPTHS = (5, 64, 100, 512, 2048, 3000, 4096, 1000)
"""Words of the memories: powers of two, and others."""


def standard_arrays() -> tuple[ArraySpec, ...]:
    """An array of each architecture and design, of all those places and depths, with requantisers of each kind, and the
    largest memories that there are.
    """
    largest: dict[str, Any] = {"activation_depth": 512, "weight_depth": 512, "result_depth": 1 << 16}
    return (*_arrays(), ArraySpec(mac=DESIGNS[0](), rows=16, columns=16, drains=4, **largest))


def _arrays() -> Iterator[ArraySpec]:
    for number, design in enumerate(DESIGNS):
        for kind, architecture in enumerate(Architecture):
            rows, columns, drains = _PLACES[(number + 3 * kind) % len(_PLACES)]
            depth = _DEPTHS[(number + 5 * kind) % len(_DEPTHS)]
            requant = (
                None,
                ThresholdSpec(accumulator_width=32, groups=3),
                MultiplierSpec(accumulator_width=32, groups=12),
            )[(number + kind) % 3]
            yield ArraySpec(
                mac=design(), rows=rows, columns=columns, drains=drains, architecture=architecture,
                activation_depth=depth, weight_depth=depth + 3, result_depth=max(depth, rows), requant=requant,
            )  # fmt: skip
