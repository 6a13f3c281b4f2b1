"""Combinational logic as a graph of gates: one description for hardware, bit-level evaluation and gate counts.

A design adds gates to a :class:`Circuit`; ``rtl.components.mac`` turns the graph into Amaranth, :func:`evaluate`
runs it on NumPy arrays, and ``gates`` can be counted. Constants are folded and equal gates shared
while the graph grows, so no adder cell ever gets a constant input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, NewType

import numpy as np
import numpy.typing as npt

from siliquant.inputs import InputError

from .naming import Names

__all__ = ["ONE", "ZERO", "Bit", "Circuit", "Gate", "Op", "Sum", "Word", "evaluate"]

Bit = NewType("Bit", int)
Word = tuple[Bit, ...]
"""Bits, the least significant first."""

ZERO = Bit(0)
ONE = Bit(1)


class Op(Enum):
    """Kinds of gate. FULL_ADDER and HALF_ADDER give (sum, carry); ADD adds two words modulo 2**width."""

    NOT = "not"
    AND = "and"
    OR = "or"
    XOR = "xor"
    MUX = "mux"  # (select, if_one, if_zero)
    FULL_ADDER = "full adder"
    HALF_ADDER = "half adder"
    ADD = "add"  # first word, then second word

    __hash__ = object.__hash__  # that of Enum is a function in Python, and gates are looked up by kind all the time


DELAY = {
    Op.NOT: (0.1,),
    Op.AND: (0.25,),
    Op.OR: (0.3,),
    Op.XOR: (0.4,),
    Op.MUX: (0.5,),
    Op.FULL_ADDER: (1.0, 0.8),
    Op.HALF_ADDER: (0.45, 0.3),
}
"""Rough delays in units of a full adder's sum, only to order compression and place pipeline registers."""


class Gate(NamedTuple):
    """One operation on bits; ``outputs`` are numbered in the order of creation."""

    op: Op
    inputs: Word
    outputs: Word


class Sum(NamedTuple):
    """What gates were made for: ``words`` add up to the bits of ``columns``, each times 2**column, modulo 2**width.

    A hint to proofs, which check it; no gate depends on it.
    """

    columns: Mapping[int, Word]
    width: int
    words: tuple[Word, ...]


