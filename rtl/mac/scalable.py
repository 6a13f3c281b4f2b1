"""What the designs share whose 8-bit units divide into narrower ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np

from rtl.logic import Bit, DatapathBuilder, Port
from rtl.spec import MAX_BITS, MacSpec, Precision, check_integer, check_one_of, parameter

__all__ = ["ScalableSpec", "mode_word", "split"]


def mode_word(bits: int) -> int:
    """The code of a bit-width on a mode port: 0 for 8 bits, 1 for 4, 3 for 2 (one more 1 a halving)."""
    return (1 << (MAX_BITS // bits).bit_length() - 1) - 1


def split(code: int, width: int, count: int) -> list[int]:
    """The two's complement bits of ``code`` in ``count`` blocks of ``width`` bits, the least significant first."""
    return [(code >> (block * width)) & ((1 << width) - 1) for block in range(count)]


@dataclass(frozen=True, kw_only=True)
class ScalableSpec(MacSpec):
    """``units`` 8 x 8-bit multipliers that divide down to ``minimum_bits``, summed into one accumulator.

    The precision is chosen by mode ports, each cycle anew: 0 for 8 bits, 1 for 4, 3 for 2. Code 2 is none: it
    spoils the sum that it is part of, and nothing else.
    """

    asymmetric: ClassVar[bool]
    """Whether weights and activations may differ in width: then each has a mode port of its own."""

    units: int = parameter(4, "u", "8-bit units summed into one accumulator")
    minimum_bits: int = parameter(2, "m", "narrowest operand: 4 (units divide 8/4) or 2 (8/4/2)")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("units", self.units, 1, 256)
        check_one_of("minimum_bits", self.minimum_bits, (2, 4))

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return ({"minimum_bits": 4}, {"minimum_bits": 2})

    @property
    def label(self) -> str:
        return f"{self.design} {'/'.join(map(str, self.widths))}"

    @property
    def widths(self) -> tuple[int, ...]:
        """Operand widths in bits, the widest first."""
        return tuple(bits for bits in (8, 4, 2) if bits >= self.minimum_bits)

    @property
    def blocks(self) -> int:
        """Blocks of ``minimum_bits`` in an 8-bit operand."""
        return MAX_BITS // self.minimum_bits

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(
            Precision(w, a, signed)
            for w, a, signed in product(self.widths, self.widths, (True, False))
            if self.asymmetric or w == a
        )

    @property
    def mode_ports(self) -> tuple[Port, ...]:
        """The ports that choose the precision, and activation_signed."""
        width = len(self.widths) - 1
        codes = ", ".join(f"{mode_word(bits)}: {bits} bits" for bits in self.widths)
        codes += "; no other code" if width > 1 else ""
        codes += "; must not change inside a sum" if self.one_width_a_sum else ""
        names = ("weight_mode", "activation_mode") if self.asymmetric else ("mode",)
        return (
            *(Port(name, width, True, codes) for name in names),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
        )

    def mode_words(self, precision: Precision) -> dict[str, int]:
        """Words of the mode ports at ``precision``."""
        words = {"activation_signed": int(precision.activation_signed)}
        if self.asymmetric:
            words["weight_mode"] = mode_word(precision.weight_bits)
            words["activation_mode"] = mode_word(precision.activation_bits)
        else:
            words["mode"] = mode_word(precision.weight_bits)
        return words

    def declare_modes(self, builder: DatapathBuilder) -> None:
        """Makes the mode ports the controls of the datapath, one state a precision."""
        states = []
        for precision in self.precisions:
            words = self.mode_words(precision)
            states.append([(words[port.name] >> bit) & 1 for port in self.mode_ports for bit in range(port.width)])
        builder.set_controls([port.name for port in self.mode_ports], states)

    def control(self, builder: DatapathBuilder, wanted: Callable[[Precision], bool]) -> Bit:
        """A control that is 1 at every precision for which ``wanted`` is true."""
        return builder.controls.function(np.array([wanted(precision) for precision in self.precisions]))

    def at_most(self, builder: DatapathBuilder, bits: int) -> Bit:
        """A control that is 1 where weights have at most ``bits`` bits."""
        return self.control(builder, lambda precision: precision.weight_bits <= bits)

    def weight_top(self, builder: DatapathBuilder, block: int) -> Bit:
        """A control that is 1 where that block of an 8-bit field is the top of a weight."""
        return self.control(builder, lambda p: (block + 1) * self.minimum_bits % p.weight_bits == 0)

    def activation_top(self, builder: DatapathBuilder, block: int) -> Bit:
        """A control that is 1 where that block of an 8-bit field is the top of a signed activation."""
        return self.control(
            builder, lambda p: p.activation_signed and (block + 1) * self.minimum_bits % p.activation_bits == 0
        )
