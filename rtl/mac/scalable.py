"""What the designs share whose units divide into narrower ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from rtl.logic import Bit, DatapathBuilder, Port, Word
from rtl.spec import MacSpec, Precision, check_integer, check_widths, parameter, widths_text

__all__ = ["ScalableSpec", "split"]


def split(code: int, width: int, count: int) -> list[int]:
    """The two's complement bits of ``code`` in ``count`` blocks of ``width`` bits, the least significant first."""
    return [(code >> (block * width)) & ((1 << width) - 1) for block in range(count)]


@dataclass(frozen=True, kw_only=True)
class ScalableSpec(MacSpec):
    """``units`` multipliers, as wide as the first of ``widths``, that divide down to the last, summed into one
    accumulator.

    The precision is chosen by mode ports, each cycle anew: 0 for the first of the widths, 1 for the second, 3 for the
    third, 7 for the fourth. Any other code is none: it spoils the sum that it is part of, and nothing else.
    """

    width_choices: ClassVar[tuple[int, ...]] = (8, 4, 2, 1)
    """What ``widths`` may hold, falling."""
    mode_names: ClassVar[tuple[str, ...]] = ("mode",)
    """The mode ports: ``mode`` and ``weight_mode`` choose the width of weights, ``activation_mode`` of activations."""

    units: int = parameter(4, "u", "units summed into one accumulator")
    widths: tuple[int, ...] = parameter((8, 4, 2), "w", "operand widths, falling: a unit is as wide as the first")

    def __post_init__(self) -> None:
        check_integer("units", self.units, 1, 256)
        object.__setattr__(self, "widths", check_widths("widths", self.widths, self.width_choices, 2))
        super().__post_init__()

    @classmethod
    def variants(cls) -> tuple[dict[str, Any], ...]:
        return tuple({"widths": widths} for widths in ((8, 4), (8, 4, 2), (4, 2), (8, 2), (4, 2, 1)))

    @classmethod
    def kinds_for(cls, widths: Sequence[int]) -> tuple[dict[str, Any], ...]:
        return tuple({"widths": each} for each in cls.width_sets(widths))

    @classmethod
    def width_sets(cls, widths: Sequence[int]) -> list[tuple[int, ...]]:
        """Every set of widths that runs operands of all these, and has none that no operand needs, but for a second
        one where they all need the same.

        >>> from rtl.mac import SubwordSpec
        >>> SubwordSpec.width_sets([2, 3, 7]), SubwordSpec.width_sets([4])
        ([(8, 4), (8, 2), (8, 4, 2)], [(4, 2)])
        """
        choices = cls.width_choices
        widest, *others = sorted({min(each for each in choices if each >= bits) for bits in widths}, reverse=True)
        if not others and widest == choices[-1]:
            return [choices[-2:]]
        others = others or [choices[choices.index(widest) + 1]]
        return [(widest, *narrower) for count in range(1, len(others) + 1) for narrower in combinations(others, count)]

    @property
    def label(self) -> str:
        return f"{self.design} {widths_text(self.widths)}"

    @property
    def widest(self) -> int:
        """Bits of a unit's operands where it makes one product."""
        return self.widths[0]

    @property
    def narrowest(self) -> int:
        """Bits of the operands of a unit's narrowest products."""
        return self.widths[-1]

    @property
    def blocks(self) -> int:
        """Blocks of the narrowest width in an operand of the widest."""
        return self.widest // self.narrowest

    def mode_word(self, bits: int) -> int:
        """The code of a width on a mode port: one more 1 for each wider one."""
        return (1 << self.widths.index(bits)) - 1

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return tuple(Precision(bits, bits, signed) for bits in self.widths for signed in (True, False))

    @property
    def mode_ports(self) -> tuple[Port, ...]:
        """The ports that choose the precision, and activation_signed."""
        width = len(self.widths) - 1
        codes = ", ".join(f"{self.mode_word(bits)}: {bits} bit{'s' * (bits > 1)}" for bits in self.widths)
        codes += "; no other code" if width > 1 else ""
        codes += "; must not change inside a sum" if self.one_width_a_sum else ""
        return (
            *(Port(name, width, True, codes) for name in self.mode_names),
            Port("activation_signed", 1, True, "1: activations are two's complement; 0: unsigned"),
        )

    def mode_words(self, precision: Precision) -> dict[str, int]:
        """Words of the mode ports at ``precision``."""
        words = {"activation_signed": int(precision.activation_signed)}
        for name in self.mode_names:
            activations = name == "activation_mode"
            words[name] = self.mode_word(precision.activation_bits if activations else precision.weight_bits)
        return words

    def declare_modes(self, builder: DatapathBuilder) -> None:
        """Makes the mode ports the controls of the datapath, one state a precision."""
        states = []
        for precision in self.precisions:
            words = self.mode_words(precision)
            states.append([(words[port.name] >> bit) & 1 for port in self.mode_ports for bit in range(port.width)])
        builder.set_controls([port.name for port in self.mode_ports], states)

    def control(self, builder: DatapathBuilder, wanted: Callable[[Precision], bool], name: str) -> Bit:
        """A control that is 1 at every precision for which ``wanted`` is true. name: for people who read it."""
        bit = builder.controls.function(np.array([wanted(precision) for precision in self.precisions]))
        builder.circuit.name((bit,), name)
        return bit

    def at_most(self, builder: DatapathBuilder, bits: int) -> Bit:
        """A control that is 1 where weights have at most ``bits`` bits."""
        return self.control(builder, lambda precision: precision.weight_bits <= bits, f"weight_at_most_{bits}")

    def weight_top(self, builder: DatapathBuilder, block: int) -> Bit:
        """A control that is 1 where that block of a field as wide as a unit is the top of a weight."""
        return self.control(
            builder, lambda p: (block + 1) * self.narrowest % p.weight_bits == 0, f"weight_ends_in_block{block}"
        )

    def activation_top(self, builder: DatapathBuilder, block: int) -> Bit:
        """A control that is 1 where that block of a field as wide as a unit is the top of a signed activation."""
        return self.control(
            builder,
            lambda p: p.activation_signed and (block + 1) * self.narrowest % p.activation_bits == 0,
            f"activation_sign_in_block{block}",
        )

    def spread(
        self, builder: DatapathBuilder, fields: Sequence[Word], across: int, at_most: Callable[[int], Bit], name: str
    ) -> Word:
        """The operand of block ``across``: the field where the product begins whose other operand has that block.

        fields: one for each block of the other operand. at_most: a control that is 1 where that has at most so many
        bits. name: what the operand is called by.
        """
        word = fields[0]
        for place in range(1, across + 1):
            width = self._first_width(across, place)
            if width:
                chosen = at_most(width)
                word = tuple(
                    builder.circuit.mux(chosen, one, zero) for one, zero in zip(fields[place], word, strict=True)
                )
                builder.circuit.name(word, f"{name}_at{width}")
        return word

    def _first_width(self, across: int, place: int) -> int:
        """The widest width whose product that has block ``across`` begins at ``place``; 0 where none does."""
        for bits in self.widths:
            if across - across % (bits // self.narrowest) == place:
                return bits
        return 0
