"""How a design lays the codes of a step out on its ports, found from the design itself.

Every bit of a port word is a copy of one bit of one code, or a constant. Which, a few steps tell: each bit of the
codes has a number, and probe t sets those bits whose number has bit t, so that a port bit spells the number of what it
copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .mac import MacSpec, Precision
from .numbers import IntArray
from .values import Bits

__all__ = ["Packing", "packing_of", "word_bits"]

_SEED = 1


@dataclass(frozen=True, eq=False)
class Packing:
    """The port words of one step.

    sources: by operand port, int64 [cycles, port width]: what each bit is. 0 and 1 are constants; bit b of the weight
    of lane l is 2 + l * weight_bits + b, and the bits of the activations follow in the same way.
    """

    sources: Mapping[str, IntArray]

    def pack(self, weights: Bits, activations: Bits) -> dict[str, Bits]:
        """Port bits [..., cycles, port width] of steps, from bits [..., lanes, bits of a code], the lowest first."""
        outer = weights.shape[:-2]
        parts = [np.zeros((*outer, 1), np.uint8), np.ones((*outer, 1), np.uint8)]
        parts += [operand.reshape(*outer, -1) for operand in (weights, activations)]
        every = np.concatenate(parts, axis=-1)
        return {port: every[..., sources] for port, sources in self.sources.items()}


@lru_cache(maxsize=256)
def packing_of(spec: MacSpec, precision: Precision, used: int) -> Packing | None:
    """The layout of a step with ``used`` products (fewer than a full step: the rest is padded with zero).

    None for a design that does more with its operands than to copy their bits. ValueError for a precision it lacks.
    """
    spec.check_precision(precision)
    shapes = ((used, precision.weight_bits), (used, precision.activation_bits))
    middle, size = used * precision.weight_bits, used * (precision.weight_bits + precision.activation_bits)

    def probe(bits: Bits) -> dict[str, Bits]:
        halves = (bits[:middle].reshape(shapes[0]), bits[middle:].reshape(shapes[1]))
        codes = [(half.astype(np.int64) << np.arange(half.shape[-1])).sum(-1).tolist() for half in halves]
        words = spec._pack_step(codes[0], codes[1], precision)
        return {port.name: word_bits([word[port.name] for word in words], port.width) for port in spec.operand_ports}

    numbers = np.arange(1, size + 1)
    probes = int(size + 1).bit_length()
    spelled: dict[str, IntArray] = {}
    for t in range(probes):
        for port, bits in probe(((numbers >> t) & 1).astype(np.uint8)).items():
            spelled[port] = spelled.get(port, 0) + (bits.astype(np.int64) << t)
    ones = (1 << probes) - 1
    found = {port: np.where(word == ones, 1, np.where(word == 0, 0, word + 1)) for port, word in spelled.items()}
    packing = Packing(found)
    if any(sources.max(initial=0) > size + 1 for sources in found.values()):
        return None
    any_bits = (np.random.PCG64(_SEED).random_raw(size) >> np.uint64(63)).astype(np.uint8)
    expected = probe(any_bits)
    again = packing.pack(any_bits[:middle].reshape(shapes[0]), any_bits[middle:].reshape(shapes[1]))
    return packing if all(np.array_equal(again[port], bits) for port, bits in expected.items()) else None


def word_bits(words: Sequence[int], width: int) -> Bits:
    """Unsigned words as bits [words, width], the lowest first."""
    octets = -(-width // 8)
    lines = np.frombuffer(b"".join(word.to_bytes(octets, "little") for word in words), np.uint8)
    return np.unpackbits(lines.reshape(len(words), octets), axis=1, count=width, bitorder="little")
