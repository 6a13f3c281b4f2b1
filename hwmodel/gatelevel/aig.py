"""And-inverter graphs: Boolean functions of some inputs that share their parts, evaluated and handed to ABC.

A function is a literal, an integer as in AIGER (Biere, "The AIGER And-Inverter Graph Format", 2007): twice a node, plus
1 where it is inverted. Node 0 is the constant 0. Equal parts are one node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwmodel.library import And, Constant, Expression, Not, Or, Variable, Xor
from siliquant.inputs import InputTypeError

__all__ = ["FALSE", "TRUE", "Aig"]

FALSE, TRUE = 0, 1


class Aig:
    """A graph that grows. Nodes are numbered in an order in which they can be evaluated."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int] | None] = [None]  # of each node the literals it is the and of; None: an input
        self._known: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def input(self) -> int:
        """A new input."""
        self._pairs.append(None)
        return 2 * len(self._pairs) - 2

    def conjunction(self, a: int, b: int) -> int:
        """a and b."""
        if a > b:
            a, b = b, a
        if a == FALSE or a == b ^ 1:
            return FALSE
        if a in (TRUE, b):
            return b
        found = self._known.get((a, b))
        if found is None:
            self._pairs.append((a, b))
            found = self._known[a, b] = 2 * len(self._pairs) - 2
        return found

    def disjunction(self, a: int, b: int) -> int:
        """a or b."""
        return self.conjunction(a ^ 1, b ^ 1) ^ 1

    def exclusive(self, a: int, b: int) -> int:
        """a or b, not both."""
        return self.conjunction(self.conjunction(a, b) ^ 1, self.conjunction(a ^ 1, b ^ 1) ^ 1)

    def choice(self, select: int, one: int, other: int) -> int:
        """``one`` where select is 1, else ``other``."""
        return self.disjunction(self.conjunction(select, one), self.conjunction(select ^ 1, other))

    def of_expression(self, function: Expression, values: Mapping[str, int]) -> int:
        """A function of a Liberty file, from the literals of its names."""
        match function:
            case Constant():
                return int(function.value)
            case Variable():
                return values[function.name]
            case Not():
                return self.of_expression(function.operand, values) ^ 1
            case And() | Or() | Xor():
                left, right = self.of_expression(function.left, values), self.of_expression(function.right, values)
                if isinstance(function, And):
                    return self.conjunction(left, right)
                return self.disjunction(left, right) if isinstance(function, Or) else self.exclusive(left, right)
            case _:
                raise InputTypeError(
                    f"function must be an expression of hwmodel.liberty, not {type(function).__name__}"
                )

    def values(self, inputs: Mapping[int, int], ones: int) -> list[int]:
        """The value of each node, a bit for each of many cases, from those of the inputs by literal; others are 0.

        ones: a 1 for every case.
        """
        found = [0] * len(self._pairs)
        for literal, value in inputs.items():
            found[literal >> 1] = value
        for node, pair in enumerate(self._pairs):
            if pair is not None:
                a, b = pair
                left, right = found[a >> 1], found[b >> 1]
                found[node] = (left ^ ones if a & 1 else left) & (right ^ ones if b & 1 else right)
        return found

    def possible_values(self, inputs: Mapping[int, tuple[int, int]], ones: int) -> list[tuple[int, int]]:
        """Of each node which cases may be 0 and which may be 1, a bit a case: both where it is unknown, as in a
        simulator. inputs: the same by literal; others are 0.
        """
        found = [(ones, 0)] * len(self._pairs)
        for literal, value in inputs.items():
            found[literal >> 1] = value
        for node, pair in enumerate(self._pairs):
            if pair is not None:
                a, b = pair
                low, high = found[a >> 1][::-1] if a & 1 else found[a >> 1]
                other_low, other_high = found[b >> 1][::-1] if b & 1 else found[b >> 1]
                found[node] = low | other_low, high & other_high
        return found

    def aiger(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """A binary AIGER file of some functions; inputs: all that they depend on, in order, none of them inverted."""
        number = {0: 0, **{literal >> 1: place for place, literal in enumerate(inputs, start=1)}}
        needed = self._cone([literal >> 1 for literal in outputs], number)
        lines = bytearray()
        for node in needed:
            pair = self._pairs[node]
            assert pair is not None  # an input that is not among the inputs
            number[node] = len(number)
            a, b = sorted(2 * number[literal >> 1] + (literal & 1) for literal in pair)
            lines += _delta(2 * number[node] - b) + _delta(b - a)
        ends = "".join(f"{2 * number[literal >> 1] + (literal & 1)}\n" for literal in outputs)
        last = len(number) - 1
        return f"aig {last} {len(inputs)} 0 {len(outputs)} {len(needed)}\n{ends}".encode() + bytes(lines)

    def _cone(self, roots: Sequence[int], known: Mapping[int, int]) -> list[int]:
        """The nodes that some depend on, but for known ones, in an order in which they can be evaluated."""
        found: set[int] = set()
        waiting = [node for node in roots if node not in known]
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found.add(node)
            pair = self._pairs[node]
            assert pair is not None  # an input that is not among the inputs
            waiting += [literal >> 1 for literal in pair if literal >> 1 not in known]
        return sorted(found)


def _delta(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
