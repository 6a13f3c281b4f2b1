"""What a requantisation unit is, before any hardware exists.

A unit holds one set of parameters for each group (a tensor, a head, a channel of a tile) in registers of its own.
Scale, bias and activation offset of a layer are folded into these parameters (see :mod:`rtl.requant.fit`), so the
hardware sees integers only. No hardware library is imported here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from rtl.logic import Circuit, Datapath, Port, Word
from rtl.names import short
from rtl.spec import MAX_BITS, CodeValues, check_integer, network_codes, parameter, signed_range
from siliquant.inputs import InputError, InputTypeError

from .datapath import build_requant
from .unit import ParameterField

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component


__all__ = ["MAX_ACCUMULATOR_WIDTH", "LoadableSpec", "RequantSpec"]

MAX_ACCUMULATOR_WIDTH = 48
"""Widest accumulator that a unit takes, in bits."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LoadableSpec(ABC):
    """A unit that takes one accumulator a cycle and holds ``groups`` parameter sets.

    ``in_valid`` marks a cycle with an accumulator; ``group`` beside it names the parameter set it is computed with,
    and must be below ``groups``. ``out_valid`` follows :attr:`latency` cycles later. ``load_valid`` writes
    ``load_parameters`` to set ``load_group``: it holds for accumulators that enter in the same cycle and later, not
    for those that are inside already. ``rst`` (synchronous) clears the valid bits only: parameters stay, and nothing is
    loaded while it is high.

    Parameters
    ----------
    accumulator_width
        Bits of the accumulator, 2 to 48, two's complement.
    groups
        Parameter sets: 1 for one scale a tensor, heads for one a head, channels of a tile for one a channel.
    pipeline_stages
        Registers inside the datapath, 0 to 2, between the input registers and the output register.
    """

    design: ClassVar[str]
    """Short name, the same everywhere."""
    summary: ClassVar[str]
    """One line that says what it does."""
    rule: ClassVar[str]
    """The arithmetic, by the names of ports and parameter fields."""

    accumulator_width: int = parameter(20, "n", "bits of the accumulator, 2 to 48")
    groups: int = parameter(1, "g", "parameter sets held inside")
    pipeline_stages: int = parameter(0, "p", "registers inside the datapath, 0 to 2")

    def __post_init__(self) -> None:
        check_integer("accumulator_width", self.accumulator_width, 2, MAX_ACCUMULATOR_WIDTH)
        check_integer("groups", self.groups, 1, 1024)
        check_integer("pipeline_stages", self.pipeline_stages, 0, 2)

    # What a design states.

    @property
    @abstractmethod
    def parameter_fields(self) -> tuple[ParameterField, ...]:
        """The numbers of one parameter set, the lowest bits of the load word first."""

    @property
    @abstractmethod
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst, in the order of the generated module."""

    @abstractmethod
    def build(self) -> Datapath:
        """The logic between the input registers and the output register, as a graph of gates."""

    @abstractmethod
    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component (see rtl.requant.component). numbered: gates have numbers in place of names."""

    # What follows for all.

    def steps(self, parameters: Sequence[int]) -> tuple[int, ...]:
        """Accumulators that get another code than the one below, ascending; none where the result is no code.

        parameters: one set that :meth:`check_parameters` takes.
        """
        return ()

    @property
    def name(self) -> str:
        """Module name: the design and its parameters, the pipeline registers only where there are any."""
        parts = [self.design]
        for item in sorted(fields(self), key=lambda item: item.name == "pipeline_stages"):
            value = getattr(self, item.name)
            if item.name != "pipeline_stages" or value:
                parts.append(f"{item.metadata['short']}{int(value)}")
        return short("_".join(parts))

    @property
    def parameters(self) -> dict[str, int | bool]:
        """Every parameter by name; ``type(spec)(**spec.parameters) == spec``."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def latency(self) -> int:
        """Cycles from in_valid to the out_valid of the same accumulator."""
        return 2 + self.pipeline_stages

    @property
    def group_width(self) -> int:
        """Bits of the ports ``group`` and ``load_group``: at least 1."""
        return max(1, (self.groups - 1).bit_length())

    @property
    def accumulator_range(self) -> tuple[int, int]:
        """Smallest and largest accumulator."""
        return signed_range(self.accumulator_width, True)

    @cached_property
    def parameter_width(self) -> int:
        """Bits of one parameter set, and of ``load_parameters``."""
        return sum(item.width for item in self.parameter_fields)

    @property
    def _load_ports(self) -> tuple[Port, ...]:
        names = ", ".join(item.name for item in self.parameter_fields[:2])
        more = ", ..." if len(self.parameter_fields) > 2 else ""
        return (
            Port("load_valid", 1, True, "1: load_parameters is written to the set load_group"),
            Port("load_group", self.group_width, True, f"the parameter set, 0 to {self.groups - 1}"),
            Port("load_parameters", self.parameter_width, True, f"{names}{more}, the first in the lowest bits"),
        )

    @property
    def _input_ports(self) -> tuple[Port, ...]:
        return (
            Port("accumulator", self.accumulator_width, True, "two's complement"),
            Port("group", self.group_width, True, f"its parameter set, 0 to {self.groups - 1}"),
        )

    def check_accumulators(self, accumulators: npt.ArrayLike) -> IntArray:
        """Returns them as int64. Raises TypeError for non-integers, ValueError where one is out of range."""
        return _integers("accumulators", accumulators, *self.accumulator_range)

    def check_parameters(self, parameters: npt.ArrayLike) -> IntArray:
        """Returns parameter sets as int64 [..., fields], in the order of :attr:`parameter_fields`.

        Raises TypeError for non-integers; ValueError for another number of fields, or one out of its range.
        """
        array = np.asarray(parameters)
        count = len(self.parameter_fields)
        if array.ndim == 0 or array.shape[-1] != count:
            raise InputError(f"parameters of {self.name} must have shape (..., {count}), not {array.shape}")
        columns = [
            _integers(item.name, array[..., index], item.low, item.high)
            for index, item in enumerate(self.parameter_fields)
        ]
        return np.stack(columns, axis=-1)

    def pack_parameters(self, parameters: npt.ArrayLike) -> int:
        """The load word of one parameter set, integers [fields]. Raises as :meth:`check_parameters`."""
        numbers = self.check_parameters(parameters)
        if numbers.ndim != 1:
            raise InputError(f"parameters to be packed must have shape ({numbers.shape[-1]},), not {numbers.shape}")
        digits = [
            format((number - item.base) & ((1 << item.width) - 1), f"0{item.width}b")
            for item, number in zip(self.parameter_fields, numbers.tolist(), strict=True)
        ]
        return int("".join(reversed(digits)), 2)


@dataclass(frozen=True, kw_only=True)
class RequantSpec(LoadableSpec):
    """A unit that turns one accumulator a cycle into a code; every design has the same ports.

    Codes are two's complement (``signed``) or from 0; one signed bit stands for {-1, +1} (bit 1 is +1), one unsigned
    bit for {0, 1}. The golden model is :meth:`compute`.

    Parameters
    ----------
    bits
        Width of a code, 1 to 8.
    signed
        Whether codes are signed.
    """

    bits: int = parameter(4, "b", "bits of a code, 1 to 8")
    signed: bool = parameter(True, "s", "signed codes, else from 0")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.signed, bool):
            raise InputTypeError(f"signed must be a bool, not {self.signed!r}")

    @abstractmethod
    def _ranks(self, accumulators: IntArray, parameters: IntArray) -> IntArray:
        """How many steps each code lies above the lowest one: 0 to ``2**bits - 1``; operands are checked."""

    @abstractmethod
    def logic(self, circuit: Circuit, accumulator: Word, parameters: Sequence[Word]) -> Word:
        """Adds the gates from accumulator and parameters (one word a field) to the rank, ``bits`` wide."""

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst, in the order of the generated module."""
        kind = "plain binary" if not self.signed else "two's complement" if self.bits > 1 else "0 is -1, 1 is +1"
        return (
            Port("in_valid", 1, True, "1: accumulator and group are valid"),
            *self._input_ports,
            *self._load_ports,
            Port("out_valid", 1, False, f"in_valid, {self.latency} cycles later"),
            Port("code", self.bits, False, kind),
        )

    @property
    def code_values(self) -> CodeValues:
        """What the codes stand for; one signed bit is -1 or +1."""
        return network_codes(self.bits, self.signed)

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code."""
        return self.code_values.range

    def compute(self, accumulators: npt.ArrayLike, parameters: npt.ArrayLike) -> IntArray:
        """The golden model: codes int64 of the broadcast shape.

        accumulators: integers [...]; parameters: integers [..., fields], the set of each accumulator (or one for
        all), in the order of :attr:`parameter_fields`. Raises TypeError and ValueError as
        :meth:`check_accumulators` and :meth:`check_parameters`.
        """
        ranks = self._ranks(self.check_accumulators(accumulators), self.check_parameters(parameters))
        return np.asarray(np.array(self.code_values.values, np.int64)[ranks])

    def unpack(self, word: int) -> int:
        """The code that a ``code`` port word stands for."""
        return int(self.code_values.values_of(np.array(word)))

    def build(self) -> Datapath:
        """The logic between the input registers and the code register, as a graph of gates."""
        return build_requant(self)

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component (see rtl.requant.component). numbered: gates have numbers in place of names."""
        from .component import RequantComponent

        return RequantComponent(self, numbered=numbered)


def _integers(name: str, values: npt.ArrayLike, low: int, high: int) -> IntArray:
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"{name} must be an array of integers, not of {array.dtype}")
    bad = (array < low) | (array > high)
    if bad.any():
        raise InputError(f"{name} must be from {low} to {high}, not {int(array[bad][0])}")
    return array.astype(np.int64)
