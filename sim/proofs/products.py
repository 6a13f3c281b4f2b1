"""What a step of a MAC must add to its sum, from the meaning of its codes alone: ``*`` and ``+`` over all products.

Nothing here knows how hardware multiplies. A code is a table of values; its value as a polynomial over its bits follows
from the table (Moebius transform), and products are products of polynomials.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rtl.spec import CodeValues, MacSpec, Precision

from .polynomials import Monomial, Polynomial

__all__ = ["code_polynomial", "step_sum"]


def code_polynomial(values: CodeValues, bits: Sequence[int]) -> Polynomial:
    """The value of a code over its bits, the lowest first; words that are no codes count as 0.

    >>> from rtl.spec.values import all_codes
    >>> code_polynomial(all_codes(2, True), (10, 11)) == {frozenset({10}): 1, frozenset({11}): -2}
    True
    """
    table = dict(zip(values.words, values.values, strict=True))
    # After step i, entry x is the sum over all subsets of x that differ from x in bits up to i alone, with signs.
    coefficients = [table.get(word, 0) for word in range(1 << len(bits))]
    for position in range(len(bits)):
        for word in range(len(coefficients)):
            if word >> position & 1:
                coefficients[word] -= coefficients[word ^ (1 << position)]
    return {
        frozenset(bit for position, bit in enumerate(bits) if word >> position & 1): coefficient
        for word, coefficient in enumerate(coefficients)
        if coefficient
    }


def step_sum(spec: MacSpec, precision: Precision, symbols: Sequence[int]) -> Polynomial:
    """The sum of all products of a full step, times 2**sum_shift.

    symbols: the bits of the weights, lane by lane, then those of the activations.
    """
    found: Polynomial = defaultdict(int)
    lanes, w, a = spec.products_per_step(precision), precision.weight_bits, precision.activation_bits
    weights, activations = spec.weight_values(precision), spec.activation_values(precision)
    for lane in range(lanes):
        weight = code_polynomial(weights, symbols[lane * w : (lane + 1) * w])
        start = lanes * w + lane * a
        activation = code_polynomial(activations, symbols[start : start + a])
        for one, x in weight.items():
            for other, y in activation.items():
                monomial: Monomial = one | other
                found[monomial] += x * y << spec.sum_shift(precision)
    return {monomial: coefficient for monomial, coefficient in found.items() if coefficient}
