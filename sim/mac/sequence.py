"""What a MAC unit is told cycle by cycle, and what it must answer. Neither needs a simulator."""

from __future__ import annotations

import random
from collections.abc import Mapping
from collections.abc import Sequence as Items
from itertools import repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError
from sim.bench import Layout

__all__ = ["Expected", "Model", "Sequence"]


class Expected(NamedTuple):
    """One cycle with out_valid high.

    ``value`` is what the accumulator must be, None where a serial design is amid its products. ``number`` counts
    the sums of a sequence, ``products`` those of this sum that have entered so far.
    """

    cycle: int
    number: int
    precision: Precision
    products: int
    value: int | None


class Model:
    """Expected accumulators, from the golden model alone."""

    def __init__(self, spec: MacSpec) -> None:
        self.spec = spec

    def sums(
        self, weights: npt.NDArray[np.int64], activations: npt.NDArray[np.int64], precision: Precision
    ) -> list[tuple[int, int | None]]:
        """(products so far, their sum) after every cycle of one sum of K products, operands of shape (K,).

        A design that takes several cycles for a step is only known after the last of all.
        """
        step, count = self.spec.products_per_step(precision), len(weights)
        cycles = self.spec.cycles_per_step(precision)
        steps = max(1, -(-count // step))
        if cycles > 1:
            total = int(self.spec.compute(weights, activations, precision))
            return [*[(0, None)] * (steps * cycles - 1), (count, total)]
        full = count // step
        shape = (full, step)
        parts = self.spec.compute(
            weights[: full * step].reshape(shape), activations[: full * step].reshape(shape), precision
        )
        if full < steps:
            rest = self.spec.compute(weights[full * step :], activations[full * step :], precision)
            parts = np.append(parts, rest)
        return [(min(count, (k + 1) * step), int(value)) for k, value in enumerate(parts.cumsum())]


class Sequence:
    """Input words of one unit, one a cycle, and the answers they must have.

    It begins with a reset. Where a port does not matter it gets random bits.
    """

    def __init__(self, spec: MacSpec, seed: int = 0) -> None:
        self.spec = spec
        self.layout = Layout.of(spec)
        self.words: list[int] = []
        self.expected: list[Expected] = []
        self.resets: set[int] = set()
        self.sums = 0
        self.random = random.Random(f"{spec.name} {seed}")
        self._rst, self._in_valid = self.layout.word({"rst": 1}), self.layout.word({"in_valid": 1})
        self.reset(2)

    def reset(self, cycles: int = 1) -> None:
        """Holds rst: what is in the pipeline never comes out."""
        for _ in range(cycles):
            now = len(self.words)
            while self.expected and self.expected[-1].cycle > now:
                self.expected.pop()
            self.resets.add(now)
            self.words.append(self._noise() | self._rst)

    def idle(self, cycles: int = 1) -> None:
        """Holds in_valid low."""
        for _ in range(cycles):
            self.words.append(self._noise() & ~self._rst & ~self._in_valid)

    def add(
        self,
        weights: npt.ArrayLike,
        activations: npt.ArrayLike,
        precision: Precision,
        *,
        stalls: float = 0.0,
        cut: int | None = None,
    ) -> None:
        """One sum of K products, operands of shape (K,).

        stalls: the chance of an idle cycle before each cycle. cut: end after so many cycles, for a reset or the next
        sum.
        """
        w, a = np.asarray(weights, dtype=np.int64), np.asarray(activations, dtype=np.int64)
        answers = Model(self.spec).sums(w, a, precision)
        words = self._pack(self.spec.pack(w, a, precision), precision)
        for word, (products, value) in list(zip(words, answers, strict=True))[:cut]:
            while stalls and self.random.random() < stalls:
                self.idle()
            self._expect(precision, products, value)
            self.words.append(word)
        self.sums += 1

    def add_parts(self, parts: Items[tuple[npt.ArrayLike, npt.ArrayLike, Precision]], *, stalls: float = 0.0) -> None:
        """One sum of parts that have precisions of their own: (weights, activations, precision), K products each."""
        before, total = 0, 0
        for number, (weights, activations, precision) in enumerate(parts):
            w, a = np.asarray(weights, dtype=np.int64), np.asarray(activations, dtype=np.int64)
            packed = self.spec.pack(w, a, precision)
            packed["clear"][0] = int(number == 0)
            for word, (products, value) in zip(
                self._pack(packed, precision), Model(self.spec).sums(w, a, precision), strict=True
            ):
                while stalls and self.random.random() < stalls:
                    self.idle()
                self._expect(precision, before + products, None if value is None else total + value)
                self.words.append(word)
            before, total = before + len(w), self.spec.compute_steps(parts[: number + 1])
        self.sums += 1

    def add_steps(self, weights: npt.ArrayLike, activations: npt.ArrayLike, precision: Precision) -> None:
        """Many sums of one step each: operands of shape (sums, products_per_step)."""
        w, a = np.asarray(weights, dtype=np.int64), np.asarray(activations, dtype=np.int64)
        step, cycles = self.spec.products_per_step(precision), self.spec.cycles_per_step(precision)
        together = self.spec.reduction_length // step
        for start in range(0, len(w), together):
            rows = slice(start, start + together)
            values = self.spec.compute(w[rows], a[rows], precision).tolist()
            packed = self.spec.pack(w[rows].ravel(), a[rows].ravel(), precision)
            packed["clear"] = [1, *[0] * (cycles - 1)] * len(values)
            if cycles == 1:
                first = len(self.words) + self.spec.latency
                sums = range(self.sums, self.sums + len(values))
                due = range(first, first + len(values))
                self.expected += map(Expected, due, sums, repeat(precision), repeat(step), values)
                self.words += self._pack(packed, precision)
                self.sums += len(values)
                continue
            for cycle, word in enumerate(self._pack(packed, precision)):
                last = cycle % cycles == cycles - 1
                self._expect(precision, step if last else 0, values[cycle // cycles] if last else None)
                self.words.append(word)
                self.sums += last

    def finish(self) -> None:
        """Idle cycles until everything has come out."""
        self.idle(self.spec.latency + 3)

    def _expect(self, precision: Precision, products: int, value: int | None) -> None:
        cycle = len(self.words) + self.spec.latency
        self.expected.append(Expected(cycle, self.sums, precision, products, value))

    def _pack(self, packed: Mapping[str, list[int]], precision: Precision) -> list[int]:
        """Input words; bits that the design ignores are random."""
        ignored = self.layout.word(self.spec.ignored_bits(precision))
        words = [self._in_valid] * len(packed["clear"])
        for name, low, width in self.layout.inputs:
            if name in packed:
                limit = 1 << width
                for cycle, value in enumerate(packed[name]):
                    if not 0 <= value < limit:
                        raise InputError(f"{name} must be a word of {width} bits, not {value}")
                    words[cycle] |= value << low
        if ignored:
            words = [word & ~ignored | self.random.getrandbits(self.layout.input_width) & ignored for word in words]
        return words

    def _noise(self) -> int:
        return self.random.getrandbits(self.layout.input_width) & ~self._rst
