"""BitBlade: the function of Bit Fusion with equal bricks of all units added before they are shifted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rtl.logic import BitHeap, DatapathBuilder

from .bricks import BrickSpec

__all__ = ["BitBladeSpec"]


@dataclass(frozen=True, kw_only=True)
class BitBladeSpec(BrickSpec):
    """Bricks at the same place of every unit have the same shift: they share it (Ryu et al., "BitBlade", DAC 2019).

    Ports, precisions and sums are those of :class:`rtl.mac.bitfusion.BitFusionSpec`.

    >>> from rtl.mac import BitFusionSpec
    >>> BitBladeSpec(units=3).ports == BitFusionSpec(units=3).ports
    True
    """

    design: ClassVar[str] = "bitblade"
    summary: ClassVar[str] = "Bit Fusion with bricks grouped across units, so that shifters are shared"

    def datapath(self, builder: DatapathBuilder) -> None:
        self.declare_modes(builder)

        def add_position(heap: BitHeap, i: int, j: int) -> None:
            for unit in range(self.units):
                self.add_brick(builder, unit, heap, i, j)

        self.fuse(builder, builder.heap, add_position)
