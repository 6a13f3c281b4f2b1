"""A run of an array: its sizes, where its words lie in the memories, and why an array refuses one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from rtl.spec import check_integer

__all__ = ["CHANGES", "ERROR_WIDTH", "PLANES_WIDTH", "REFUSAL_CYCLES", "SHIFT_WIDTH", "SIZE_WIDTH", "Refusal", "Run"]

SIZE_WIDTH = 16
"""Bits of the counters of steps and tiles."""
PLANES_WIDTH = 4
"""Bits of the counters of operand words a step."""
SHIFT_WIDTH = 4
"""Bits of the shift of a pass."""
ERROR_WIDTH = 4
"""Bits of the port ``error``."""
CHANGES = ("shift", "negate", "accumulate", "halve", "requantise")
"""Settings that change a sum before it is stored, where they are not 0: such sums leave by one drain."""
REFUSAL_CYCLES = 5
"""Cycles in which ``busy`` is 1 after the start of a run that is refused; no run writes its first word earlier."""


class Refusal(IntEnum):
    """Value of the port ``error``: why the last run that was started has ended without a word written.

    Where several hold, it is the lowest.
    """

    NONE = 0
    STEPS = 1
    WEIGHT_PLANES = 2
    ACTIVATION_PLANES = 3
    ROW_TILES = 4
    COLUMN_TILES = 5
    WEIGHT_MEMORY = 6
    ACTIVATION_MEMORY = 7
    CONTROL_MEMORY = 8
    RESULT_MEMORY = 9
    REQUANT_SETS = 10

    @property
    def meaning(self) -> str:
        """One line that says what was wrong."""
        return _MEANINGS[self]


_MEANINGS = {
    Refusal.NONE: "no error",
    Refusal.STEPS: "steps is 0",
    Refusal.WEIGHT_PLANES: "weight_planes is 0",
    Refusal.ACTIVATION_PLANES: "activation_planes is 0",
    Refusal.ROW_TILES: "row_tiles is 0",
    Refusal.COLUMN_TILES: "column_tiles is 0",
    Refusal.WEIGHT_MEMORY: "weight_base + column_tiles * steps * weight_planes exceeds the words of the weight memory",
    Refusal.ACTIVATION_MEMORY: "activation_base + row_tiles * steps * activation_planes exceeds the words of the "
    "activation memory",
    Refusal.CONTROL_MEMORY: "weight_planes * activation_planes exceeds the cycles of a step that a control table has, "
    "or the table at control_base exceeds the words of the control memory",
    Refusal.RESULT_MEMORY: "result_base + row_tiles * column_tiles * drain_rows exceeds the words of the result memory",
    Refusal.REQUANT_SETS: "requantise is 1 and group + (group_step ? column_tiles : 1) exceeds the parameter sets of "
    "a requantiser",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the array over operands that are in its memories: M x N outputs, one pass.

    steps: K over the products of a step, rounded up. weight_planes, activation_planes: operand words of a step; each
    pair of them is one cycle (1 and 1 unless operands are serial). row_tiles, column_tiles: M over rows and N over
    columns, rounded up. weight_base, activation_base, control_base, result_base: the first word in each memory.
    """

    steps: int
    weight_planes: int
    activation_planes: int
    row_tiles: int
    column_tiles: int
    weight_base: int = 0
    activation_base: int = 0
    control_base: int = 0
    result_base: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "row_tiles", "column_tiles"):
            check_integer(name, getattr(self, name), 1, (1 << SIZE_WIDTH) - 1)
        for name in ("weight_planes", "activation_planes"):
            check_integer(name, getattr(self, name), 1, (1 << PLANES_WIDTH) - 1)
        for name in ("weight_base", "activation_base", "control_base", "result_base"):
            check_integer(name, getattr(self, name), 0, (1 << SIZE_WIDTH) - 1)

    @property
    def cycles_per_tile(self) -> int:
        """Cycles with operands that one tile takes."""
        return self.steps * self.weight_planes * self.activation_planes

    @property
    def tiles(self) -> int:
        """Output tiles."""
        return self.row_tiles * self.column_tiles

    @property
    def activation_words(self) -> int:
        """Words of the activation memory that the operands fill."""
        return self.row_tiles * self.steps * self.activation_planes

    @property
    def weight_words(self) -> int:
        """Words of the weight memory that the operands fill."""
        return self.column_tiles * self.steps * self.weight_planes
