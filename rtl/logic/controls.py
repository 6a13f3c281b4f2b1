"""Run-time controls of a datapath, and functions of them.

A scalable design has few control bits (precision, activation sign) and few legal combinations of them. What
depends on controls alone, above all the merged constant of a bit heap, is an integer for each combination
("state"); :meth:`Controls.function` turns such a truth vector into gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from .circuit import ONE, ZERO, Bit, Circuit, Word

__all__ = ["Controls", "TruthVector"]

TruthVector = npt.NDArray[np.bool_]


class Controls:
    """Control bits and their legal states.

    Parameters
    ----------
    bits
        The control bits, operands of the circuit.
    states
        Every legal value of those bits, one row a state.
    """

    def __init__(self, circuit: Circuit, bits: Word, states: Sequence[Sequence[int]]) -> None:
        self.circuit = circuit
        self.bits = bits
        self._table = np.array(states, dtype=bool).reshape(len(states), len(bits))
        self._truth: dict[Bit, TruthVector] = {}
        self._by_truth: dict[bytes, Bit] = {}
        self._learn(ZERO, np.zeros(len(states), bool))
        self._learn(ONE, np.ones(len(states), bool))
        for position, bit in enumerate(bits):
            self._learn(bit, self._table[:, position])

    @property
    def states(self) -> int:
        """Number of legal states."""
        return len(self._table)

    def constant(self, value: int) -> list[int]:
        """The same integer in every state."""
        return [value] * self.states

    def truth(self, bit: Bit) -> TruthVector:
        """The value of a control in every state. Raises KeyError for a bit that is no known function of controls."""
        return self._truth[bit]

    def xor(self, a: Bit, b: Bit) -> Bit:
        """A control that is 1 where ``a`` and ``b`` differ."""
        return self.function(self.truth(a) ^ self.truth(b))

    def function(self, truth: TruthVector) -> Bit:
        """A bit with the given value in every legal state, from as few gates as a short search finds."""
        if truth.tobytes() in self._by_truth:
            return self._by_truth[truth.tobytes()]
        if (~truth).tobytes() in self._by_truth:
            return self._learn(self.circuit.not_(self._by_truth[(~truth).tobytes()]), truth)
        literals = [bit for control in self.bits for bit in (control, self.circuit.not_(control))]
        vectors = {bit: self._literal(bit) for bit in literals}
        for a, b in combinations(literals, 2):
            for vector, gate in (
                (vectors[a] & vectors[b], self.circuit.and_),
                (vectors[a] | vectors[b], self.circuit.or_),
                (vectors[a] ^ vectors[b], self.circuit.xor),
            ):
                if np.array_equal(vector, truth):
                    return self._learn(gate(a, b), truth)
        return self._learn(self._cover(truth, vectors), truth)

    def _cover(self, truth: TruthVector, vectors: dict[Bit, TruthVector]) -> Bit:
        """Sum of products: greedy choice of the products of at most all literals that cover the most states."""
        left, terms = truth.copy(), []
        while left.any():
            best: tuple[int, list[Bit]] = (0, [])
            for state in np.flatnonzero(left):
                product = [bit for bit in vectors if vectors[bit][state]]
                for bit in list(product):
                    rest = [other for other in product if other != bit]
                    if not (self._product(rest, vectors) & ~truth).any():
                        product = rest
                gain = int((self._product(product, vectors) & left).sum())
                if gain > best[0]:
                    best = (gain, product)
            terms.append(best[1])
            left &= ~self._product(best[1], vectors)
        result = ZERO
        for product in terms:
            term = ONE
            for bit in product:
                term = self.circuit.and_(term, bit)
            result = self.circuit.or_(result, term)
        return result

    def _product(self, product: Sequence[Bit], vectors: dict[Bit, TruthVector]) -> TruthVector:
        result = np.ones(self.states, bool)
        for bit in product:
            result &= vectors[bit]
        return result

    def _literal(self, bit: Bit) -> TruthVector:
        return self._truth[bit] if bit in self._truth else ~self._truth[self.circuit.not_(bit)]

    def _learn(self, bit: Bit, truth: TruthVector) -> Bit:
        self._truth.setdefault(bit, truth)
        self._by_truth.setdefault(truth.tobytes(), bit)
        return bit
