"""What the logic and the registers of a requantisation unit follow from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rtl.logic import Circuit, Registered, Word

__all__ = ["Loadable", "ParameterField", "PartialSum", "Requantiser"]


@dataclass(frozen=True)
class ParameterField:
    """One number of a parameter set: from ``low`` to ``high``, stored less ``base`` in ``width`` bits."""

    name: str
    width: int
    low: int
    high: int
    base: int = 0


class Loadable(Registered, Protocol):
    """Any unit; :class:`rtl.requant.LoadableSpec` has the meanings."""

    @property
    def groups(self) -> int: ...
    @property
    def group_width(self) -> int: ...
    @property
    def parameter_width(self) -> int: ...
    @property
    def parameter_fields(self) -> Sequence[ParameterField]: ...


class Requantiser(Loadable, Protocol):
    """A unit that gives codes; :class:`rtl.requant.RequantSpec` has the meanings."""

    @property
    def bits(self) -> int: ...
    @property
    def signed(self) -> bool: ...
    def logic(self, circuit: Circuit, accumulator: Word, parameters: Sequence[Word]) -> Word: ...


class PartialSum(Loadable, Protocol):
    """A unit that gives sums; :class:`rtl.requant.PartialSumSpec` has the meanings."""

    @property
    def total_width(self) -> int: ...
