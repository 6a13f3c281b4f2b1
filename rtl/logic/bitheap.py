"""The bit heap: columns of weighted bits, summed by full adders and one carry-propagate adder.

The arithmetic base of every MAC design. Signs follow Baugh and Wooley (IEEE Trans. Computers, 1973): a bit of
negative weight enters inverted, -x = (not x) - 1, and all the -1 merge into one constant. Where a sign is chosen
at run time, the bits that share the choice are summed first and inverted once, as a word. Compression takes the
three earliest bits of a column first (Stelling et al., "Optimal circuits for parallel multipliers", IEEE Trans.
Computers, 1998), with full adders only.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .booth import recode
from .circuit import ONE, ZERO, Bit, Circuit, Sum, Word
from .controls import Controls

__all__ = ["BitHeap", "Row"]


@dataclass(frozen=True)
class Row:
    """A compressed heap: an unsigned word plus an integer for every control state.

    The value in state s is ``word + offsets[s]``, and ``word`` is at most ``maximum``.
    """

    word: Word
    maximum: int
    offsets: tuple[int, ...]


class BitHeap:
    """A sum that grows bit by bit.

    Parameters
    ----------
    circuit
        Where the gates go.
    controls
        The run-time controls; ``negative`` arguments below are False, True or one of their bits.
    half_adders
        Whether the two earliest bits of a column of odd height enter a half adder. With full adders alone such a
        column ends as one bit that waits for all others, and low columns ripple; this is faster and somewhat larger.
    name
        What its adders are called by: NAME_cC_lL_N is the adder N of level L in column C, NAME_cpa the last one.
    """

    def __init__(self, circuit: Circuit, controls: Controls, *, half_adders: bool = False, name: str = "sum") -> None:
        self.circuit = circuit
        self.controls = controls
        self.half_adders = half_adders
        self.name = name
        self.maximum = 0
        self._columns: dict[int, list[Bit]] = {}
        self._offsets = controls.constant(0)
        self._groups: dict[Bit, list[tuple[int, Bit, bool]]] = {}

    def add_bit(self, column: int, bit: Bit, *, negative: bool = False, flip: Bit = ZERO, enable: Bit = ONE) -> None:
        """Adds ``bit * 2**column``, negated where ``negative`` differs from the control ``flip``.

        enable: a control that is 1 wherever ``bit`` may be: elsewhere its sign does not matter.
        """
        flip = self._simplest(flip, enable)
        if flip in (ZERO, ONE):
            self._add(column, bit, negative ^ (flip == ONE))
            return
        if self.circuit.not_(flip) in self._groups:
            flip, negative = self.circuit.not_(flip), not negative
        self._groups.setdefault(flip, []).append((column, bit, negative))

    def add_constant(self, value: int) -> None:
        """Adds an integer."""
        self._offsets = [offset + value for offset in self._offsets]

    def add_word(self, word: Word, *, column: int = 0, signed: bool = False, negative: bool = False) -> None:
        """Adds a word times 2**column; the last bit of a ``signed`` word has negative weight."""
        for position, bit in enumerate(word):
            self.add_bit(column + position, bit, negative=negative ^ (signed and position == len(word) - 1))

    def add_product(
        self,
        weights: Word,
        activations: Word,
        *,
        column: int = 0,
        weight_signed: Bit = ONE,
        activation_signed: Bit = ONE,
        negative: bool = False,
        enable: Bit = ONE,
        name: str = "product",
    ) -> None:
        """Adds the product of two words times 2**column, as len(weights) * len(activations) partial products.

        ``weight_signed`` and ``activation_signed`` are constants or controls: 1 where the last bit of that operand
        has negative weight. ``enable`` gates every partial product. ``name``_rowI are those of bit I of the weight.
        """
        for i, weight in enumerate(weights):
            w = self.circuit.and_(weight, enable)  # shared by the row
            self.circuit.name((w,), f"{name}_weight_{i}")
            row = []
            for j, a in enumerate(activations):
                flip = ZERO
                if i == len(weights) - 1:
                    flip = weight_signed
                if j == len(activations) - 1:
                    flip = self.controls.xor(flip, activation_signed)
                row.append(self.circuit.and_(w, a))
                self.add_bit(column + i + j, row[-1], negative=negative, flip=flip, enable=enable)
            self.circuit.name(row, f"{name}_row{i}")

    def add_recoded_product(
        self,
        weights: Word,
        activations: Word,
        *,
        activation_signed: Bit = ONE,
        negative: bool = False,
        name: str = "product",
    ) -> None:
        """Adds the product of a two's complement weight and an activation by the weight's radix-4 digits: half as many
        partial products, each a bit wider and of larger gates (see :mod:`rtl.logic.booth`).
        """
        top = self.circuit.and_(activations[-1], activation_signed)
        self.circuit.name((top,), f"{name}_sign")
        extended = (*activations, top)
        for position, digit in enumerate(recode(self.circuit, weights)):
            word, borrow = digit.times(self.circuit, extended)
            digit.name(self.circuit, f"{name}_digit{position}")
            self.circuit.name(word, f"{name}_row{position}")
            self.circuit.name((borrow,), f"{name}_digit{position}_minus")
            self.add_word(word, column=2 * position, signed=True, negative=negative)
            self.add_bit(2 * position, borrow, negative=negative)

    def add_row(
        self, row: Row, *, column: int = 0, shifts: tuple[tuple[Bit, int], ...] = (), name: str = "row"
    ) -> None:
        """Adds a compressed heap times 2**column, shifted left by each amount of ``shifts`` whose control is 1."""
        word, maximum, offsets = row.word, row.maximum << column, [value << column for value in row.offsets]
        for control, amount in shifts:
            word = self.circuit.shift_left(word, control, amount)
            self.circuit.name(word, f"{name}_shift{amount}")
            maximum <<= amount
            on = self.controls.truth(control)
            offsets = [value << amount if on[state] else value for state, value in enumerate(offsets)]
        for position, bit in enumerate(word):
            self._columns.setdefault(column + position, []).append(bit)
        self.maximum += maximum
        self._offsets = [a + b for a, b in zip(self._offsets, offsets, strict=True)]

    def row(self) -> Row:
        """Compresses to one unsigned word beside its offsets, which cost nothing until a heap is totalled."""
        self._merge_groups()
        word = self._added(self._columns, self.maximum.bit_length())
        return Row(word, self.maximum, tuple(self._offsets))

    def total(self, width: int) -> Word:
        """Compresses to the sum modulo 2**width, the offsets included."""
        self._merge_groups()
        columns = {column: list(bits) for column, bits in self._columns.items()}
        # The least offset is a constant; what the states differ by is small, so few columns get a bit for it.
        base = min(self._offsets)
        for column in range(width):
            truth = self.controls.truth(ZERO).copy()
            for state, offset in enumerate(self._offsets):
                truth[state] = bool(((offset - base) >> column) & 1)
            bit = self.controls.function(truth)
            self.circuit.name((bit,), f"{self.name}_constant_c{column}")
            if bit != ZERO:
                columns.setdefault(column, []).append(bit)
            if (base >> column) & 1:
                columns.setdefault(column, []).append(ONE)
        return self._added(columns, width)

    def _simplest(self, flip: Bit, enable: Bit) -> Bit:
        """A control equal to ``flip`` wherever ``enable`` is 1: a constant, or one that negates other bits anyway."""
        wanted, matters = self.controls.truth(flip), self.controls.truth(enable)
        if not (wanted & matters).any():
            return ZERO
        if (wanted | ~matters).all():
            return ONE
        for known in self._groups:
            for truth in (self.controls.truth(known), ~self.controls.truth(known)):
                if not ((truth ^ wanted) & matters).any():
                    return self.controls.function(truth)
        return flip

    def _add(self, column: int, bit: Bit, negative: bool) -> None:
        if bit == ZERO:
            return
        if bit == ONE:
            self.add_constant(-(1 << column) if negative else 1 << column)
            return
        if negative:
            self.add_constant(-(1 << column))
            bit = self.circuit.not_(bit)
        self._columns.setdefault(column, []).append(bit)
        self.maximum += 1 << column

    def _merge_groups(self) -> None:
        """Compresses the bits that one control negates to two rows, then inverts both: -u = (not u) - constant."""
        groups, self._groups = self._groups, {}
        for number, (flip, terms) in enumerate(groups.items()):
            # A NAND is smaller than an AND: negate the whole group where that inverts more of its bits.
            swap = sum(negative for _, _, negative in terms) * 2 < len(terms)
            low = min(column for column, _, _ in terms)
            name = f"{self.name}_group{number}"
            group = BitHeap(self.circuit, self.controls, half_adders=self.half_adders, name=name)
            for column, bit, negative in terms:
                group._add(column - low, bit, negative ^ swap)
            width = group.maximum.bit_length()
            rows = group._compress(group._columns, width)
            group._note(group._columns, width, rows)
            control = self.circuit.not_(flip) if swap else flip
            self.circuit.name((flip,), f"{name}_negated")
            negated = ~self.controls.truth(flip) if swap else self.controls.truth(flip)
            ones = 0  # the sum of both rows where every bit is 1
            for which, row in enumerate(rows):
                signed = [self.circuit.xor(bit, control) if bit != ZERO else ZERO for bit in row]
                self.circuit.name(signed, f"{name}_signed{which}")
                for column, bit in enumerate(signed, start=low):
                    if bit != ZERO:
                        self._columns.setdefault(column, []).append(bit)
                        ones += 1 << column
            self.maximum += ones
            for state, offset in enumerate(group._offsets):
                self._offsets[state] += -ones - (offset << low) if negated[state] else offset << low

    def _added(self, columns: Mapping[int, Sequence[Bit]], width: int) -> Word:
        """The sum of the columns modulo 2**width."""
        word = self._add_rows(self._compress(columns, width))
        self._note(columns, width, (word,))
        return word

    def _note(self, columns: Mapping[int, Sequence[Bit]], width: int, words: tuple[Word, ...]) -> None:
        # With the columns that width leaves out, so that words of which only low bits are summed are seen whole.
        self.circuit.sums.append(Sum({column: tuple(bits) for column, bits in columns.items()}, width, words))

    def _compress(self, columns: Mapping[int, Sequence[Bit]], width: int) -> tuple[Word, Word]:
        """Two rows whose sum is that of the columns modulo 2**width; equal to it where that is below 2**width."""
        circuit = self.circuit
        carries: dict[int, list[Bit]] = {}
        rows: tuple[list[Bit], list[Bit]] = ([], [])
        levels: dict[Bit, int] = {}
        counts: Counter[tuple[int, int]] = Counter()

        def made(column: int, inputs: tuple[Bit, ...], total: Bit, carry: Bit) -> None:
            """Names an adder by its column and by how many come before it."""
            level = 1 + max([levels.get(bit, 0) for bit in inputs])
            levels[total] = levels[carry] = level
            name = f"{self.name}_c{column}_l{level}_{counts[column, level]}"
            counts[column, level] += 1
            circuit.name((total,), f"{name}_sum")
            circuit.name((carry,), f"{name}_carry")

        for column in range(width):
            last = column == width - 1
            bits = [*columns.get(column, ()), *carries.get(column, ())]
            ones = bits.count(ONE)
            queue = [(circuit.arrival(bit), bit) for bit in bits if bit != ONE]
            heapq.heapify(queue)
            if self.half_adders and not last and len(queue) > 2 and (len(queue) + ones) % 2:
                both = heapq.heappop(queue)[1], heapq.heappop(queue)[1]
                total, carry = circuit.half_adder(*both)
                made(column, both, total, carry)
                carries.setdefault(column + 1, []).append(carry)
                heapq.heappush(queue, (circuit.arrival(total), total))
            while len(queue) + ones > 2:
                a = heapq.heappop(queue)[1] if queue else ONE
                b = heapq.heappop(queue)[1] if queue else ONE
                if ones:
                    c, ones = ONE, ones - 1
                else:
                    c = heapq.heappop(queue)[1]
                if last:
                    total, carry = circuit.xor(circuit.xor(a, b), c), ZERO
                else:
                    total, carry = circuit.full_adder(a, b, c)
                made(column, (a, b, c), total, carry)
                if carry != ZERO:
                    carries.setdefault(column + 1, []).append(carry)
                if total != ZERO:
                    heapq.heappush(queue, (circuit.arrival(total), total))
            left = [*(bit for _, bit in sorted(queue)), *[ONE] * ones, ZERO, ZERO]
            for row, bit in zip(rows, left[:2], strict=True):
                row.append(bit)
        return tuple(rows[0]), tuple(rows[1])

    def _add_rows(self, rows: tuple[Word, Word]) -> Word:
        """The sum of two rows modulo 2**width, by a carry-propagate adder from the first column that has two bits."""
        first, second = rows
        start = next((column for column, bit in enumerate(second) if bit != ZERO), len(second))
        if start == len(second):
            return first
        total = self.circuit.add(first[start:], second[start:])
        self.circuit.name(total, f"{self.name}_cpa")
        return (*first[:start], *total)
