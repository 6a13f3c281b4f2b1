"""The sum of a reduction that is cut by head, each head with a scale of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from rtl.logic import Datapath, Port
from rtl.spec import check_integer, parameter, sum_width
from siliquant.inputs import InputError

from .datapath import build_partial_sum
from .multiplier import MAX_SUM_WIDTH
from .spec import IntArray, LoadableSpec
from .unit import ParameterField

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component


__all__ = ["PartialSumSpec"]


@dataclass(frozen=True, kw_only=True)
class PartialSumSpec(LoadableSpec):
    """total = sum over heads h of accumulator_h * m_h: what an attention output projection needs per output.

    Its input has a scale s_h for each head, and the heads lie along the reduction, so the MAC gives one accumulator
    a head and this unit adds them: ``first`` beside in_valid starts a sum, ``last`` ends it, and out_valid marks the
    cycle in which ``total`` is whole. ``group`` is the head; one head may follow another every cycle. With one scale
    for the whole input the MAC's own accumulator is the sum, and this unit is not needed.

    m_h stands for s_h / u, rounded to nearest, with one unit u for all heads: the value of the sum is u * total. The
    products and the sum are exact, so the error is that of the multipliers alone:

        |u * total - sum of s_h * accumulator_h| <= u / 2 * sum of |accumulator_h|

    and with u = max s_h / (2**multiplier_width - 1) at most max s_h / (2**(multiplier_width + 1) - 2) for each unit
    of |accumulator|. Bias and activation offset belong into the parameters of what reads ``total``.

    Parameters
    ----------
    multiplier_width
        Bits of m_h, 1 to 32, unsigned.
    """

    design: ClassVar[str] = "partialsum"
    summary: ClassVar[str] = "sum of accumulators, each times the multiplier of its head"

    rule: ClassVar[str] = "total = sum of accumulator * multiplier of its group, from first to last"

    multiplier_width: int = parameter(12, "m", "bits of the multiplier, 1 to 32")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("multiplier_width", self.multiplier_width, 1, 32)
        if self.total_width > MAX_SUM_WIDTH:
            raise InputError(f"total must be at most {MAX_SUM_WIDTH} bits wide, not {self.total_width}")

    @property
    def total_range(self) -> tuple[int, int]:
        """Bounds of ``total``: a sum of at most ``groups`` products."""
        (low, high), most = self.accumulator_range, (1 << self.multiplier_width) - 1
        return self.groups * low * most, self.groups * high * most

    @property
    def total_width(self) -> int:
        """Bits of ``total``: no sum of ``groups`` products overflows."""
        return sum_width(*self.total_range)

    @cached_property
    def parameter_fields(self) -> tuple[ParameterField, ...]:
        return (ParameterField("multiplier", self.multiplier_width, 0, (1 << self.multiplier_width) - 1),)

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst, in the order of the generated module."""
        return (
            Port("in_valid", 1, True, "1: first, last, accumulator and group are valid; 0: hold"),
            Port("first", 1, True, "1 beside in_valid: this accumulator starts a new sum"),
            Port("last", 1, True, "1 beside in_valid: this accumulator ends the sum"),
            *self._input_ports,
            *self._load_ports,
            Port("out_valid", 1, False, f"in_valid and last, {self.latency} cycles later"),
            Port("total", self.total_width, False, "two's complement sum since first"),
        )

    def compute(self, accumulators: npt.ArrayLike, parameters: npt.ArrayLike) -> IntArray:
        """The golden model: sums int64 [...] of accumulators [..., heads], head h with parameters[..., h, :] = (m_h,).

        Raises TypeError and ValueError as :meth:`check_accumulators` and :meth:`check_parameters`; ValueError for
        more than ``groups`` heads.
        """
        values, numbers = self.check_accumulators(accumulators), self.check_parameters(parameters)
        if values.ndim == 0 or values.shape[-1] > self.groups:
            raise InputError(f"accumulators must have shape (..., {self.groups}) or fewer heads, not {values.shape}")
        return np.asarray((values * numbers[..., 0]).sum(axis=-1), dtype=np.int64)

    def build(self) -> Datapath:
        """The logic between the input registers and the sum, as a graph of gates."""
        return build_partial_sum(self)

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component (see rtl.requant.component). numbered: gates have numbers in place of names."""
        from .component import PartialSumComponent

        return PartialSumComponent(self, numbered=numbered)
