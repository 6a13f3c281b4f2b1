"""Products of any two code widths on any design: where it has no precision for them, in passes over slices of the
operands, whose sums are shifted, negated and added where the results drain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from rtl.spec import MAX_BITS, IntArray, MacSpec, Precision, check_integer, signed_range, sum_width
from siliquant.inputs import InputError, InputTypeError

__all__ = ["Codes", "Pass", "Slice", "plan_passes", "width_of_results"]


@dataclass(frozen=True)
class Codes:
    """What the codes of an operand are: two's complement or from 0; one signed bit is {-1, +1}, one unsigned {0, 1}."""

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.signed, bool):
            raise InputTypeError(f"signed must be a bool, not {self.signed!r}")

    @property
    def bipolar(self) -> bool:
        """Whether the codes are -1 and +1."""
        return self.bits == 1 and self.signed

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest code."""
        return (-1, 1) if self.bipolar else signed_range(self.bits, self.signed)

    @property
    def all(self) -> IntArray:
        """Every code, in ascending order."""
        low, high = self.range
        return np.arange(low, high + 1, 2 if self.bipolar else 1)


@dataclass(frozen=True)
class Slice:
    """A part of every code of an operand: ``take(codes)`` counts ``factor`` times (plus or minus a power of two).

    ``limits`` are the smallest and largest value of the part; ``bipolar`` parts are -1 or +1.
    """

    take: Callable[[IntArray], IntArray]
    factor: int
    limits: tuple[int, int]
    bipolar: bool


@dataclass(frozen=True)
class Pass:
    """One run of the array: the product of two slices at ``precision``, shifted left and negated, added to the passes
    before unless it is the first; in the last, the total is halved if ``halve``.

    ``limits`` are the smallest and largest total after this pass that one product of two codes adds up to.
    """

    precision: Precision
    weights: Slice
    activations: Slice
    shift: int
    negate: bool
    accumulate: bool
    halve: bool
    limits: tuple[int, int]


@lru_cache(maxsize=256)
def plan_passes(mac: MacSpec, weights: Codes, activations: Codes) -> tuple[Pass, ...]:
    """The passes for signed ``weights`` (second operand) and ``activations`` (first operand) on ``mac``.

    One pass where a precision of the design holds both. Otherwise activations are cut into unsigned slices of the
    design's widest unsigned activations, the top one signed, and weights into signed digits of its widest weights; on
    {-1, +1} hardware into the digits of 2 * w + 1, with one more pass for the sum of the activations, and halved.
    Raises ValueError for unsigned weights.
    """
    if not weights.signed:
        raise InputError(f"the second operand must be signed, not unsigned {weights.bits}-bit codes")
    whole = _choose(mac, _whole(weights), _whole(activations))
    if whole is not None:
        corners = [w * a for w in weights.range for a in activations.range]
        limits = min(corners), max(corners)
        return (Pass(whole, _whole(weights), _whole(activations), 0, False, False, False, limits),)
    weight_slices, halve = _weight_slices(mac, weights)
    pairs = list(product(weight_slices, _activation_slices(mac, activations)))
    passes = []
    total = np.zeros((1 << weights.bits, 1 << activations.bits), np.int64)  # of each pair of codes
    for number, (w, a) in enumerate(pairs):
        precision = _choose(mac, w, a)
        if precision is None:
            raise InputError(f"{mac.name} has no precision for slices of {weights} and {activations}")
        factor = w.factor * a.factor
        halved = halve and number == len(pairs) - 1
        total += factor * np.multiply.outer(w.take(weights.all), a.take(activations.all))
        limits = int(total.min()) >> halved, int(total.max()) >> halved
        passes.append(Pass(precision, w, a, abs(factor).bit_length() - 1, factor < 0, number > 0, halved, limits))
    return tuple(passes)


def width_of_results(passes: Sequence[Pass], k: int) -> int:
    """Bits of the results that hold every sum of ``k`` products: the least ``result_width`` of an array for them.

    What is kept from pass to pass may wrap round, since two's complement sums come out right all the same; but a last
    total that is halved has one bit more than the results, so that what it is added to must be whole.
    """
    kept = [each.limits for each in (passes[-2:] if passes[-1].halve else passes[-1:])]
    return max(sum_width(k * low, k * high) for low, high in kept)


def _whole(codes: Codes) -> Slice:
    return Slice(lambda values: values, 1, codes.range, codes.bipolar)


def _choose(mac: MacSpec, weights: Slice, activations: Slice) -> Precision | None:
    """The fastest precision that holds both slices, of equally fast ones the narrowest."""
    found = [
        precision
        for precision in mac.precisions
        if _holds(mac.weight_range(precision), precision.weight_bits, weights)
        and _holds(mac.activation_range(precision), precision.activation_bits, activations)
    ]
    return min(found, key=lambda p: (-mac.macs_per_cycle(p), p.weight_bits, p.activation_bits), default=None)


def _holds(limits: tuple[int, int], bits: int, part: Slice) -> bool:
    low, high = limits
    if (low, high) == (-1, 1) and bits == 1 and not part.bipolar:
        return False  # this hardware has no 0
    return low <= part.limits[0] and part.limits[1] <= high


def _activation_slices(mac: MacSpec, codes: Codes) -> list[Slice]:
    low = codes.range[0]
    bits = 2 if codes.bipolar else codes.bits
    width = max(p.activation_bits for p in mac.precisions if not p.activation_signed)
    for precision in mac.precisions:
        if _holds(mac.activation_range(precision), precision.activation_bits, _whole(codes)):
            return [_whole(codes)]
    slices = []
    for start in range(0, bits, width):
        top = start + width >= bits
        size = min(width, bits - start)
        # A signed bit alone would be -1 or 0: it is taken as 1 or 0, and counts negative.
        negative = top and low < 0 and size == 1
        limits = signed_range(size, top and low < 0 and not negative)
        slices.append(Slice(_bits(start, size, limits[0] < 0), (-1 if negative else 1) << start, limits, False))
    return slices


def _bits(start: int, size: int, signed: bool) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        part = (values >> start) & ((1 << size) - 1)
        return np.asarray(part - ((part >> (size - 1)) << size) if signed else part)

    return take


def _weight_slices(mac: MacSpec, codes: Codes) -> tuple[list[Slice], bool]:
    """Slices of signed codes, and whether the total is twice what it should be."""
    for precision in mac.precisions:
        if _holds(mac.weight_range(precision), precision.weight_bits, _whole(codes)):
            return [_whole(codes)], False
    bits = 2 if codes.bipolar else codes.bits
    width = max(p.weight_bits for p in mac.precisions)
    if any(mac.weight_range(p) == (-1, 1) for p in mac.precisions):
        # 2 * w + 1 = sum of d[i] * 2**i with d[i] = -1 or +1, from the bits of w + 2**(bits - 1).
        digits = [Slice(_bipolar_digit(place, bits), 1 << place, (-1, 1), True) for place in range(bits)]
        return [*digits, Slice(np.ones_like, -1, (-1, 1), True)], True
    if width == 1:  # a weight is -1 or 0
        factors = [*(-1 << place for place in range(bits - 1)), 1 << (bits - 1)]
        return [Slice(_negated_bit(place), factor, (-1, 0), False) for place, factor in enumerate(factors)], False
    return _balanced_digits(codes.range, width), False


def _bipolar_digit(place: int, bits: int) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        return np.asarray(2 * (((values + (1 << (bits - 1))) >> place) & 1) - 1)

    return take


def _negated_bit(place: int) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        return np.asarray(-((values >> place) & 1))

    return take


def _balanced_digits(limits: tuple[int, int], width: int) -> list[Slice]:
    """Digits from -2**(width - 1) to 2**(width - 1) - 1, radix 2**width, as many as the range needs."""
    low, high = signed_range(width, True)
    slices: list[Slice] = []
    reach = [0, 0]
    while reach[0] > limits[0] or reach[1] < limits[1]:
        place = len(slices) * width
        reach = [reach[0] + (low << place), reach[1] + (high << place)]
        slices.append(Slice(_digit(len(slices), width), 1 << place, (low, high), False))
    return slices


def _digit(number: int, width: int) -> Callable[[IntArray], IntArray]:
    half, radix = 1 << (width - 1), 1 << width

    def take(values: IntArray) -> IntArray:
        for _ in range(number):
            values = (values + half) >> width
        return np.asarray(((values + half) & (radix - 1)) - half)

    return take
