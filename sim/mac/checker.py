"""Compares what a MAC unit answers with what its model expects, in order and cycle by cycle."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from sim.bench import Layout, MismatchError

from .sequence import Expected, Sequence

__all__ = ["Checker", "Sample"]


class Sample(NamedTuple):
    """The outputs of a unit in one cycle: port words, None where a bit is unknown."""

    out_valid: int | None
    accumulator: int | None

    @classmethod
    def of(cls, digits: str, layout: Layout) -> Sample:
        """The sample in an output word written in binary, where unknown bits are x or z."""
        try:
            word = int(digits, 2)
        except ValueError:
            valid = digits.strip()[-1]  # out_valid is the lowest bit
            return cls(int(valid) if valid in "01" else None, None)
        return cls(layout.output("out_valid", word), layout.output("accumulator", word))


class Checker:
    """Takes the samples of a sequence in order.

    Checks that out_valid is high exactly when a cycle of operands is due, that the accumulator is then the model's
    sum, and that it holds while out_valid is low.
    """

    def __init__(self, sequence: Sequence) -> None:
        self._spec = sequence.spec
        self._unpack = cache(sequence.spec.unpack)
        self._sums = sequence.sums
        self._resets = sequence.resets
        self._due = iter(sequence.expected)
        self._next = next(self._due, None)
        self._held: int | None = None
        self._cycles, self._received = len(sequence.words), 0

    def receive(self, cycle: int, sample: Sample) -> None:
        """Checks one sample. Raises MismatchError, naming design, sum, precision, expected and actual."""
        self._received += 1
        if cycle == 0:  # the reset has not been seen yet
            return
        due = self._next
        if due is not None and due.cycle == cycle:
            self._next = next(self._due, None)
            self._check(due, sample)
            self._held = sample.accumulator
        elif sample.out_valid != 0:
            raise MismatchError(
                f"{self._spec.name}: cycle {cycle}: expected out_valid 0, not {_text(sample.out_valid)}"
            )
        elif self._held is not None and sample.accumulator != self._held:
            raise MismatchError(
                f"{self._spec.name}: cycle {cycle}, out_valid 0: expected the accumulator to hold "
                f"{self._unpack(self._held)}, not {self._value(sample)}"
            )
        if cycle in self._resets:
            self._held = None

    def finish(self) -> None:
        """Raises MismatchError where something never came out."""
        if self._received != self._cycles:
            raise MismatchError(f"{self._spec.name}: expected {self._cycles} cycles, not {self._received}")
        if self._next is not None:
            raise MismatchError(
                f"{self._place(self._next)}: expected out_valid in cycle {self._next.cycle}, the sequence ended"
            )

    def _check(self, due: Expected, sample: Sample) -> None:
        if sample.out_valid != 1:
            raise MismatchError(f"{self._place(due)}: expected out_valid 1, not {_text(sample.out_valid)}")
        if due.value is None:
            return
        actual = self._value(sample)
        if actual != due.value:
            raise MismatchError(f"{self._place(due)}: expected {due.value}, not {actual}")

    def _place(self, due: Expected) -> str:
        return (
            f"{self._spec.name}: sum {due.number} of {self._sums} at {due.precision}, "
            f"after {due.products} products (cycle {due.cycle})"
        )

    def _value(self, sample: Sample) -> int | str:
        return _text(None) if sample.accumulator is None else self._unpack(sample.accumulator)


def _text(word: int | None) -> int | str:
    return "unknown (x)" if word is None else word
