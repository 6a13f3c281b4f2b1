"""What a multiply-accumulate (MAC) design is, before any hardware exists.

A :class:`MacSpec` is validated data with the golden model beside it: the same object computes the expected
sums (:meth:`MacSpec.compute`), lays operands out on the ports (:meth:`MacSpec.pack`), describes the logic
(:meth:`MacSpec.datapath`) and makes the hardware (:meth:`MacSpec.create`). No hardware library is imported here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rtl.logic import Datapath, DatapathBuilder, Port, Word, build_datapath
from rtl.names import short
from siliquant.inputs import InputError, InputTypeError

from .numbers import MAX_BITS, IntArray, check_flag, check_integer, sum_width, to_signed
from .values import CodeValues, all_codes

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component


__all__ = ["MacSpec", "Precision", "UnusedProducts", "parameter"]


@dataclass(frozen=True, order=True)
class Precision:
    """Bit-widths of one product: signed weights, activations signed or unsigned.

    What the codes of these widths stand for, a design states (:meth:`MacSpec.weight_values` and
    :meth:`MacSpec.activation_values`).

    >>> str(Precision(2, 4, activation_signed=False))
    'w2a4u'
    """

    weight_bits: int
    activation_bits: int
    activation_signed: bool = True

    def __post_init__(self) -> None:
        check_integer("weight_bits", self.weight_bits, 1, MAX_BITS)
        check_integer("activation_bits", self.activation_bits, 1, MAX_BITS)
        check_flag("activation_signed", self.activation_signed)

    def __str__(self) -> str:
        return f"w{self.weight_bits}a{self.activation_bits}{'s' if self.activation_signed else 'u'}"


def parameter(default: Any, short: str, help_text: str, *, form: bool = False) -> Any:
    """A dataclass field of a spec: its letter in module names and its meaning.

    form: it chooses one of several circuits for the same ports and sums (see :attr:`MacSpec.forms`), and is stated only
    where it is not the default.
    """
    return field(default=default, metadata={"short": short, "help": help_text, "form": form})


@dataclass(frozen=True)
class UnusedProducts:
    """Codes in the places of a step that no product of the sum takes.

    weight: in all of them; activations: in the first half of them (rounded down), and in the others. balance: a control
    port that must be 1 where they are odd in number, None where there is none.
    """

    weight: int = 0
    activations: tuple[int, int] = (0, 0)
    balance: str | None = None


@dataclass(frozen=True, kw_only=True)
class MacSpec(ABC):
    """One MAC unit: operands in, one accumulator out.

    Every design registers its operands, adds the products of one cycle to one accumulator, and has the same
    control ports. ``in_valid`` marks a cycle with operands (low: everything holds); ``clear`` beside it starts a
    new sum. ``out_valid`` follows ``in_valid`` by :attr:`latency` cycles, with ``accumulator`` the sum of
    everything since the last clear. ``rst`` (synchronous) empties the pipeline; the first operands after it
    carry ``clear``. Throughput: one step every :meth:`cycles_per_step` cycles.

    Parameters
    ----------
    reduction_length
        Longest sum, in products, that cannot overflow the accumulator whatever the operands.
    pipeline_stages
        Registers inside the datapath, 0 to 2, between the operand registers and the accumulator.
    half_adders
        Whether bit heaps use half adders, too: faster where few lanes are summed, somewhat larger.
    """

    design: ClassVar[str]
    """Short name, the same everywhere."""
    summary: ClassVar[str]
    """One line that says what it does."""
    size_parameter: ClassVar[str] = "units"
    """The parameter that counts the multipliers summed into the accumulator."""
    mixes_precisions: ClassVar[bool] = True
    """Whether one instance runs several bit-widths: then it is compared with uniform ones."""

    reduction_length: int = parameter(4096, "k", "products a sum may have without overflow")
    pipeline_stages: int = parameter(0, "p", "registers inside the datapath, 0 to 2")
    half_adders: bool = parameter(False, "h", "half adders in columns of odd height: faster, larger", form=True)

    def __post_init__(self) -> None:
        check_integer("reduction_length", self.reduction_length, 1, 1 << 24)
        check_integer("pipeline_stages", self.pipeline_stages, 0, 2)
        check_flag("half_adders", self.half_adders)

    # What a design states.

    @property
    @abstractmethod
    def precisions(self) -> tuple[Precision, ...]:
        """Every precision that the hardware runs, both activation signs listed."""

    @property
    @abstractmethod
    def operand_ports(self) -> tuple[Port, ...]:
        """Operand and mode input ports (without in_valid and clear)."""

    @abstractmethod
    def products_per_step(self, precision: Precision) -> int:
        """Operand pairs that enter together."""

    def weight_values(self, precision: Precision) -> CodeValues:
        """What the weight codes at ``precision`` stand for: every two's complement code of that width."""
        return all_codes(precision.weight_bits, True)

    def activation_values(self, precision: Precision) -> CodeValues:
        """What the activation codes at ``precision`` stand for: every code of that width."""
        return all_codes(precision.activation_bits, precision.activation_signed)

    def cycles_per_step(self, precision: Precision) -> int:
        """Cycles that one step takes: 1 unless operands enter serially."""
        self.check_precision(precision)
        return 1

    @abstractmethod
    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        """Port words, one dict a cycle, of one step; the last step of a sum may be short.

        weights, activations: the words of the codes (:class:`CodeValues`), from 0 to 2**bits - 1.
        """

    @abstractmethod
    def datapath(self, builder: DatapathBuilder) -> None:
        """Adds the products of one cycle to ``builder.heap``."""

    def present(self, builder: DatapathBuilder, result: Word) -> Word:
        """The accumulator port as a function of the accumulator; the same unless a design scales its sums."""
        return result

    def sum_shift(self, precision: Precision) -> int:
        """How many bits further left the accumulator holds products of ``precision`` than the port shows them.

        Not 0 only in a design with :meth:`present`. The port shows the accumulator, shifted right by the sum_shift of
        the operands that entered last: so where it is not the same at all precisions a sum must stay at one width.
        """
        return 0

    def unused_products(self, precision: Precision) -> UnusedProducts:
        """What the places of a step that is not full hold: products of 0."""
        return UnusedProducts()

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        """Parameters of each kind of this design, as tests and calibrations take them."""
        return ({},)

    @classmethod
    def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
        """Parameters of each kind of this design that runs operands of all these widths, in bits, each perhaps in a
        wider place, and has no width that none of them needs, where there is such a kind.
        """
        return cls.variants()

    @classmethod
    def kinds_for_pairs(cls, pairs: Sequence[tuple[int, int]]) -> tuple[dict[str, Any], ...]:
        """As :meth:`kinds_for`, of pairs of widths, of a weight and of an activation. Where no kind has precisions of
        two widths, both operands take the width of the wider one.
        """
        kinds = cls.kinds_for(sorted({bits for pair in pairs for bits in pair}))
        precisions = [precision for kind in kinds for precision in cls(**kind).precisions]
        if any(each.weight_bits != each.activation_bits for each in precisions):
            return kinds
        return cls.kinds_for(sorted({max(pair) for pair in pairs}))

    @property
    def label(self) -> str:
        """Name of the kind of design, its size left out."""
        return self.design

    @property
    def forms(self) -> tuple[Self, ...]:
        """Specs of the same ports and sums whose circuits differ, this one among them: each may be the smallest at some
        clock, in some library.
        """
        return tuple(replace(self, half_adders=each) for each in (False, True))

    # What follows for all.

    @property
    def form(self) -> tuple[str, ...]:
        """The parameters that choose a form and are not at their defaults."""
        return tuple(
            item.name for item in fields(self) if item.metadata["form"] and getattr(self, item.name) != item.default
        )

    @property
    def one_width_a_sum(self) -> bool:
        """Whether all products of a sum must have the same widths; their signs may differ in every design."""
        return len({self.sum_shift(precision) for precision in self.precisions}) > 1

    @property
    def name(self) -> str:
        """Module name: the design, its parameters, and where not at their defaults those of every design and forms."""
        parts = [self.design]
        quiet = {item.name for item in fields(self) if item.metadata["form"]} | {item.name for item in fields(MacSpec)}
        for item in sorted(fields(self), key=lambda item: item.name in quiet):
            value = getattr(self, item.name)
            if value != item.default or item.name not in quiet:
                parts.append(f"{item.metadata['short']}{_digits(value)}")
        return short("_".join(parts))

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types: ints, bools, and lists of ints; ``type(spec)(**spec.parameters) ==
        spec``. Those that choose a form are left out at their defaults.
        """
        values = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if not item.metadata["form"] or item.name in self.form
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @cached_property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst, in the order of the generated module."""
        return (
            Port("in_valid", 1, True, "1: the operand ports hold one cycle of operands; 0: hold"),
            Port("clear", 1, True, "1 beside in_valid: these operands start a new sum"),
            *self.operand_ports,
            Port("out_valid", 1, False, f"in_valid, {self.latency} cycles later"),
            Port("accumulator", self.accumulator_width, False, "two's complement sum since the last clear"),
        )

    @property
    def latency(self) -> int:
        """Cycles from in_valid to the out_valid of the same operands."""
        return 2 + self.pipeline_stages

    @cached_property
    def accumulator_width(self) -> int:
        """Bits of the accumulator: no sum of ``reduction_length`` products overflows at any precision."""
        low, high = self.accumulator_range
        return sum_width(low, high)

    @property
    def accumulator_range(self) -> tuple[int, int]:
        """Smallest and largest sum of at most ``reduction_length`` products, or of those of one step where they are
        more: a step fills all lanes.
        """
        ends = [0]
        for precision in self.precisions:
            products = max(self.reduction_length, self.products_per_step(precision))
            ends += [products * end for end in self.product_range(precision)]
        return min(ends), max(ends)

    def product_range(self, precision: Precision) -> tuple[int, int]:
        """Smallest and largest product at ``precision``."""
        weights, activations = self.weight_values(precision), self.activation_values(precision)
        corners = [w * a for w in weights.range for a in activations.range]
        return min(corners), max(corners)

    def macs_per_cycle(self, precision: Precision) -> Fraction:
        """Products a cycle, operands always ready."""
        return Fraction(self.products_per_step(precision), self.cycles_per_step(precision))

    @cached_property
    def _supported(self) -> frozenset[Precision]:
        return frozenset(self.precisions)

    def check_precision(self, precision: Precision) -> None:
        """Raises ValueError where the design does not run ``precision``."""
        if precision not in self._supported:
            names = ", ".join(str(known) for known in self.precisions)
            raise InputError(f"precision must be one of {names} for {self.name}, not {precision}")

    def check_operands(
        self, weights: npt.ArrayLike, activations: npt.ArrayLike, precision: Precision
    ) -> tuple[IntArray, IntArray]:
        """Returns both operands as int64 arrays of equal shape (..., K).

        Raises TypeError for non-integers; ValueError for shapes that differ, K above ``reduction_length``, or a
        code that is none of the design's.
        """
        self.check_precision(precision)
        arrays = []
        for label, operand, values in (
            ("weights", weights, self.weight_values(precision)),
            ("activations", activations, self.activation_values(precision)),
        ):
            array = np.asarray(operand)
            if array.size == 0:
                array = array.astype(np.int64)
            if array.dtype.kind not in "iu":
                raise InputTypeError(f"{label} must be an array of integers, not of {array.dtype}")
            if array.ndim == 0:
                raise InputError(f"{label} must have a reduction axis, not shape ()")
            lacking = values.lacking(array)
            if lacking.size:
                raise InputError(f"{label} must be {values} at {precision}, not {lacking[0]}")
            arrays.append(array.astype(np.int64))
        w, a = arrays
        if w.shape != a.shape:
            raise InputError(f"weights and activations must have equal shapes, not {w.shape} and {a.shape}")
        if w.shape[-1] > self.reduction_length:
            most = f"{self.reduction_length} products (reduction_length)"
            raise InputError(f"the reduction must have at most {most}, not {w.shape[-1]}")
        return w, a

    def compute(self, weights: npt.ArrayLike, activations: npt.ArrayLike, precision: Precision) -> IntArray:
        """The golden model: dot products over the last axis.

        weights, activations: integer codes of shape (..., K), K from 0 to ``reduction_length``.
        Returns int64 of shape (...). Raises TypeError and ValueError as :meth:`check_operands`.
        """
        w, a = self.check_operands(weights, activations, precision)
        return np.asarray((w * a).sum(axis=-1), dtype=np.int64)

    def compute_steps(self, steps: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, Precision]]) -> int:
        """The golden model of one sum whose parts have precisions of their own: (weights, activations, precision).

        Every part begins with a step of its own. Raises TypeError and ValueError as :meth:`check_operands`; ValueError,
        too, for more than ``reduction_length`` products, or other widths in a design whose sums must keep theirs.
        """
        total = products = 0
        for weights, activations, precision in steps:
            total += int(self.compute(weights, activations, precision))
            products += np.asarray(weights).shape[-1]
        if products > self.reduction_length:
            most = f"{self.reduction_length} products (reduction_length)"
            raise InputError(f"the reduction must have at most {most}, not {products}")
        if len({self.sum_shift(precision) for _, _, precision in steps}) > 1:
            widths = ", ".join(dict.fromkeys(str(precision) for _, _, precision in steps))
            raise InputError(f"a sum of {self.name} must keep its widths, not change them: {widths}")
        return total

    def pack(self, weights: npt.ArrayLike, activations: npt.ArrayLike, precision: Precision) -> dict[str, list[int]]:
        """Port words of one sum, cycle by cycle, for every operand port and ``clear``.

        weights, activations: integer codes of shape (K,). A last step that is not full is padded with products
        of zero. Returns one list of equal length a port; drive them with in_valid high.
        """
        w, a = self.check_operands(weights, activations, precision)
        if w.ndim != 1:
            raise InputError(f"weights must have shape (K,) to be packed, not {w.shape}")
        step = self.products_per_step(precision)
        cycles: list[dict[str, int]] = []
        w_list = self.weight_values(precision).words_of(w).tolist()
        a_list = self.activation_values(precision).words_of(a).tolist()
        for start in range(0, max(len(w_list), 1), step):
            cycles += self._pack_step(w_list[start : start + step], a_list[start : start + step], precision)
        words = {port.name: [cycle[port.name] for cycle in cycles] for port in self.operand_ports}
        words["clear"] = [1] + [0] * (len(cycles) - 1)
        return words

    def ignored_bits(self, precision: Precision) -> Mapping[str, int]:
        """Bits of operand ports that do not matter at ``precision``, whatever they are: a mask by port."""
        return {}

    def unpack(self, word: int) -> int:
        """The sum that an ``accumulator`` port word stands for."""
        return to_signed(word, self.accumulator_width)

    def build(self) -> Datapath:
        """The logic between operand registers and accumulator, as a graph of gates (see rtl.logic.datapath)."""
        return build_datapath(self)

    def create(self, *, numbered: bool = False) -> Component:
        """The Amaranth component (see rtl.components.mac). numbered: gates have numbers in place of names."""
        from rtl.components import MacComponent

        return MacComponent(self, numbered=numbered)

    @classmethod
    def parameter_help(cls) -> Mapping[str, tuple[Any, str]]:
        """Default and meaning of every parameter, by name."""
        return {item.name: (item.default, item.metadata.get("help", "")) for item in fields(cls)}


def _digits(value: int | tuple[int, ...]) -> str:
    """A parameter in a module name."""
    return "".join(map(str, value)) if isinstance(value, tuple) else str(int(value))
