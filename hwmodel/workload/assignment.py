"""Mixed precision at a mean bit-width: which GEMM of a network runs at which width.

At one mean, weights and activations of a GEMM have the same width. At different means of the two each has a width of
its own, and a product of two activations (scores, context) has that of activations in both operands, as qat has it.
The first and last layers stay at ``ends_bits`` on either side of a comparison, so they are left out of the mean unless
it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import ceil, floor, gcd, isfinite

import numpy as np
import numpy.typing as npt

from rtl.spec import MAX_BITS, check_integer
from siliquant.inputs import InputError, InputTypeError

from .mixture import Mixture, standard_mixture
from .sensitivity import SensitivityTable, default_sensitivity
from .widths import Mean, Pair, Width, check_width, pair_or_one, parts_of
from .workload import Gemm, PrecisionClass, Role, Workload

__all__ = ["ENDS_BITS", "Assignment", "assign", "assign_at", "mixture_at", "network_widths", "uniform"]

ENDS_BITS = 8
"""Bits of the first and last layers, as in the paper."""
# Memory of the search: for each sum a byte for the choice of each GEMM, and some numbers of eight bytes.
_MOST_BYTES = 1 << 28
_SUM_BYTES = 32
_MOST_ROUNDED = Fraction(1, 50)  # of what a mean leaves above the narrowest width, lost where sums are rounded
_READERS = frozenset({Role.SCORES, Role.CONTEXT, Role.PROJECTION})


@dataclass(frozen=True)
class Assignment:
    """The width of every GEMM of a workload.

    bits: (name, bits) for each name, in order of first use. mean_bits: MAC-weighted, of what the mean counts: weights
    where there are some, activations everywhere. harm: the expected harm by the sensitivity table it was made with,
    None for a uniform assignment.
    """

    workload: Workload
    bits: tuple[tuple[str, Width], ...]
    mean_bits: Mean
    harm: float | None

    @cached_property
    def by_name(self) -> Mapping[str, Width]:
        """Bits by GEMM name."""
        return dict(self.bits)

    def of(self, gemm: Gemm) -> Width:
        """Bits of a GEMM of the workload."""
        return self.by_name[gemm.name]

    @property
    def drained_bits(self) -> int:
        """The widest codes that sums become at the end of a column: those of the GEMMs that read them (scores, context,
        projection); 1 where there are none.
        """
        read = (parts_of(self.of(gemm)) for gemm in self.workload.gemms if gemm.role in _READERS)
        return max((activation_bits for _, activation_bits in read), default=1)

    @property
    def uniform_bits(self) -> tuple[int, int]:
        """The least bits of weights and of activations of one width that hold all that the mean counts without passes:
        the widest of the body, products of two activations left out where means differ.
        """
        widths = self.mixture(with_weights=isinstance(self.mean_bits, Pair)).widths
        activations = self.mixture().widths
        return max(parts_of(bits)[0] for bits in widths), max(parts_of(bits)[1] for bits in activations)

    def mixture(self, kind: PrecisionClass = PrecisionClass.BODY, *, with_weights: bool = False) -> Mixture:
        """Shares of MACs of a precision class by width. with_weights: only of GEMMs that have weights, which at
        different means of weights and activations are those that have these means.
        """
        macs: dict[Width, int] = {}
        for gemm in self.workload.gemms:
            if gemm.precision_class is kind and (gemm.static or not with_weights):
                macs[self.of(gemm)] = macs.get(self.of(gemm), 0) + gemm.macs
        total = sum(macs.values())
        shares = sorted(macs.items(), key=lambda share: parts_of(share[0]))
        return Mixture(tuple((bits, Fraction(count, total)) for bits, count in shares))


def uniform(workload: Workload, bits: Width, *, ends_bits: int = ENDS_BITS) -> Assignment:
    """One width for the body, ``ends_bits`` for the first and last layers. Of a pair, a product of two activations has
    the width of activations in both operands.
    """
    check_width("bits", bits, 1, MAX_BITS)
    check_integer("ends_bits", ends_bits, 1, MAX_BITS)
    weight_bits, activation_bits = parts_of(bits)
    found: dict[str, Width] = {}
    for gemm in workload.gemms:
        body = bits if gemm.static else activation_bits
        found[gemm.name] = ends_bits if gemm.precision_class is PrecisionClass.ENDS else body
    mean = pair_or_one(Fraction(weight_bits), Fraction(activation_bits))
    if isinstance(mean, Pair):
        _with_weights(workload)
    return Assignment(workload, tuple(found.items()), mean, None)


def network_widths(mean_bits: int) -> tuple[int, ...]:
    """The widths that a network is mixed of at a mean from 2 to 8: those of the standard mixture, from 2 bits on, since
    codes of one signed bit are -1 and +1, which take a design of two's complement two bits.

    >>> network_widths(2), network_widths(3), network_widths(4)
    ((2, 4), (2, 4), (2, 4, 8))
    """
    return tuple(bits for bits, _ in map(parts_of, standard_mixture(mean_bits).widths) if bits > 1)


def assign_at(workload: Workload, mean_bits: Width, *, sensitivity: SensitivityTable | None = None) -> Assignment:
    """What the policy assigns at a mean from 2 to 8, with the widths of :func:`network_widths` for each operand."""
    weights, activations = parts_of(mean_bits)
    mean = pair_or_one(Fraction(weights), Fraction(activations))
    return assign(
        workload, mean, network_widths(weights), activation_widths=network_widths(activations), sensitivity=sensitivity
    )


def mixture_at(workload: Workload, mean_bits: Width) -> Mixture:
    """The shares of a network's MACs by width that the policy assigns at a mean, first and last layers left out; at
    different means of weights and activations, products of two activations too.
    """
    return assign_at(workload, mean_bits).mixture(with_weights=isinstance(mean_bits, Pair))


def assign(
    workload: Workload,
    mean_bits: Mean | float,
    widths: Sequence[int],
    *,
    activation_widths: Sequence[int] | None = None,
    sensitivity: SensitivityTable | None = None,
    above: Fraction | float = 0,
    count_ends: bool = False,
    ends_bits: int = ENDS_BITS,
) -> Assignment:
    """Widths of all GEMMs whose MAC-weighted mean is as close to ``mean_bits`` as any assignment's, and at most
    ``above`` bits over it; of those as close, the one with the least harm (SensitivityTable.harm).

    widths: those that the hardware runs, 1 to 8. sensitivity: default the paper's order. count_ends: whether the mean
    counts the first and last layers. The result is exact (a knapsack over whole MACs by dynamic programming) and the
    same at every call. Where the MACs of N GEMMs have too small a common divisor for that, which those of no packaged
    network have before it is cut into heads, they are rounded: the mean is then off by less than
    N * (N + 32) / 2**28 of its distance from the narrowest width.

    mean_bits may be a Pair of means, and activation_widths the widths of activations (default: those of weights). Where
    either differs, weights, activations that meet them, and products of two activations, whose operands share a width,
    are three choices, each exact and as close to its mean as any. Harm is the mean of that of the two operands, so that
    these choices are independent of each other, and their harms add up to the least.

    >>> from hwmodel.workload import load_workload
    >>> found = assign(load_workload("deit-tiny"), 3, (2, 4, 8))
    >>> float(found.mean_bits), {found.of(gemm) for gemm in found.workload.gemms if gemm.role is Role.VALUE}
    (3.0, {8})

    Calls of one name share their width. Raises ValueError for a mean that no assignment has,
    TypeError and ValueError for bad widths.
    """
    chosen = _chosen("widths", widths)
    of_activations = chosen if activation_widths is None else _chosen("activation_widths", activation_widths)
    check_integer("ends_bits", ends_bits, 1, MAX_BITS)
    given = (mean_bits.weight_bits, mean_bits.activation_bits) if isinstance(mean_bits, Pair) else (mean_bits,) * 2
    wanted = [_fraction("mean_bits", mean) for mean in given]
    over = _fraction("above", above)
    if over < 0:
        raise InputError(f"above must be at least 0 bits, not {above}")
    table = sensitivity if sensitivity is not None else default_sensitivity()
    rest = _Key(table), over, count_ends, ends_bits
    if wanted[0] == wanted[1] and chosen == of_activations:
        return _assign(workload, wanted[0], chosen, *rest)
    return _assign_both(workload, (wanted[0], chosen), (wanted[1], of_activations), rest)


def _chosen(name: str, widths: Sequence[int]) -> tuple[int, ...]:
    found = tuple(sorted({check_integer("width", bits, 1, MAX_BITS) for bits in widths}))
    if not found:
        raise InputError(f"{name} must have at least one width, and are empty")
    return found


def _assign_both(
    workload: Workload,
    weights: tuple[Fraction, tuple[int, ...]],
    activations: tuple[Fraction, tuple[int, ...]],
    rest: tuple[_Key, Fraction, bool, int],
) -> Assignment:
    """A width for each operand: the mean and the widths of weights, and those of activations."""
    static, dynamic = _with_weights(workload), _part(workload, static=False)
    with _about("weights"):
        one = _assign(static, *weights, *rest)
    with _about("activations"):
        other = _assign(static, *activations, *rest)
        both = None if dynamic is None else _assign(dynamic, *activations, *rest)
    ends_bits = rest[3]
    found: dict[str, Width] = {}
    for gemm in workload.gemms:
        if gemm.precision_class is PrecisionClass.ENDS:
            found[gemm.name] = ends_bits
        elif gemm.static:
            found[gemm.name] = pair_or_one(parts_of(one.of(gemm))[0], parts_of(other.of(gemm))[1])
        else:
            assert both is not None
            found[gemm.name] = both.by_name[gemm.name]
    means, harms = [other.mean_bits], [((one.harm or 0.0) + (other.harm or 0.0)) / 2]
    counts = [_counted(static, count_ends=rest[2])]
    if both is not None and dynamic is not None:
        means.append(both.mean_bits)
        harms.append(both.harm or 0.0)
        counts.append(_counted(dynamic, count_ends=rest[2]))
    mean = sum((parts_of(each)[1] * count for each, count in zip(means, counts, strict=True)), Fraction(0)) / sum(
        counts
    )
    return Assignment(workload, tuple(found.items()), pair_or_one(parts_of(one.mean_bits)[0], mean), sum(harms))


def _part(workload: Workload, *, static: bool) -> Workload | None:
    """The GEMMs whose second operand is a weight, or those where it is not; None where none of them is of the body."""
    gemms = tuple(gemm for gemm in workload.gemms if gemm.static is static)
    if all(gemm.precision_class is PrecisionClass.ENDS for gemm in gemms):
        return None
    return Workload(name=workload.name, gemms=gemms, provenance=workload.provenance)


def _with_weights(workload: Workload) -> Workload:
    found = _part(workload, static=True)
    if found is None:
        raise InputError(
            f"weights and activations must have one mean in {workload.name}: no GEMM between its first and last layers "
            "has weights"
        )
    return found


def _counted(workload: Workload, *, count_ends: bool) -> int:
    """Products that a mean counts."""
    return sum(gemm.macs for gemm in workload.gemms if count_ends or gemm.precision_class is PrecisionClass.BODY)


@contextmanager
def _about(operand: str) -> Iterator[None]:
    """Says of which operand an error is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{operand}: {error}") from None


