"""An array of processing elements with its memories and controller: what it is, and how many cycles it takes.

Output-stationary: every element keeps one output of a tile of rows x columns until its sum is complete. No hardware
library is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtl.spec import Precision, check_integer
from siliquant.inputs import InputError

from .geometry import ArrayGeometry
from .run import Run
from .step import step_layout

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

__all__ = ["ArraySpec"]


@dataclass(frozen=True, kw_only=True)
class ArraySpec(ArrayGeometry):
    """``rows`` x ``columns`` elements of one MAC design.

    Memories: activations of ``activation_depth`` words (one step word for every row), weights of ``weight_depth``
    words (one for every column), results of ``result_depth`` words (one result of ``result_width`` bits for every
    column and drain). A control table holds the control words of the cycles of a step, so that any design and precision
    runs without logic of its own in the controller; the control memory has room for two of them.

    A run multiplies what is in the memories from its base addresses on: for each column tile, all row tiles. The
    drained sums are shifted left, negated and added to the result memory as the run says, so that wide operands can be
    computed slice by slice. With ``requant`` each column ends in a requantiser, used in runs that ask for it.

    A column has ``drains``, no more than rows. Sums that are stored as they are leave by all of them, in as many cycles
    as a drain has rows (``drain_rows``); all others leave by that of the last row, in ``rows`` cycles. A tile of fewer
    operand cycles waits for the drain of the one before.

    >>> from rtl.mac import UniformSpec
    >>> array = ArraySpec(mac=UniformSpec(lanes=16), rows=16, columns=16, result_depth=4096)
    >>> run = array.run(197, 192, 192, Precision(4, 4))
    >>> run.tiles, run.cycles_per_tile, array.cycles(run), array.load_cycles(run)
    (156, 12, 2511, 156)
    """

    @property
    def summary(self) -> str:
        """One line that says what it does."""
        kind = "operands move from element to element" if self.systolic else "operands reach all elements at once"
        return f"{self.rows} x {self.columns} elements with memories and controllers; {kind}"

    def planes(self, precision: Precision) -> tuple[int, int]:
        """Weight and activation words of one step at ``precision``: the number of times that each port changes."""
        layout = step_layout(self.mac, precision, self.mac.products_per_step(precision))
        return len(layout.weights), len(layout.activations)

    def run(
        self, m: int, k: int, n: int, precision: Precision, *,
        weight_base: int = 0, activation_base: int = 0, control_base: int = 0, result_base: int = 0,
    ) -> Run:  # fmt: skip
        """The run of one M x K x N product whose words begin at the bases.

        Raises ValueError where memories or accumulators are too small for it.
        """
        for name, value in (("M", m), ("K", k), ("N", n)):
            check_integer(name, value, 1)
        if k > self.mac.reduction_length:
            most = f"{self.mac.reduction_length} products (reduction_length)"
            raise InputError(f"the reduction must have at most {most}, not {k}")
        steps = -(-k // self.mac.products_per_step(precision))
        weight_planes, activation_planes = self.planes(precision)
        found = Run(
            steps=steps,
            weight_planes=weight_planes,
            activation_planes=activation_planes,
            row_tiles=-(-m // self.rows),
            column_tiles=-(-n // self.columns),
            weight_base=weight_base,
            activation_base=activation_base,
            control_base=control_base,
            result_base=result_base,
        )
        for name, base, words, depth in (
            ("activation", activation_base, found.activation_words, self.activation_depth),
            ("weight", weight_base, found.weight_words, self.weight_depth),
            ("control", control_base, self.control_words(found), self.control_depth),
            ("result", result_base, found.tiles * self.drain_rows, self.result_depth),
        ):
            if base + words > depth:
                after = f" from {name}_base {base} on" if base else ""
                raise InputError(
                    f"{name}_depth must be at least {base + words} words for {m} x {k} x {n}{after}, not {depth}"
                )
        return found

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component, which is the same where it is to be ``numbered``."""
        from .component import ArrayComponent

        return ArrayComponent(self)
