"""Names of the bits of a circuit, for people who read the Verilog. No gate depends on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

__all__ = ["BitName", "Names", "gathered"]

_LONGEST = 40
"""Characters of a name that is made of other names."""


class BitName(NamedTuple):
    """The name of a bit: that of a signal of its own where ``place`` is None, else a place in a word."""

    text: str
    place: int | None = None

    @property
    def flat(self) -> str:
        """As one identifier.

        >>> BitName("weights", 3).flat
        'weights_3'
        """
        return self.text if self.place is None else f"{self.text}_{self.place}"


class Names:
    """Names by bit, each given once: the first name of a bit stays, and no two signals have the same.

    >>> names = Names()
    >>> names.word((5, 6, 7), "row"); names.bit(6, "again"); names.bit(8, "row")
    >>> names[6], names[8]
    (BitName(text='row', place=1), BitName(text='row_2', place=None))
    """

    def __init__(self) -> None:
        self._names: dict[int, BitName] = {}
        self._widths: dict[str, int] = {}
        self._described = 0

    def __contains__(self, bit: int) -> bool:
        return bit in self._names

    def __getitem__(self, bit: int) -> BitName:
        return self._names[bit]

    def width(self, text: str) -> int:
        """Bits of a word; 1 for a bit of its own."""
        return self._widths[text]

    def bit(self, bit: int, text: str) -> None:
        """Names a bit that has no name."""
        if bit not in self._names:
            self._names[bit] = BitName(self._new(text, 1))

    def word(self, bits: Sequence[int], text: str) -> None:
        """Names bits that have no names: as a word the first ones that all have none and differ."""
        fresh = 0
        while fresh < len(bits) and bits[fresh] not in self._names and bits[fresh] not in bits[:fresh]:
            fresh += 1
        if fresh > 1:
            word = self._new(text, fresh)
            self._names.update((bit, BitName(word, place)) for place, bit in enumerate(bits[:fresh]))
        for place, bit in enumerate(bits):
            self.bit(bit, text if len(bits) == 1 else f"{text}_{place}")

    def describe(self, bit: int, kind: str, inputs: Iterable[int], inverse: Mapping[int, int]) -> None:
        """Names a bit by the gate that makes it, and by what that reads where this is short. inverse: what inverters
        read, by what they make.
        """
        if bit in self._names:
            return
        sources = [self._flat(each, inverse) for each in inputs]
        text = f"_{kind}_".join(sources) if len(sources) > 1 else f"{kind}_{sources[0]}"
        if not all(sources) or len(text) > _LONGEST:
            self._described += 1
            text = f"{kind}_of_others_{self._described}"
        self.bit(bit, text)

    def _flat(self, bit: int, inverse: Mapping[int, int]) -> str:
        """The name of a bit, or of what it is the inverse of; empty for neither."""
        if bit in self._names:
            return self._names[bit].flat
        return f"not_{self._names[inverse[bit]].flat}" if inverse.get(bit) in self._names else ""

    def _new(self, text: str, width: int) -> str:
        free, number = text, 2
        while free in self._widths:
            free, number = f"{text}_{number}", number + 1
        self._widths[free] = width
        return free


def gathered(bits: Sequence[int], names: Names, suffix: str) -> Mapping[int, BitName]:
    """Names of copies of these bits: words of which all bits are there stay words."""
    there = Counter(names[bit].text for bit in bits)
    found = {}
    for bit in bits:
        text, place = name = names[bit]
        whole = place is not None and there[text] == names.width(text)
        found[bit] = BitName(f"{text}{suffix}", place) if whole else BitName(f"{name.flat}{suffix}")
    return found
