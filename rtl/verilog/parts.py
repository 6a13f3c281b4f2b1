"""The parts of a module that a reader looks for, by what the names of their signals say."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Part", "part_of"]


@dataclass(frozen=True)
class Part:
    """A part: its place among the others, and what stands above it."""

    rank: int
    title: str


_PATTERNS = (
    (r"_memory$|^(weight|activation|control)_\d+_read_data$", "Memories of operands"),
    (r"^(weight|activation)_(at_most|over|ends_in|sign_in)|^uses_\d|^blocks\d\d_meet|_negated$|_constant_c\d+$|_of_others_\d+$",
     "What follows from the precision alone"),
    (r"^chosen_by_|^(threshold\d+|multiplier|offset|shift)$", "The parameter set of the group"),
    (r"^unit\d+_(weight|activation)", "Operands of each multiplier, where they come from more than one place"),
    (r"_digit\d+_|_digit\d+$|_sign$", "Radix-4 digits of the weights (Booth 1951; MacSorley, Proc. IRE, 1961)"),
    (r"_row\d+$|^products$|_is_plus_one$|_is_not_zero$|_weight_\d+$",
     "Partial products: bit i of a weight times an activation is rowI"),
    (r"_group\d+(_c\d+_l|_signed|_cpa)",
     "Bits that one control negates: summed to two rows, which are inverted as words (Baugh and Wooley 1973)"),
    (r"^kept$", "The sum so far, inverted: all ones where a new one begins"),
    (r"_c\d+_l\d+_\d+", "Bit heap: NAME_cC_lL_N is adder N of level L in column C, whose bits weigh 2**C"),
    (r"_cpa$|^comparison\d+", "Carry-propagate adders"),
    (r"_shift\d+$|^shifted_", "Shifts to where the control says"),
    (r"^thermometer|^rank$|^saturated$", "The code"),
    (r"^sum_of_\d+_bits$", "The sum, shifted back to where narrow operands have it"),
)  # fmt: skip
_PARTS = tuple((re.compile(pattern), Part(rank, title)) for rank, (pattern, title) in enumerate(_PATTERNS, 1))
_OTHER = Part(0, "")


def part_of(name: str) -> Part:
    """The part that a signal or an instance belongs to.

    >>> part_of("lane3_row1").title
    'Partial products: bit i of a weight times an activation is rowI'
    """
    return next((part for pattern, part in _PARTS if pattern.search(name)), _OTHER)
