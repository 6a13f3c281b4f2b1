"""Products of any two code widths on any design: where it has no precision for them, in passes over slices of the
operands, whose sums are shifted, negated and added where the results drain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from rtl.spec import (
    BIPOLAR,
    MAX_BITS,
    CodeValues,
    IntArray,
    MacSpec,
    Precision,
    all_codes,
    check_integer,
    network_codes,
    sum_width,
)
from siliquant.inputs import InputError, InputTypeError

__all__ = ["Codes", "Pass", "Slice", "plan_passes", "width_of_results"]


@dataclass(frozen=True)
class Codes:
    """The codes of an operand of a network: two's complement or from 0; one signed bit is {-1, +1}."""

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.signed, bool):
            raise InputTypeError(f"signed must be a bool, not {self.signed!r}")

    @property
    def values(self) -> CodeValues:
        """What they stand for."""
        return network_codes(self.bits, self.signed)


@dataclass(frozen=True)
class Slice:
    """A part of every code of an operand: ``take(codes)`` counts ``factor`` times (plus or minus a power of two).

    ``values`` are all that the part can be, ascending.
    """

    take: Callable[[IntArray], IntArray]
    factor: int
    values: tuple[int, ...]


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

    @property
    def changed(self) -> bool:
        """Whether sums are stored otherwise than they are, as :data:`rtl.array.run.CHANGES`."""
        return bool(self.shift or self.negate or self.accumulate or self.halve)


@lru_cache(maxsize=256)
def plan_passes(mac: MacSpec, weights: Codes, activations: Codes) -> tuple[Pass, ...]:
    """The passes for signed ``weights`` (second operand) and ``activations`` (first operand) on ``mac``.

    One pass where a precision of the design holds both. Otherwise activations are cut into unsigned slices, as wide as
    the design holds all values of, the top one signed, and weights into signed digits, as wide in the same way; where
    the design holds -1 and +1 but not 0, into the digits of 2 * w + 1, with one more pass for the sum of the
    activations, and halved. Raises ValueError for unsigned weights, and for codes of which the design holds no digits.
    """
    if not weights.signed:
        raise InputError(f"the second operand must be signed, not unsigned {weights.bits}-bit codes")
    whole = _choose(mac, _whole(weights), _whole(activations))
    if whole is not None:
        corners = [w * a for w in weights.values.range for a in activations.values.range]
        limits = min(corners), max(corners)
        return (Pass(whole, _whole(weights), _whole(activations), 0, False, False, False, limits),)
    weight_slices, halve = _weight_slices(mac, weights)
    pairs = list(product(weight_slices, _activation_slices(mac, activations)))
    if not pairs:
        raise _not_held(mac, weights, activations)
    passes = []
    w_codes, a_codes = (np.array(codes.values.values, np.int64) for codes in (weights, activations))
    total = np.zeros((len(w_codes), len(a_codes)), np.int64)  # of each pair of codes
    for number, (w, a) in enumerate(pairs):
        precision = _choose(mac, w, a)
        if precision is None:
            raise _not_held(mac, weights, activations)
        factor = w.factor * a.factor
        halved = halve and number == len(pairs) - 1
        total += factor * np.multiply.outer(w.take(w_codes), a.take(a_codes))
        limits = int(total.min()) >> halved, int(total.max()) >> halved
        passes.append(Pass(precision, w, a, abs(factor).bit_length() - 1, factor < 0, number > 0, halved, limits))
    return tuple(passes)


def _not_held(mac: MacSpec, weights: Codes, activations: Codes) -> InputError:
    held = [f"weights {mac.weight_values(p)}, activations {mac.activation_values(p)}" for p in mac.precisions]
    return InputError(
        f"{mac.name} must hold the codes of a layer, or digits of them: it holds {'; '.join(dict.fromkeys(held))}; "
        f"the layer has weights {weights.values}, activations {activations.values}"
    )


def width_of_results(passes: Sequence[Pass], k: int) -> int:
    """Bits of the results that hold every sum of ``k`` products: the least ``result_width`` of an array for them.

    What is kept from pass to pass may wrap round, since two's complement sums come out right all the same; but a last
    total that is halved has one bit more than the results, so that what it is added to must be whole.
    """
    kept = [each.limits for each in (passes[-2:] if passes[-1].halve else passes[-1:])]
    return max(sum_width(k * low, k * high) for low, high in kept)


def _whole(codes: Codes) -> Slice:
    return Slice(lambda values: values, 1, codes.values.values)


def _slice(take: Callable[[IntArray], IntArray], factor: int, codes: Codes) -> Slice:
    values = np.unique(take(np.array(codes.values.values, np.int64)))
    return Slice(take, factor, tuple(values.tolist()))