class Circuit:
    """A growing acyclic graph of gates. Bits 0 and 1 are the constants.

    >>> circuit = Circuit()
    >>> a, b = circuit.input("a", 1)[0], circuit.input("b", 1)[0]
    >>> circuit.xor(a, b) == circuit.xor(b, a), circuit.and_(a, circuit.not_(a)) == ZERO
    (True, True)
    >>> total, carry = circuit.full_adder(a, b, ONE)
    >>> evaluate(circuit, {"a": [0, 1], "b": [1, 1]}, (total, carry)).astype(int).tolist()
    [[0, 1], [1, 1]]
    """

    def __init__(self) -> None:
        self.gates: list[Gate] = []
        self.sums: list[Sum] = []
        self.names = Names()
        self.inputs: dict[str, Word] = {}
        self.input_stages: dict[Bit, int] = {}
        self._arrival: list[float] = [0.0, 0.0]
        self._known: dict[tuple[Op, Word], Word] = {}
        self._inverse: dict[Bit, Bit] = {ZERO: ONE, ONE: ZERO}
        self._inverted: set[Bit] = set()

    @property
    def bits(self) -> int:
        """Number of bits, constants included; every bit is below it."""
        return len(self._arrival)

    def arrival(self, bit: Bit) -> float:
        """When ``bit`` settles, in the unit of :data:`DELAY`."""
        return self._arrival[bit]

    def input(self, name: str, width: int, *, stage: int = 0, arrival: float = 0.0) -> Word:
        """Adds a word of ``width`` bits from outside, ready in pipeline stage ``stage``."""
        if name in self.inputs:
            raise InputError(f"name must be new, not {name!r} again")
        word = tuple(self._bit(arrival) for _ in range(width))
        self.inputs[name] = word
        self.names.word(word, name)
        self.input_stages.update(dict.fromkeys(word, stage))
        return word

    def not_(self, a: Bit) -> Bit:
        if a not in self._inverse:
            b = self._gate(Op.NOT, (a,))[0]
            self._inverse[a], self._inverse[b] = b, a
            self._inverted.add(b)
        return self._inverse[a]

    def and_(self, a: Bit, b: Bit) -> Bit:
        if ZERO in (a, b) or self._inverse.get(a) == b:
            return ZERO
        if a in (ONE, b):
            return b
        if b == ONE:
            return a
        return self._gate(Op.AND, (min(a, b), max(a, b)))[0]

    def or_(self, a: Bit, b: Bit) -> Bit:
        if ONE in (a, b) or self._inverse.get(a) == b:
            return ONE
        if a in (ZERO, b):
            return b
        if b == ZERO:
            return a
        return self._gate(Op.OR, (min(a, b), max(a, b)))[0]

    def xor(self, a: Bit, b: Bit) -> Bit:
        if a == b:
            return ZERO
        if self._inverse.get(a) == b:
            return ONE
        for one, other in ((a, b), (b, a)):
            if one == ZERO:
                return other
            if one == ONE:
                return self.not_(other)
        return self._gate(Op.XOR, (min(a, b), max(a, b)))[0]

    def mux(self, select: Bit, if_one: Bit, if_zero: Bit) -> Bit:
        if select in (ZERO, ONE) or if_one == if_zero:
            return if_one if select == ONE else if_zero
        if if_zero == ZERO:
            return self.and_(select, if_one)
        if if_one == ZERO:
            return self.and_(self.not_(select), if_zero)
        if if_one == ONE:
            return self.or_(select, if_zero)
        if if_zero == ONE:
            return self.or_(self.not_(select), if_one)
        return self._gate(Op.MUX, (select, if_one, if_zero))[0]

    def half_adder(self, a: Bit, b: Bit) -> tuple[Bit, Bit]:
        """(sum, carry) of two bits."""
        if a in (ZERO, ONE) or b in (ZERO, ONE) or a == b or self._inverse.get(a) == b:
            return self.xor(a, b), self.and_(a, b)
        total, carry = self._gate(Op.HALF_ADDER, (min(a, b), max(a, b)))
        return total, carry

    def full_adder(self, a: Bit, b: Bit, c: Bit) -> tuple[Bit, Bit]:
        """(sum, carry) of three bits; constants are folded (a + b + 1 is an XNOR and an OR)."""
        bits = sorted((a, b, c))
        constants = [bit for bit in bits if bit in (ZERO, ONE)]
        if len(constants) > 1:
            (free,) = [bit for bit in bits if bit not in (ZERO, ONE)] or [bits[2]]
            ones = constants.count(ONE) - (1 if free in (ZERO, ONE) and free == ONE else 0)
            return (self.not_(free), free) if ones == 1 else (free, ONE if ones else ZERO)
        if ZERO in constants:
            return self.half_adder(bits[1], bits[2])
        if ONE in constants:
            return self.not_(self.xor(bits[1], bits[2])), self.or_(bits[1], bits[2])
        for one, other, third in ((a, b, c), (a, c, b), (b, c, a)):
            if one == other:
                return third, one
            if self._inverse.get(one) == other:
                return self.not_(third), third
        # Latest input last: it goes to the pin with the shortest way through the cell.
        a, b, c = sorted(bits, key=lambda bit: (self._arrival[bit], bit))
        total, carry = self._gate(Op.FULL_ADDER, (a, b, c))
        return total, carry

    def add(self, a: Word, b: Word) -> Word:
        """a + b modulo 2**len(a) by one carry-propagate adder."""
        if len(a) != len(b):
            raise InputError(f"words must have equal widths, not {len(a)} and {len(b)}")
        if all(bit == ZERO for bit in b):
            return a
        if len(a) == 1:
            return (self.xor(a[0], b[0]),)
        return self._gate(Op.ADD, a + b)

    def name(self, bits: Sequence[Bit], text: str) -> None:
        """Names what gates make of a word, for people who read the Verilog. Constants, inputs, inverted bits and bits
        that have a name keep what they have.
        """
        made = 0
        while made < len(bits) and bits[made] not in (ZERO, ONE) and bits[made] not in self._inverted:
            made += 1
        if made > 1:
            self.names.word(bits[:made], text)
        for place, bit in enumerate(bits):
            if bit not in (ZERO, ONE) and bit not in self._inverted:
                self.names.bit(bit, text if len(bits) == 1 else f"{text}_{place}")

    def shift_left(self, word: Word, control: Bit, amount: int, *, signed: bool = False) -> Word:
        """``word`` shifted left by ``amount`` where ``control`` is 1, as much wider (by its sign if ``signed``)."""
        up, same = (ZERO,) * amount + word, word + (word[-1] if signed else ZERO,) * amount
        return tuple(self.mux(control, one, zero) for one, zero in zip(up, same, strict=True))

    def shift_right(self, word: Word, control: Bit, amount: int) -> Word:
        """Two's complement ``word`` shifted right by ``amount`` where ``control`` is 1, of the same width."""
        down = word[amount:] + (word[-1],) * amount
        return tuple(self.mux(control, one, zero) for one, zero in zip(down, word, strict=True))

    def count(self, op: Op) -> int:
        """Number of gates of one kind."""
        return sum(gate.op is op for gate in self.gates)

    def _bit(self, arrival: float) -> Bit:
        self._arrival.append(arrival)
        return Bit(len(self._arrival) - 1)

    def _gate(self, op: Op, inputs: Word) -> Word:
        known = self._known.get((op, inputs))
        if known is not None:
            return known
        arrival = self._arrival
        first, start = len(arrival), max([arrival[bit] for bit in inputs])
        for delay in gate_delay(op, len(inputs)):
            arrival.append(start + delay)
        outputs = tuple(map(Bit, range(first, len(arrival))))
        self.gates.append(Gate(op, inputs, outputs))
        self._known[op, inputs] = outputs
        return outputs