def _fraction(name: str, value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise InputTypeError(f"{name} must be a number, not {value!r}")
    if isinstance(value, float) and not isfinite(value):
        raise InputError(f"{name} must be a finite number, not {value}")
    return Fraction(value)


@dataclass(frozen=True, eq=False)
class _Key:
    """A table, by identity, for the cache."""

    table: SensitivityTable

    def __hash__(self) -> int:
        return id(self.table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.table is self.table


@lru_cache(maxsize=256)
def _assign(
    workload: Workload,
    mean_bits: Fraction,
    widths: tuple[int, ...],
    key: _Key,
    above: Fraction,
    count_ends: bool,
    ends_bits: int,
) -> Assignment:
    body: dict[str, list[Gemm]] = {}
    ends = 0
    for gemm in workload.gemms:
        if gemm.precision_class is PrecisionClass.BODY:
            body.setdefault(gemm.name, []).append(gemm)
        else:
            ends += gemm.macs
    macs = [sum(gemm.macs for gemm in calls) for calls in body.values()]
    counted = sum(macs) + (ends if count_ends else 0)
    fixed = ends_bits * ends if count_ends else 0
    least, most = (Fraction(fixed + bits * sum(macs), counted) for bits in (widths[0], widths[-1]))
    if not least <= mean_bits <= most:
        raise InputError(
            f"mean_bits must be from {float(least):g} to {float(most):g} for widths {', '.join(map(str, widths))}, "
            f"not {float(mean_bits):g}"
        )
    harms = np.array(
        [[sum(key.table.harm(gemm, bits) for gemm in calls) for bits in widths] for calls in body.values()]
    )
    if mean_bits == most:  # which sums that are rounded up do not reach
        widest = {gemm.name: widths[-1] if gemm.name in body else ends_bits for gemm in workload.gemms}
        return Assignment(workload, tuple(widest.items()), most, float(harms[:, -1].sum()))
    # In units above the narrowest width everywhere: whole MACs, or more of them, rounded up, where these are many.
    step = gcd(*(bits - widths[0] for bits in widths)) or 1
    room = (mean_bits + above - least) * counted / step
    exact = gcd(*macs)
    unit = max(exact, ceil(room * (len(macs) + _SUM_BYTES) / _MOST_BYTES))
    if unit > exact and unit * len(macs) > _MOST_ROUNDED * room:
        raise InputError(
            f"{workload.name} must have fewer GEMMs to choose widths for, about 20,000 of one size or 2,000 of any, "
            f"not {len(macs):,} by name"
        )
    allowed = floor(room / unit)
    costs = np.array(
        [[min(-(-count * ((bits - widths[0]) // step) // unit), allowed + 1) for bits in widths] for count in macs]
    )
    wanted = (mean_bits - least) * counted / (unit * step)
    picks, harm = _closest(costs, harms, wanted, allowed)
    found = {name: widths[pick] for name, pick in zip(body, picks, strict=True)}
    bits = {gemm.name: found.get(gemm.name, ends_bits) for gemm in workload.gemms}
    total = sum(count * widths[pick] for count, pick in zip(macs, picks, strict=True))
    mean = Fraction(fixed + total, counted)
    return Assignment(workload, tuple(bits.items()), mean, harm)


def _closest(
    costs: npt.NDArray[np.int64], harms: npt.NDArray[np.float64], wanted: Fraction, allowed: int
) -> tuple[list[int], float]:
    """One option for each item [items, options] whose costs add up as close to ``wanted`` as can be, at most
    ``allowed``, with the least harm: the options and their harm. Option 0 costs nothing.
    """
    best = np.full(allowed + 1, np.inf)
    best[0] = 0.0
    chosen = np.zeros((len(costs), allowed + 1), np.int8)
    for item, (cost, harm) in enumerate(zip(costs, harms, strict=True)):
        after = best + harm[0]
        for option in range(1, len(cost)):
            if cost[option] <= allowed:
                candidate = best[: allowed + 1 - cost[option]] + harm[option]
                place = after[cost[option] :]
                better = candidate < place
                place[better] = candidate[better]
                chosen[item, cost[option] :][better] = option
        best = after
    # The nearest reachable total; of two as near, the smaller.
    reachable = np.flatnonzero(np.isfinite(best))
    total = int(min(reachable.tolist(), key=lambda value: (abs(value - wanted), value)))
    picks = []
    left = total
    for item in range(len(costs) - 1, -1, -1):
        pick = int(chosen[item, left])
        picks.append(pick)
        left -= int(costs[item, pick])
    return picks[::-1], float(best[total])