def _choose(mac: MacSpec, weights: Slice, activations: Slice) -> Precision | None:
    """The fastest precision that holds both slices, of equally fast ones the narrowest."""
    found = [
        precision
        for precision in mac.precisions
        if _holds(mac.weight_values(precision), weights.values)
        and _holds(mac.activation_values(precision), activations.values)
    ]
    return min(found, key=lambda p: (-mac.macs_per_cycle(p), p.weight_bits, p.activation_bits), default=None)


def _holds(held: CodeValues, values: Sequence[int]) -> bool:
    """Whether ascending values are all among those of codes."""
    low, high = held.range
    return low <= values[0] and values[-1] <= high and (held.contiguous or not held.lacking(values).size)


def _widest(kinds: Iterable[CodeValues], signed: bool) -> int:
    """The most bits of which one of some kinds of codes holds every value, 0 where there are none."""
    found = [bits for kind in kinds for bits in range(1, kind.bits + 1) if _holds(kind, all_codes(bits, signed).values)]
    return max(found, default=0)


def _activation_slices(mac: MacSpec, codes: Codes) -> list[Slice]:
    """Slices of codes; none where the design holds nothing that they can be cut into."""
    kinds = [mac.activation_values(precision) for precision in mac.precisions]
    if any(_holds(kind, codes.values.values) for kind in kinds):
        return [_whole(codes)]
    bits, signed = _size(codes), codes.values.range[0] < 0
    width = _widest(kinds, False)
    slices = []
    for start in range(0, bits, width) if width else ():
        top = start + width >= bits
        size = min(width, bits - start)
        # A signed bit alone would be -1 or 0: it is taken as 1 or 0, and counts negative.
        negative = top and signed and size == 1
        take = _bits(start, size, top and signed and not negative)
        slices.append(_slice(take, (-1 if negative else 1) << start, codes))
    return slices


def _size(codes: Codes) -> int:
    """Bits of the codes in two's complement or plain binary."""
    low, high = codes.values.range
    return sum_width(low, high) - (low >= 0)


def _bits(start: int, size: int, signed: bool) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        part = (values >> start) & ((1 << size) - 1)
        return np.asarray(part - ((part >> (size - 1)) << size) if signed else part)

    return take


def _weight_slices(mac: MacSpec, codes: Codes) -> tuple[list[Slice], bool]:
    """Slices of signed codes, and whether the total is twice what it should be; none where the design holds nothing
    that they can be cut into.
    """
    kinds = [mac.weight_values(precision) for precision in mac.precisions]
    if any(_holds(kind, codes.values.values) for kind in kinds):
        return [_whole(codes)], False
    bits, width = _size(codes), _widest(kinds, True)
    if width > 1:
        return _balanced_digits(codes, width, kinds), False
    if width == 1:  # a digit is -1 or 0
        factors = [*(-1 << place for place in range(bits - 1)), 1 << (bits - 1)]
        return [_slice(_negated_bit(place), factor, codes) for place, factor in enumerate(factors)], False
    if any(_holds(kind, BIPOLAR.values) for kind in kinds):
        # 2 * w + 1 = sum of d[i] * 2**i with d[i] = -1 or +1, from the bits of w + 2**(bits - 1).
        digits = [_slice(_bipolar_digit(place, bits), 1 << place, codes) for place in range(bits)]
        return [*digits, _slice(np.ones_like, -1, codes)], True
    return [], False


def _bipolar_digit(place: int, bits: int) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        return np.asarray(2 * (((values + (1 << (bits - 1))) >> place) & 1) - 1)

    return take


def _negated_bit(place: int) -> Callable[[IntArray], IntArray]:
    def take(values: IntArray) -> IntArray:
        return np.asarray(-((values >> place) & 1))

    return take


def _balanced_digits(codes: Codes, width: int, kinds: Sequence[CodeValues]) -> list[Slice]:
    """Digits from -2**(width - 1) to 2**(width - 1) - 1, radix 2**width, and above them what the design holds."""
    slices: list[Slice] = []
    while True:
        number = len(slices)
        rest = _slice(_rest(number, width), 1 << (number * width), codes)
        if any(_holds(kind, rest.values) for kind in kinds):
            return [*slices, rest]
        slices.append(_slice(_digit(number, width), rest.factor, codes))


def _rest(number: int, width: int) -> Callable[[IntArray], IntArray]:
    """What is left above so many digits."""
    half = 1 << (width - 1)

    def take(values: IntArray) -> IntArray:
        for _ in range(number):
            values = (values + half) >> width
        return values

    return take


def _digit(number: int, width: int) -> Callable[[IntArray], IntArray]:
    rest, half = _rest(number, width), 1 << (width - 1)

    def take(values: IntArray) -> IntArray:
        return np.asarray(((rest(values) + half) & (2 * half - 1)) - half)

    return take
