"""Every compression of a bit heap conserves the weighted sum of its bits.

A bit heap says of each of its compressions what its words sum up (:class:`rtl.logic.Sum`). The check begins with the
words, each bit times its power of two, and walks back through the gates that make them, modulo 2**width: the sum of a
full adder is its three inputs less twice its carry, so that sums and carries of one adder always vanish together; a
carry-propagate adder is its two words; any other gate is its polynomial. What is left must be the bits of the columns,
each times its power of two.
"""

from __future__ import annotations

from rtl.logic import Circuit, Gate, Op, Sum

from .polynomials import (
    Polynomial,
    ProofError,
    Rewriting,
    gate_polynomial,
    polynomial_of,
    weighted,
)

__all__ = ["ADDERS", "Makers", "check_sum", "makers"]

Makers = dict[int, Gate]
"""The gate that makes each bit; inputs and constants have none."""

ADDERS = (Op.FULL_ADDER, Op.HALF_ADDER, Op.ADD)


def makers(circuit: Circuit) -> Makers:
    """Of every bit of a circuit."""
    return {bit: gate for gate in circuit.gates for bit in gate.outputs}


def check_sum(made: Makers, claim: Sum) -> None:
    """ProofError unless the words of ``claim`` add up to its columns modulo 2**width, whatever the bits of those."""
    leaves = {bit for bits in claim.columns.values() for bit in bits}
    terms = _terms(claim)
    left = Rewriting(terms, lambda bit: bit in made and bit not in leaves, modulus=1 << claim.width)
    while (bit := left.latest()) is not None:
        gate = made[bit]
        if gate.op is Op.ADD:
            _undo_addition(left, gate, claim.width)
        elif gate.op in ADDERS:
            total, carry = gate.outputs
            left.replace(
                total, weighted([*((polynomial_of(each), 1) for each in gate.inputs), (polynomial_of(carry), -2)])
            )
            if left.has(carry):
                raise ProofError(f"the carry {carry} of an adder has not twice the weight of its sum {total}")
        else:
            left.replace(bit, gate_polynomial(gate, polynomial_of))
    for column, bits in claim.columns.items():
        for bit in bits:
            left.add_word((bit,), -1 << column)
    if left.polynomial:
        raise ProofError(f"words do not add up to their columns: left is {_shown(left.polynomial)}")


def _terms(claim: Sum) -> Polynomial:
    """The words of a claim, each bit times its power of two."""
    return weighted((polynomial_of(bit), 1 << position) for word in claim.words for position, bit in enumerate(word))


def _undo_addition(left: Rewriting, gate: Gate, width: int) -> None:
    """Puts the two words of a carry-propagate adder in the place of its result, which must be there as one word."""
    bits = len(gate.outputs)
    factor = left.coefficient(gate.outputs[0])
    modulus = 1 << width
    whole = all(
        left.coefficient(bit) == (factor << position) % modulus and left.alone(bit)
        for position, bit in enumerate(gate.outputs)
    )
    if not whole or (factor << bits) % modulus:
        raise ProofError(f"the result of an adder, from bit {gate.outputs[0]}, is not taken as one word")
    left.add_word(gate.outputs, -factor)
    left.add_word(gate.inputs[:bits], factor)
    left.add_word(gate.inputs[bits:], factor)


def _shown(polynomial: Polynomial, most: int = 4) -> str:
    """The first terms, for an error."""
    terms = [f"{coefficient} * {sorted(monomial)}" for monomial, coefficient in polynomial.items()]
    return " + ".join(terms[:most]) + (" + ..." if len(terms) > most else "")
