"""The values that the codes of an operand stand for, and the bits that each is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from siliquant.inputs import InputError

from .numbers import MAX_BITS, IntArray, check_integer, signed_range

__all__ = ["BIPOLAR", "Bits", "CodeValues", "all_codes", "codes_of", "network_codes"]

Bits = npt.NDArray[np.uint8]

_LARGEST = 1 << 16  # of a value: longest sums of products of two such still fit 64 bits
_LISTED = 16


@dataclass(frozen=True)
class CodeValues:
    """The codes of an operand.

    bits: width of a code, 1 to 8. values: what the codes stand for, ascending, from -65536 to 65536. words: the bits of
    the code of each value, as an unsigned number. Raises ValueError where these do not fit together.

    >>> powers = CodeValues(2, (1, 2, 4, 8), (0, 1, 2, 3))
    >>> powers.range, powers.contiguous, str(powers)
    ((1, 8), False, '1, 2, 4 or 8')
    """

    bits: int
    values: tuple[int, ...]
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 1, MAX_BITS)
        for value in self.values:
            check_integer("a value of a code", value, -_LARGEST, _LARGEST)
        for word in self.words:
            check_integer("the word of a code", word, 0, (1 << self.bits) - 1)
        if not self.values or list(self.values) != sorted(set(self.values)):
            raise InputError(f"values must be integers, each larger than the one before, not {self.values}")
        if len(set(self.words)) != len(self.words) or len(self.words) != len(self.values):
            raise InputError(f"words must be {len(self.values)} different ones, one for each value, not {self.words}")

    def __str__(self) -> str:
        """The values, to stand behind "must be"."""
        if self.contiguous and len(self.values) > 1:
            return f"from {self.values[0]} to {self.values[-1]}"
        named = [str(value) for value in self.values]
        if len(named) > _LISTED:
            named[3:-1] = [f"... ({len(named)} values)"]
        return " or ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value."""
        return self.values[0], self.values[-1]

    @cached_property
    def contiguous(self) -> bool:
        """Whether every integer of the range is a value."""
        return self.values[-1] - self.values[0] == len(self.values) - 1

    @cached_property
    def plain(self) -> bool:
        """Whether words are two's complement, or plain binary where no value is negative."""
        low, high = signed_range(self.bits, self.values[0] < 0)
        mask = (1 << self.bits) - 1
        return low <= self.values[0] and self.values[-1] <= high and self.words == tuple(v & mask for v in self.values)

    def lacking(self, values: npt.ArrayLike) -> IntArray:
        """Those of some integers that are no values, in their order: int64 [count]."""
        given = np.atleast_1d(values)
        low, high = self.range
        wrong = (given < low) | (given > high)
        if not self.contiguous:
            inside = ~wrong
            wrong[inside] = self._table[given[inside].astype(np.int64) - low] < 0
        return np.asarray(given[wrong], dtype=np.int64)

    def words_of(self, values: IntArray) -> IntArray:
        """The words of values [...], all of which must be among them."""
        return self._table[values - self.values[0]]

    def values_of(self, words: npt.NDArray[np.integer]) -> IntArray:
        """The values of words [...], all of which must be among them."""
        return np.asarray(self._by_word[words])

    def bits_of(self, values: IntArray) -> Bits:
        """The bits [..., bits] of the codes of values [...], the lowest first."""
        words = self._table.astype(np.uint8)[values - self.values[0]]
        return (words[..., None] >> np.arange(self.bits, dtype=np.uint8)) & np.uint8(1)

    @cached_property
    def _table(self) -> IntArray:
        """By value less the smallest, its word; -1 where there is none."""
        table = np.full(self.values[-1] - self.values[0] + 1, -1, np.int64)
        table[np.array(self.values) - self.values[0]] = self.words
        return table

    @cached_property
    def _by_word(self) -> IntArray:
        """By word, its value; 0 where there is none."""
        table = np.zeros(1 << self.bits, np.int64)
        table[list(self.words)] = self.values
        return table


BIPOLAR = CodeValues(1, (-1, 1), (0, 1))
"""One bit that is a sign: 1 is +1, 0 is -1."""


@lru_cache(maxsize=2 * MAX_BITS)
def all_codes(bits: int, signed: bool) -> CodeValues:
    """Every code of so many bits: two's complement (``signed``) or plain binary."""
    low, high = signed_range(check_integer("bits", bits, 1, MAX_BITS), signed)
    return codes_of(bits, range(low, high + 1))


def network_codes(bits: int, signed: bool) -> CodeValues:
    """Codes of a quantised network: every code of so many bits, but one signed bit is a sign."""
    return BIPOLAR if bits == 1 and signed else all_codes(bits, signed)


def codes_of(bits: int, values: Sequence[int]) -> CodeValues:
    """Codes of some values, ascending, in two's complement, or in plain binary where none is negative.

    Raises ValueError where so many bits do not hold them.

    >>> codes_of(2, (-1, 0, 1)).words
    (3, 0, 1)
    """
    check_integer("bits", bits, 1, MAX_BITS)
    low, high = signed_range(bits, min(values, default=0) < 0)
    for value in values:
        check_integer(f"a value of {bits} bits", value, low, high)
    return CodeValues(bits, tuple(values), tuple(value & ((1 << bits) - 1) for value in values))
