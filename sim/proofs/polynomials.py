"""Integer polynomials over bits, and how gates rewrite them.

A bit is its own square, so a polynomial is a sum of products of different bits: ``{frozenset of bits: coefficient}``.
Two functions of bits are equal for every input exactly if their polynomials are (the form is unique), also modulo a
power of two. So an identity that is checked here holds for all inputs, without trying any.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from rtl.logic import ONE, ZERO, Bit, Gate, Op
from sim.simulators import ProofError

__all__ = [
    "EMPTY",
    "Monomial",
    "Polynomial",
    "ProofError",
    "Rewriting",
    "bounds",
    "gate_polynomial",
    "polynomial_of",
    "product_of",
    "weighted",
]

Monomial: TypeAlias = frozenset[int]
Polynomial: TypeAlias = dict[Monomial, int]
"""Coefficients by product of bits, none of them 0."""

EMPTY: Monomial = frozenset()
"""The monomial of the constant."""


_MOST_TERMS = 1 << 18
"""Of a polynomial: 8 x 8-bit products of 1,024 lanes have a quarter of it. A fault may make of one far more."""


def polynomial_of(bit: Bit) -> Polynomial:
    """The polynomial of a bit or a constant.

    >>> polynomial_of(Bit(0)), polynomial_of(Bit(1)), polynomial_of(Bit(7))
    ({}, {frozenset(): 1}, {frozenset({7}): 1})
    """
    return {} if bit == ZERO else {EMPTY: 1} if bit == ONE else {frozenset((bit,)): 1}


def weighted(terms: Iterable[tuple[Polynomial, int]]) -> Polynomial:
    """The sum of polynomials, each times an integer."""
    found: Polynomial = defaultdict(int)
    for polynomial, factor in terms:
        for monomial, coefficient in polynomial.items():
            found[monomial] += factor * coefficient
    return {monomial: coefficient for monomial, coefficient in found.items() if coefficient}


def product_of(one: Polynomial, other: Polynomial) -> Polynomial:
    """The product of two polynomials."""
    found: Polynomial = defaultdict(int)
    for a, x in one.items():
        for b, y in other.items():
            found[a | b] += x * y
    return {monomial: coefficient for monomial, coefficient in found.items() if coefficient}


def gate_polynomial(gate: Gate, of: Callable[[Bit], Polynomial]) -> Polynomial:
    """What a gate with one output computes, given the polynomials of its inputs. ProofError for an adder."""
    x = [of(bit) for bit in gate.inputs]
    match gate.op:
        case Op.NOT:
            return weighted((({EMPTY: 1}, 1), (x[0], -1)))
        case Op.AND:
            return product_of(x[0], x[1])
        case Op.OR:
            return weighted(((x[0], 1), (x[1], 1), (product_of(x[0], x[1]), -1)))
        case Op.XOR:
            return weighted(((x[0], 1), (x[1], 1), (product_of(x[0], x[1]), -2)))
        case Op.MUX:
            return weighted(((product_of(x[0], x[1]), 1), (x[2], 1), (product_of(x[0], x[2]), -1)))
        case _:
            raise ProofError(f"bit {gate.outputs[0]} comes from {gate.op.value} that no sum accounts for")


def bounds(polynomial: Mapping[Monomial, int]) -> tuple[int, int]:
    """A lower and an upper bound of its values: every product of bits lies between 0 and 1.

    >>> bounds({EMPTY: 3, frozenset({5}): 4, frozenset({5, 6}): -2})
    (1, 7)
    """
    constant = polynomial.get(EMPTY, 0)
    others = [coefficient for monomial, coefficient in polynomial.items() if monomial]
    return constant + sum(min(0, value) for value in others), constant + sum(max(0, value) for value in others)


class Rewriting:
    """A polynomial whose bits are replaced one by one, the latest first.

    Parameters
    ----------
    terms
        What it begins with.
    replaceable
        The bits that are to be replaced: bits with lower numbers take their place, so that this ends.
    modulus
        Coefficients are kept modulo this power of two; 0: as they are.
    """

    def __init__(self, terms: Mapping[Monomial, int], replaceable: Callable[[int], bool], *, modulus: int = 0) -> None:
        self.polynomial: Polynomial = {}
        self._modulus = modulus
        self._replaceable = replaceable
        self._with: defaultdict[int, set[Monomial]] = defaultdict(set)
        self._waiting: list[int] = []
        for monomial, coefficient in terms.items():
            self.add(monomial, coefficient)

    def add(self, monomial: Monomial, coefficient: int) -> None:
        """Adds one term."""
        known = self.polynomial.get(monomial, 0)
        value = known + coefficient
        if self._modulus:
            value %= self._modulus
        if value and not known:
            for bit in monomial:
                if self._replaceable(bit):
                    if not self._with[bit]:
                        heapq.heappush(self._waiting, -bit)
                    self._with[bit].add(monomial)
        elif known and not value:
            del self.polynomial[monomial]
            for bit in monomial:
                if self._replaceable(bit):
                    self._with[bit].discard(monomial)
        if value:
            self.polynomial[monomial] = value
            if len(self.polynomial) > _MOST_TERMS:
                raise ProofError(f"a polynomial has more than {_MOST_TERMS:,} terms")

    def latest(self) -> Bit | None:
        """The replaceable bit with the highest number that is left; None where none is."""
        while self._waiting:
            bit = -self._waiting[0]
            if self._with[bit]:
                return Bit(bit)
            heapq.heappop(self._waiting)
        return None

    def coefficient(self, bit: Bit) -> int:
        """Of the bit alone."""
        return self.polynomial.get(frozenset((bit,)), 0)

    def has(self, bit: Bit) -> bool:
        """Whether a replaceable bit is in some term."""
        return bool(self._with[bit])

    def alone(self, bit: Bit) -> bool:
        """Whether a replaceable bit is in one term only, which is the bit itself."""
        return self._with[bit] == {frozenset((bit,))}

    def replace(self, bit: Bit, by: Polynomial) -> None:
        """Puts ``by`` in the place of a replaceable bit."""
        for monomial in list(self._with[bit]):
            coefficient = self.polynomial[monomial]
            self.add(monomial, -coefficient)
            rest = monomial - {bit}
            for other, factor in by.items():
                self.add(rest | other, coefficient * factor)

    def add_word(self, word: Sequence[Bit], factor: int) -> None:
        """Adds an unsigned word times ``factor``."""
        for position, bit in enumerate(word):
            for monomial, coefficient in polynomial_of(bit).items():
                self.add(monomial, coefficient * (factor << position))
