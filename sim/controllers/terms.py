"""Terms of a solver by Python's operators: words of bits, and what is true or false of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bitwuzla import Bitwuzla, Kind, Options, Result, Term, TermManager

from sim.proofs import ProofError

__all__ = ["Fact", "Terms", "Word", "all_of", "any_of"]


@dataclass(frozen=True)
class Fact:
    """What is true or false."""

    terms: TermManager
    term: Term

    def __and__(self, other: Fact) -> Fact:
        return Fact(self.terms, self.terms.mk_term(Kind.AND, [self.term, other.term]))

    def __or__(self, other: Fact) -> Fact:
        return Fact(self.terms, self.terms.mk_term(Kind.OR, [self.term, other.term]))

    def __invert__(self) -> Fact:
        return Fact(self.terms, self.terms.mk_term(Kind.NOT, [self.term]))

    def implies(self, other: Fact) -> Fact:
        """Whether the other holds wherever this does."""
        return ~self | other

    def same(self, other: Fact) -> Fact:
        """Whether both hold or neither."""
        return Fact(self.terms, self.terms.mk_term(Kind.EQUAL, [self.term, other.term]))

    def choose(self, one: Word, other: Word) -> Word:
        """One word where this holds, else the other."""
        width = max(one.width, other.width)
        pair = [one.extended(width).term, other.extended(width).term]
        return Word(self.terms, self.terms.mk_term(Kind.ITE, [self.term, *pair]))


@dataclass(frozen=True)
class Word:
    """An unsigned word. Operators take words of any widths, or integers; results are as wide as the wider, and wrap."""

    terms: TermManager
    term: Term

    @property
    def width(self) -> int:
        """Bits."""
        return int(self.term.sort().bv_size())

    def extended(self, width: int) -> Word:
        """With zeros above, or its lowest bits."""
        if width < self.width:
            return Word(self.terms, self.terms.mk_term(Kind.BV_EXTRACT, [self.term], [width - 1, 0]))
        if width == self.width:
            return self
        return Word(self.terms, self.terms.mk_term(Kind.BV_ZERO_EXTEND, [self.term], [width - self.width]))

    def _both(self, other: Word | int) -> tuple[Term, Term]:
        if isinstance(other, int):
            width = max(self.width, max(other.bit_length(), 1))
            value = self.terms.mk_bv_value(self.terms.mk_bv_sort(width), other)
            return self.extended(width).term, value
        width = max(self.width, other.width)
        return self.extended(width).term, other.extended(width).term

    def _made(self, kind: Kind, other: Word | int) -> Word:
        return Word(self.terms, self.terms.mk_term(kind, list(self._both(other))))

    def _is(self, kind: Kind, other: Word | int) -> Fact:
        return Fact(self.terms, self.terms.mk_term(kind, list(self._both(other))))

    def __add__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_ADD, other)

    def __sub__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_SUB, other)

    def __mul__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_MUL, other)

    def __and__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_AND, other)

    def __or__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_OR, other)

    def __xor__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_XOR, other)

    def __lshift__(self, other: Word | int) -> Word:
        return self._made(Kind.BV_SHL, other)

    def __invert__(self) -> Word:
        return Word(self.terms, self.terms.mk_term(Kind.BV_NOT, [self.term]))

    def __lt__(self, other: Word | int) -> Fact:
        return self._is(Kind.BV_ULT, other)

    def __le__(self, other: Word | int) -> Fact:
        return self._is(Kind.BV_ULE, other)

    def same(self, other: Word | int) -> Fact:
        """Whether both are the same number."""
        return self._is(Kind.EQUAL, other)

    @property
    def holds(self) -> Fact:
        """Whether it is not 0."""
        return self._is(Kind.DISTINCT, 0)


State: TypeAlias = Mapping[str, Word]


class Terms:
    """Words and facts of one solver."""

    def __init__(self) -> None:
        self.terms = TermManager()

    def free(self, name: str, width: int) -> Word:
        """Any word."""
        return Word(self.terms, self.terms.mk_const(self.terms.mk_bv_sort(width), name))

    def number(self, value: int, width: int) -> Word:
        """A constant. Raises ProofError for one that does not fit: a module has narrower words than it should."""
        if value >> width:
            raise ProofError(f"a word of {width} bits is too narrow for {value}")
        return Word(self.terms, self.terms.mk_bv_value(self.terms.mk_bv_sort(width), value))

    def truth(self, value: bool) -> Fact:
        """What always, or never, holds."""
        return Fact(self.terms, self.terms.mk_true() if value else self.terms.mk_false())

    def part(self, word: Word, low: int, width: int) -> Word:
        """Some bits of a word."""
        if (low, width) == (0, word.width):
            return word
        return Word(self.terms, self.terms.mk_term(Kind.BV_EXTRACT, [word.term], [low + width - 1, low]))

    def joined(self, parts: Sequence[Word]) -> Word:
        """Words side by side, the lowest first."""
        if len(parts) == 1:
            return parts[0]
        return Word(self.terms, self.terms.mk_term(Kind.BV_CONCAT, [part.term for part in reversed(parts)]))

    def as_word(self, fact: Fact) -> Word:
        """1 where it holds, else 0."""
        return fact.choose(self.number(1, 1), self.number(0, 1))

    def replaced(self, words: Mapping[str, Word], pairs: Sequence[tuple[Word, Word]]) -> dict[str, Word]:
        """Words with others in the place of some, all at once."""
        found = {old.term: new.term for old, new in pairs}
        return {name: Word(self.terms, self.terms.substitute_term(word.term, found)) for name, word in words.items()}

    def follows(self, assumed: Fact, wanted: Fact) -> bool:
        """Whether something holds wherever something else does."""
        solver = Bitwuzla(self.terms, Options())
        solver.assert_formula(assumed.term)
        solver.assert_formula((~wanted).term)
        return bool(solver.check_sat() == Result.UNSAT)

    def possible(self, fact: Fact) -> bool:
        """Whether something can hold at all."""
        solver = Bitwuzla(self.terms, Options())
        solver.assert_formula(fact.term)
        return bool(solver.check_sat() == Result.SAT)


def all_of(*facts: Fact) -> Fact:
    """Whether all hold."""
    found = facts[0]
    for fact in facts[1:]:
        found = found & fact
    return found


def any_of(*facts: Fact) -> Fact:
    """Whether any holds."""
    found = facts[0]
    for fact in facts[1:]:
        found = found | fact
    return found
