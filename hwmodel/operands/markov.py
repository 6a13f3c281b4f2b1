"""Codes with given statistics: a chain in which each code depends on the one before, and on nothing else.

Of all distributions of two successive codes x and y that have the wanted probability of one and toggle rate of every
bit and the wanted share of zeros, the one of largest entropy is taken. It has the form

    P(x, y) ~ z^([x = 0] + [y = 0]) * product over bits j of M_j[x_j, y_j],   M_j symmetric

and is found by iterative proportional fitting: one condition after the other is met by scaling its factor (Deming and
Stephan, Ann. Math. Stat. 11, 1940; Csiszar, Ann. Prob. 3, 1975). What these statistics do not hold is not in the
codes: bits depend on each other only through the zeros, lanes not at all, and a code only on the one before.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt

from rtl.spec import CodeValues, IntArray, check_integer
from siliquant.inputs import InputError

from .statistics import CodeStatistics

__all__ = ["chain", "markov_codes"]

FloatArray = npt.NDArray[np.float64]

ROUNDS = 2000
CLOSE = 1e-6
MOST = 1e12
SAMPLING_SLACK = 0.02


def markov_codes(statistics: CodeStatistics, steps: int, lanes: int, *, values: CodeValues, seed: int = 0) -> IntArray:
    """Codes of shape (steps, lanes) with the given statistics, up to the chance of a finite sample.

    values: what the codes stand for; as many as their bits have words. The same arguments give the same codes. Raises
    TypeError and ValueError for sizes below 1, for other values, and as :func:`chain`.
    """
    for name, value in (("steps", steps), ("lanes", lanes)):
        check_integer(name, value, 1)
    check_integer("seed", seed, 0)
    bits = statistics.bits
    if values.bits != bits or len(values.values) != 1 << bits:
        raise InputError(f"values must be {1 << bits}, one for each word of {bits} bits, not {len(values.values)}")
    both = chain(statistics)
    start = np.cumsum(both.sum(1))
    following = np.cumsum(both, axis=1)
    following /= np.maximum(following[:, -1:], np.finfo(np.float64).tiny)
    raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(steps * lanes).reshape(steps, lanes)
    uniform = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    last = (1 << bits) - 1
    words = np.empty((steps, lanes), np.int64)
    words[0] = np.minimum(np.searchsorted(start, uniform[0], side="right"), last)
    for step in range(1, steps):
        words[step] = np.minimum((following[words[step - 1]] <= uniform[step][:, None]).sum(1), last)
    return values.values_of(words)


def chain(statistics: CodeStatistics) -> FloatArray:
    """Probabilities [2^bits, 2^bits] of a code and the one after it; symmetric, by their bit patterns.

    Raises ValueError where no codes have these statistics. Statistics that were counted are off by chance, so toggles
    may exceed what the probabilities of one allow by 0.02, and are then cut to that.
    """
    ones = np.array(statistics.ones)
    toggles = np.array(statistics.toggles)
    most = 2 * np.minimum(ones, 1 - ones)
    for bit, (toggle, limit) in enumerate(zip(toggles, most, strict=True)):
        if toggle > limit + SAMPLING_SLACK:
            raise InputError(f"toggles of bit {bit} must be at most {limit:.4f} with ones of {ones[bit]}, not {toggle}")
    toggles = np.minimum(toggles, most)
    # [bits, 2, 2]: the wanted distribution of a bit and the same bit of the next code
    wanted = np.array([[[1 - p - t / 2, t / 2], [t / 2, p - t / 2]] for p, t in zip(ones, toggles, strict=True)])
    if statistics.bits == 1:  # its share of zeros is that of its zero bits, or 0 where codes are -1 and +1
        if min(abs(statistics.zeros - (1 - ones[0])), statistics.zeros) > SAMPLING_SLACK:
            raise InputError(f"zeros of one-bit codes must be 0 or {1 - ones[0]:.4f}, not {statistics.zeros}")
        return np.asarray(wanted[0])
    factors, weight = _fit(wanted, statistics.zeros)
    both = reduce(np.kron, factors[::-1])  # the highest bit first
    both[0] *= weight
    both[:, 0] *= weight
    both /= both.sum()
    found = np.array([both[0].sum(), *_ones_and_toggles(both)])
    if np.abs(found - [statistics.zeros, *ones, *toggles]).max() > SAMPLING_SLACK:
        raise InputError(
            f"zeros must be a share that codes with these ones and toggles can have, not {statistics.zeros}"
        )
    return np.asarray(both)


def _ones_and_toggles(both: FloatArray) -> list[float]:
    """Probability of one of each bit of the codes, then toggle rate of each."""
    words = np.arange(len(both))
    bits = range(len(both).bit_length() - 1)
    ones = [float(both[words >> bit & 1 == 1].sum()) for bit in bits]
    return ones + [float(both[(words[:, None] ^ words) >> bit & 1 == 1].sum()) for bit in bits]


def _fit(wanted: FloatArray, zeros: float) -> tuple[FloatArray, float]:
    """Factors M [bits, 2, 2] and z of the distribution; the sums over all pairs of codes are products of the factors'.

    With u = z - 1, R the sum of all M, C of their first rows and D of M[0, 0], each multiplied over the bits, the sum
    over all x and y is R + 2uC + u^2 D, and that over x = 0 is (1 + u) (C + uD).
    """
    factors, weight, worst = wanted.copy(), 1.0, 1.0
    for _ in range(ROUNDS):
        weight, worst = _zero_weight(factors, zeros), 0.0
        for bit, target in enumerate(wanted):
            others = np.delete(factors, bit, axis=0)
            u = weight - 1
            row = u * float(others[:, 0].sum(1).prod())
            found = factors[bit] * float(others.sum((1, 2)).prod())
            found[0] += factors[bit, 0] * row
            found[:, 0] += factors[bit, :, 0] * row
            found[0, 0] += factors[bit, 0, 0] * u * u * float(others[:, 0, 0].prod())
            found /= found.sum()
            worst = max(worst, float(np.abs(found - target).max()))
            factors[bit] *= np.divide(target, found, out=np.zeros((2, 2)), where=found > 0)
            factors[bit] /= factors[bit].sum()
        if worst < CLOSE:
            break
    return factors, weight


def _zero_weight(factors: FloatArray, zeros: float) -> float:
    """The z with which a share of ``zeros`` codes is 0: the larger root of a quadratic equation in z - 1."""
    whole, first, both = (float(part.prod()) for part in (factors.sum((1, 2)), factors[:, 0].sum(1), factors[:, 0, 0]))
    square, linear, constant = both * (1 - zeros), first + both - 2 * zeros * first, first - zeros * whole
    if square > 1e-15 * first:
        found = 1 + (-linear + max(0.0, linear * linear - 4 * square * constant) ** 0.5) / (2 * square)
    else:
        found = 1 - constant / linear if linear else 1.0
    return min(max(found, 0.0), MOST)
