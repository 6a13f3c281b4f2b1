"""Radix-4 recoding of a multiplier operand: half as many partial products, each of them -2, -1, 0, 1 or 2 times the
other operand (Booth, Quart. J. Mech. Appl. Math., 1951; MacSorley, Proc. IRE, 1961).
"""

from __future__ import annotations

from typing import NamedTuple

from .circuit import ZERO, Bit, Circuit, Word

__all__ = ["Digit", "recode"]


class Digit(NamedTuple):
    """One digit, by bits of which at most one is 1. All are 0 for a digit of 0."""

    plus_one: Bit
    plus_two: Bit
    minus_one: Bit
    minus_two: Bit

    def name(self, circuit: Circuit, name: str) -> None:
        """Names the bits of the digit."""
        for bit, value in zip(self, ("plus_one", "plus_two", "minus_one", "minus_two"), strict=True):
            circuit.name((bit,), f"{name}_{value}")

    def times(self, circuit: Circuit, word: Word) -> tuple[Word, Bit]:
        """The digit times a two's complement ``word``, less one where the digit is negative; and whether it is.

        The first is one bit wider than ``word``.
        """
        twice, once = (ZERO, *word), (*word, word[-1])
        bits = []
        for one, two in zip(once, twice, strict=True):
            terms = (
                circuit.and_(self.plus_one, one),
                circuit.and_(self.plus_two, two),
                circuit.and_(self.minus_one, circuit.not_(one)),
                circuit.and_(self.minus_two, circuit.not_(two)),
            )
            bits.append(circuit.or_(circuit.or_(terms[0], terms[1]), circuit.or_(terms[2], terms[3])))
        return tuple(bits), circuit.or_(self.minus_one, self.minus_two)


def recode(circuit: Circuit, word: Word) -> tuple[Digit, ...]:
    """The digits of a two's complement word, the least significant first.

    All but the last are -1, 0, 1 or 2: three terms a partial product are smaller than the four, or the inversion, that
    -2 would call for. The price is a carry from digit to digit, of two gates each.
    """
    if len(word) % 2:
        word = (*word, word[-1])
    digits, carry = [], ZERO
    for low, high in zip(word[:-2:2], word[1:-2:2], strict=True):
        odd = circuit.xor(low, carry)
        either, both = circuit.or_(low, carry), circuit.and_(low, carry)
        two = circuit.mux(high, circuit.not_(either), both)
        digits.append(Digit(circuit.and_(circuit.not_(high), odd), two, circuit.and_(high, odd), ZERO))
        carry = circuit.and_(high, either)
    low, high = word[-2:]
    odd = circuit.xor(low, carry)
    either, both = circuit.or_(low, carry), circuit.and_(low, carry)
    digits.append(
        Digit(
            circuit.and_(circuit.not_(high), odd),
            circuit.and_(circuit.not_(high), both),
            circuit.and_(high, odd),
            circuit.and_(high, circuit.not_(either)),
        )
    )
    return tuple(digits)
