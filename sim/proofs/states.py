"""What a datapath computes in one state of its controls, as one polynomial over its operand bits.

With the controls constant, most of the logic around the sums of a bit heap becomes wires. So the value of every sum
is a linear form over the bits that enter it, and sums of sums are linear forms again. That needs each word to stand for
its sum and not only modulo a power of two; where that matters, the bounds of the form must show that the sum fits into
the word, as an unsigned or as a two's complement number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtl.logic import ONE, ZERO, Bit, Circuit, Gate, Op, Sum, Word

from .compressions import ADDERS, Makers
from .polynomials import EMPTY, Polynomial, ProofError, Rewriting, bounds, gate_polynomial, polynomial_of, weighted

__all__ = ["Sums", "accumulated", "constants", "value_of"]


@dataclass(frozen=True)
class Sums:
    """The sums of a circuit, all checked, in the order in which they were made.

    by_bit: which of them makes a bit. inverse: bits of words by what they are the inverse of, where no sum makes that:
    what reads it reads the word.
    """

    made: Makers
    sums: tuple[Sum, ...]
    by_bit: Mapping[int, int]
    inverse: Mapping[int, Bit]

    @classmethod
    def of(cls, circuit: Circuit, made: Makers) -> Sums:
        """Those that a circuit claims."""
        by_bit: dict[int, int] = {}
        for number, claim in enumerate(circuit.sums):
            entering = {bit for bits in claim.columns.values() for bit in bits}
            for bit in (bit for word in claim.words for bit in word):
                if bit in made and bit not in entering:
                    by_bit.setdefault(bit, number)
        inverters = [(made[bit].inputs[0], bit) for bit in by_bit if made[bit].op is Op.NOT]
        return cls(made, tuple(circuit.sums), by_bit, {a: Bit(b) for a, b in inverters if a not in by_bit})


@dataclass(frozen=True)
class _Value:
    """The value of a sum before it is cut to its width, and its bounds."""

    form: Polynomial
    low: int
    high: int


def constants(circuit: Circuit, fixed: Mapping[int, int]) -> dict[int, int]:
    """The bits that are constant where the bits of ``fixed`` have these values, by plain Boolean rules."""
    known = {ZERO: 0, ONE: 1, **fixed}
    for gate in circuit.gates:
        value = _constant(gate, [known.get(bit) for bit in gate.inputs])
        if value is not None:
            known[gate.outputs[0]] = value
    return known


def _constant(gate: Gate, x: Sequence[int | None]) -> int | None:
    match gate.op:
        case Op.NOT:
            return None if x[0] is None else 1 - x[0]
        case Op.AND:
            return 0 if 0 in x else 1 if x[0] == x[1] == 1 else None
        case Op.OR:
            return 1 if 1 in x else 0 if x[0] == x[1] == 0 else None
        case Op.XOR:
            return None if x[0] is None or x[1] is None else x[0] ^ x[1]
        case Op.MUX:
            return None if x[0] is None else x[1] if x[0] else x[2]
        case _:
            return None


def accumulated(sums: Sums, word: Word, known: Mapping[int, int]) -> Polynomial:
    """The value of ``word``, an accumulator's next state, modulo 2**len(word), as a polynomial over inputs.

    known: the bits that are constant. Raises ProofError where a sum may not fit where that matters.
    """
    forms = _Forms(sums, known, 1 << len(word))
    return forms.expanded(forms.linear(word_terms(word)))


def value_of(made: Makers, word: Word, known: Mapping[int, int], *, signed: bool) -> Polynomial:
    """The value of a word of plain gates as a polynomial over inputs. ProofError where it comes from adders."""
    terms = word_terms(word)
    if signed and word:
        terms[-1] = (word[-1], -terms[-1][1])
    return _Forms(Sums(made, (), {}, {}), known).expanded(
        weighted((polynomial_of(bit), factor) for bit, factor in terms)
    )


def word_terms(word: Word) -> list[tuple[Bit, int]]:
    """Each bit and its power of two."""
    return [(bit, 1 << position) for position, bit in enumerate(word)]


class _Forms:
    """Linear forms of the sums of a circuit in one state, made in the order in which they depend on each other."""

    def __init__(self, sums: Sums, known: Mapping[int, int], modulus: int = 0) -> None:
        self._sums = sums
        self._known = known
        self._modulus = modulus
        self._values: list[_Value] = []
        for claim in sums.sums:
            form = self.linear([(bit, 1 << column) for column, bits in claim.columns.items() for bit in bits])
            self._values.append(_Value(form, *bounds(form)))

    def literal(self, bit: Bit) -> Polynomial:
        """A bit in this state."""
        value = self._known.get(bit)
        return polynomial_of(bit) if value is None else {EMPTY: 1} if value else {}

    def _read(self, bit: Bit) -> Polynomial:
        """A bit in this state, by a word where it is the inverse of a bit of one."""
        word_bit = self._sums.inverse.get(bit)
        if word_bit is None or bit in self._known:
            return self.literal(bit)
        return {EMPTY: 1, frozenset((word_bit,)): -1}

    def expanded(self, polynomial: Polynomial) -> Polynomial:
        """The polynomial over inputs alone."""
        made = self._sums.made
        left = Rewriting(
            weighted((self._with_constants(monomial), factor) for monomial, factor in polynomial.items()),
            made.__contains__,
            modulus=self._modulus,
        )
        while (bit := left.latest()) is not None:
            left.replace(bit, gate_polynomial(made[bit], self.literal))
        return left.polynomial

    def _with_constants(self, monomial: frozenset[int]) -> Polynomial:
        values = [self._known.get(bit) for bit in monomial]
        if 0 in values:
            return {}
        return {frozenset(bit for bit, value in zip(monomial, values, strict=True) if value is None): 1}

    def linear(self, terms: Sequence[tuple[Bit, int]]) -> Polynomial:
        """The value of weighted bits as a linear form over inputs and over gates that are not linear in this state."""
        made, by_bit = self._sums.made, self._sums.by_bit
        left = Rewriting(weighted((self._read(bit), factor) for bit, factor in terms), made.__contains__)
        form: list[tuple[Polynomial, int]] = []
        while (bit := left.latest()) is not None:
            number = by_bit.get(bit)
            if number is not None:
                form.append(self._word_out(left, number))
                continue
            gate = made[bit]
            if gate.op in ADDERS:
                raise ProofError(f"bit {bit} comes from {gate.op.value} that no sum accounts for")
            polynomial = gate_polynomial(gate, self._read)
            if all(len(monomial) < 2 for monomial in polynomial):
                left.replace(bit, polynomial)
            else:
                form.append((polynomial_of(bit), left.coefficient(bit)))
                left.replace(bit, {})
        form.append((left.polynomial, 1))
        return weighted(form)

    def _word_out(self, left: Rewriting, number: int) -> tuple[Polynomial, int]:
        """Takes the words of a sum out of ``left``: its value, and how often it was there."""
        claim, value = self._sums.sums[number], self._values[number]
        factor, signed = self._taken(left, number)
        whole = 1 << claim.width
        wraps = 0
        if not self._modulus or (factor << claim.width) % self._modulus:
            least = -(whole >> 1) if signed else 0
            wraps = -((value.low - least) // whole)
            if value.high + wraps * whole >= least + whole:
                kind = "a two's complement" if signed else "an unsigned"
                limits = f"from {value.low} to {value.high}"
                raise ProofError(f"a sum {limits} does not fit into {kind} word of {claim.width} bits")
        for bit, weight in _weights(claim, signed).items():
            for monomial, coefficient in self.literal(bit).items():
                left.add(monomial, -coefficient * factor * weight)
        return weighted(((value.form, 1), ({EMPTY: whole}, wraps))), factor

    def _taken(self, left: Rewriting, number: int) -> tuple[int, bool]:
        """How often the words of a sum are there, and whether as a two's complement number."""
        claim = self._sums.sums[number]
        for signed in (False, True) if len(claim.words) == 1 else (False,):
            weights = {
                bit: weight
                for bit, weight in _weights(claim, signed).items()
                if self._sums.by_bit.get(bit) == number and bit not in self._known
            }
            first = next((bit for bit, weight in weights.items() if weight), None)
            factor = left.coefficient(first) // weights[first] if first is not None else 0
            if factor and all(left.coefficient(bit) == factor * weight for bit, weight in weights.items()):
                return factor, signed
        raise ProofError(f"bits of a sum are taken apart from their word, or in a product: {_first_bits(claim)}")


def _weights(claim: Sum, signed: bool) -> dict[Bit, int]:
    """What the words of a sum make of each bit; the last bit of a two's complement word is negative."""
    found: dict[Bit, int] = defaultdict(int)
    for word in claim.words:
        for position, bit in enumerate(word):
            found[bit] += -1 << position if signed and position == claim.width - 1 else 1 << position
    return found


def _first_bits(claim: Sum) -> str:
    """For an error."""
    return ", ".join(map(str, claim.words[0][:4])) + (", ..." if len(claim.words[0]) > 4 else "")
