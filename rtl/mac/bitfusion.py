"""Bit Fusion: two-dimensional divide-and-conquer, the bricks of each unit shifted and added within the unit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rtl.logic import DatapathBuilder

from .bricks import BrickSpec

__all__ = ["BitFusionSpec"]


@dataclass(frozen=True, kw_only=True)
class BitFusionSpec(BrickSpec):
    """Every unit fuses its own bricks by a tree of shift-adds (Sharma et al., "Bit Fusion", ISCA 2018).

    >>> from rtl.spec import Precision
    >>> spec = BitFusionSpec(units=1)
    >>> [spec.products_per_step(Precision(w, a)) for w, a in ((8, 8), (8, 2), (4, 4), (2, 2))]
    [1, 4, 4, 16]
    """

    design: ClassVar[str] = "bitfusion"
    summary: ClassVar[str] = "2-D divide-and-conquer of small bricks, shift-adds in every unit"

    def datapath(self, builder: DatapathBuilder) -> None:
        self.declare_modes(builder)
        for unit in range(self.units):
            self.fuse(builder, builder.heap, partial(self.add_brick, builder, unit), name=f"unit{unit}")
