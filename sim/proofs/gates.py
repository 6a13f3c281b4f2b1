"""A part of a graph of gates as a formula for a solver: proofs of what has few words and no products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bitwuzla import Bitwuzla, Kind, Result, Term, TermManager

from rtl.logic import Bit, Circuit, Gate, Op, Word

from .polynomials import ProofError
from .states import constants

__all__ = ["Words", "prove_equal_word"]


class Words:
    """Words of bits as terms of a solver; the lowest bit is the last of a term, as in Verilog."""

    def __init__(self) -> None:
        self.terms = TermManager()

    def free(self, name: str, width: int) -> Term:
        """Any word of ``width`` bits."""
        return self.terms.mk_const(self.terms.mk_bv_sort(width), name)

    def number(self, value: int, width: int) -> Term:
        """A constant."""
        return self.terms.mk_bv_value(self.terms.mk_bv_sort(width), value % (1 << width))

    def of(self, kind: Kind, *words: Term) -> Term:
        """One operation."""
        return self.terms.mk_term(kind, list(words))

    def bit(self, word: Term, place: int) -> Term:
        """A word of one bit."""
        return self.terms.mk_term(Kind.BV_EXTRACT, [word], [place, place])

    def word(self, bits: Sequence[Term]) -> Term:
        """Bits in one word, the lowest first."""
        return self.of(Kind.BV_CONCAT, *reversed(bits)) if len(bits) > 1 else bits[0]

    def saturated(self, word: Term, shift: Term | None, *, least: int, bits: int, signed: bool) -> Term:
        """min(max(word >> (least + shift), 0), 2**bits - 1) less 2**(bits - 1) where ``signed``, modulo 2**bits.

        word: two's complement; >> rounds down.
        """
        width = word.sort().bv_size() + bits + 8  # room for every shift and for the largest code
        wide = self.terms.mk_term(Kind.BV_SIGN_EXTEND, [word], [width - word.sort().bv_size()])
        by = self.number(min(least, width - 1), width)
        shifted = self.of(Kind.BV_ASHR, wide, by)
        if shift is not None:
            more = self.terms.mk_term(Kind.BV_ZERO_EXTEND, [shift], [width - shift.sort().bv_size()])
            shifted = self.of(Kind.BV_ASHR, shifted, more)
        zero, most = self.number(0, width), self.number((1 << bits) - 1, width)
        above = self.of(Kind.ITE, self.of(Kind.BV_SGT, shifted, most), most, shifted)
        rank = self.of(Kind.ITE, self.of(Kind.BV_SLT, above, zero), zero, above)
        code = self.of(Kind.BV_SUB, rank, self.number(1 << (bits - 1), width)) if signed else rank
        return self.terms.mk_term(Kind.BV_EXTRACT, [code], [bits - 1, 0])


def prove_equal_word(
    circuit: Circuit,
    found: Word,
    *,
    fixed: Mapping[int, int],
    free: Sequence[Word],
    wanted: Callable[[Words, Sequence[Term | None]], Term],
) -> None:
    """Proves that gates make of some words what a formula says, whatever those words are.

    found: the word that is looked at. fixed: bits that are constant. free: words that may have any value, those of
    inputs and those in the middle of the circuit; an empty one is None for ``wanted``. ProofError where it does not
    hold, and where ``found`` depends on anything else.
    """
    words = Words()
    given = [words.free(f"word{index}", len(word)) if word else None for index, word in enumerate(free)]
    known = constants(circuit, fixed)
    values: dict[Bit, Term] = {Bit(bit): words.number(value, 1) for bit, value in known.items()}
    cut = {
        bit: words.bit(term, place)
        for word, term in zip(free, given, strict=True)
        if term is not None
        for place, bit in enumerate(word)
    }
    values |= cut
    for gate in circuit.gates:
        if gate.op is Op.MUX and gate.inputs[0] in known:
            chosen = gate.inputs[1] if known[gate.inputs[0]] else gate.inputs[2]
            if chosen in values:
                values.setdefault(gate.outputs[0], values[chosen])
        elif all(bit in values for bit in gate.inputs):
            made = zip(gate.outputs, _gate(words, gate, [values[bit] for bit in gate.inputs]), strict=True)
            values |= {bit: term for bit, term in made if bit not in cut}
    lacking = [bit for bit in found if bit not in values]
    if lacking:
        raise ProofError(f"bit {lacking[0]} of the result depends on more than the words that it should")
    solver = Bitwuzla(words.terms)
    result = words.word([values[bit] for bit in found])
    solver.assert_formula(words.of(Kind.DISTINCT, result, wanted(words, given)))
    if solver.check_sat() != Result.UNSAT:
        raise ProofError("the result is not that of the rule")


def _gate(words: Words, gate: Gate, x: Sequence[Term]) -> list[Term]:
    match gate.op:
        case Op.NOT:
            return [words.of(Kind.BV_NOT, x[0])]
        case Op.AND:
            return [words.of(Kind.BV_AND, *x)]
        case Op.OR:
            return [words.of(Kind.BV_OR, *x)]
        case Op.XOR:
            return [words.of(Kind.BV_XOR, *x)]
        case Op.MUX:
            select = words.of(Kind.EQUAL, x[0], words.number(1, 1))
            return [words.of(Kind.ITE, select, x[1], x[2])]
        case Op.HALF_ADDER:
            return [words.of(Kind.BV_XOR, *x), words.of(Kind.BV_AND, *x)]
        case Op.FULL_ADDER:
            either = words.of(Kind.BV_OR, words.of(Kind.BV_AND, x[0], x[1]), words.of(Kind.BV_AND, x[0], x[2]))
            carry = words.of(Kind.BV_OR, either, words.of(Kind.BV_AND, x[1], x[2]))
            return [words.of(Kind.BV_XOR, words.of(Kind.BV_XOR, x[0], x[1]), x[2]), carry]
        case Op.ADD:
            half = len(x) // 2
            total = words.of(Kind.BV_ADD, words.word(x[:half]), words.word(x[half:]))
            return [words.bit(total, place) for place in range(half)]
