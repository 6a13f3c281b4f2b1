"""What the tests of one array drive, and which bits of its outputs they look at, cycle by cycle.

The tests wait for the array, so what they do next depends on what they have seen. Up to the first of those bits that is
another one they drive the same inputs; then they fail. So a trace of the right array says of a wrong one whether the
tests find it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLIP_VARIABLE", "TRACE_VARIABLE", "Looked", "TraceWriter", "read_trace"]

TRACE_VARIABLE = "SILIQUANT_TRACE"
"""Environment variable with the file that a trace is written to: only of a bench of one array."""
FLIP_VARIABLE = "SILIQUANT_FLIP"
"""Environment variable with a number: so many times a test looks, then it sees another bit, and has to fail."""


@dataclass(frozen=True)
class Looked:
    """A cycle, which begins at a falling edge. word: what is driven from there on. mask, seen: the bits of the outputs
    that were looked at before, and what they were; words as of :class:`sim.bench.Layout`.
    """

    word: int
    mask: int
    seen: int


class TraceWriter:
    """Writes a line for each thing that a test does, behind those of the tests before."""

    def __init__(self, path: Path, flip: int | None = None) -> None:
        self._path, self._flip, self._looks = path, flip, 0

    def begin(self) -> None:
        """A test begins."""
        self._looks = 0
        self._line("begin")

    def drives(self, edge: int, word: int) -> None:
        """From this falling edge of the test on, ``word`` is on the inputs."""
        self._line(f"drive {edge} {word:x}")

    def sees(self, edge: int, low: int, bits: str) -> str:
        """At this falling edge these were the bits from ``low`` on, and the test fails where they are others. Returns
        them, the highest inverted where that look is to be another.
        """
        self._see(edge, low, bits)
        self._looks += 1
        if self._looks != self._flip:
            return bits
        self._line("flip")
        return f"{1 - int(bits[0])}{bits[1:]}"

    def waits(self, edge: int, low: int) -> None:
        """At this falling edge the bit ``low`` was 1, and the test waited for it to fall."""
        self._see(edge, low, "1")

    def _see(self, edge: int, low: int, bits: str) -> None:
        self._line(f"see {edge} {((1 << len(bits)) - 1) << low:x} {int(bits, 2) << low:x}")

    def _line(self, text: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{text}\n")


def read_trace(path: Path) -> list[Looked]:
    """The cycles of all tests, one test behind the other."""
    tests: list[list[list[str]]] = []
    for line in path.read_text().splitlines():
        kind, *rest = line.split()
        if kind == "begin":
            tests.append([])
        elif kind != "flip":
            tests[-1].append([kind, *rest])
    return [cycle for test in tests for cycle in _cycles(test)]


def _cycles(lines: Sequence[Sequence[str]]) -> Iterator[Looked]:
    words: dict[int, int] = {}
    seen: dict[int, tuple[int, int]] = {}
    for kind, edge, *numbers in lines:
        place = int(edge)
        if kind == "drive":
            words[place] = int(numbers[0], 16)
            continue
        mask, value = seen.get(place, (0, 0))
        seen[place] = mask | int(numbers[0], 16), value | int(numbers[1], 16)
    word = 0
    for place in range(max((*words, *seen), default=-1) + 1):
        word = words.get(place, word)
        yield Looked(word, *seen.get(place, (0, 0)))