def gate_delay(op: Op, inputs: int) -> tuple[float, ...]:
    """Delay of each output, in the unit of :data:`DELAY`."""
    if op is Op.ADD:
        width = inputs // 2
        return (1.0 + 0.15 * width,) * width
    return DELAY[op]


def evaluate(circuit: Circuit, words: Mapping[str, npt.ArrayLike], outputs: Sequence[Bit]) -> npt.NDArray[np.bool_]:
    """Bit-level result of the graph, registers seen as wires.

    words: for each input name an array of unsigned port words (Python integers where wider than 63 bits), all of
    one shape (...).
    Returns bools of shape (len(outputs), ...).
    """
    arrays = {name: np.asarray(value) for name, value in words.items()}
    shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    values: dict[Bit, npt.NDArray[np.bool_]] = {ZERO: np.zeros(shape, bool), ONE: np.ones(shape, bool)}
    for name, word in circuit.inputs.items():
        for position, bit in enumerate(word):
            values[bit] = np.broadcast_to(((arrays[name] >> position) & 1).astype(bool), shape)
    for gate in circuit.gates:
        values.update(zip(gate.outputs, _apply(gate.op, [values[bit] for bit in gate.inputs]), strict=True))
    return np.stack([values[bit] for bit in outputs])


def _apply(op: Op, x: list[npt.NDArray[np.bool_]]) -> Sequence[npt.NDArray[np.bool_]]:
    match op:
        case Op.NOT:
            return [~x[0]]
        case Op.AND:
            return [x[0] & x[1]]
        case Op.OR:
            return [x[0] | x[1]]
        case Op.XOR:
            return [x[0] ^ x[1]]
        case Op.MUX:
            return [np.where(x[0], x[1], x[2])]
        case Op.HALF_ADDER:
            return [x[0] ^ x[1], x[0] & x[1]]
        case Op.FULL_ADDER:
            return [x[0] ^ x[1] ^ x[2], (x[0] & x[1]) | (x[2] & (x[0] | x[1]))]
        case Op.ADD:
            width = len(x) // 2
            total, carry = [], np.zeros_like(x[0])
            for a, b in zip(x[:width], x[width:], strict=True):
                total.append(a ^ b ^ carry)
                carry = (a & b) | (carry & (a | b))
            return total
