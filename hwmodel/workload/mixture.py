"""Mixed precision at a mean bit-width: which share of a network's MACs runs at which width."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rtl.spec import MAX_BITS, MacSpec
from siliquant.inputs import InputError, fraction, short

from .widths import Mean, Pair, Width, check_width, pair_or_one, parts_of, precision_of, read_width

__all__ = ["Mixture", "parse_mixture", "standard_mixture"]

_WIDTHS = (1, 2, 4, 8)
_LEAST_MEAN = 2
_MOST_SHARES = MAX_BITS**2


@dataclass(frozen=True)
class Mixture:
    """Shares of MACs by the widths of their operands, narrowest (weights first) first; they add up to 1.

    A width is one number where weights and activations are alike, else a pair. Raises ValueError for widths that are
    not from 1 to 8 and rising, or shares that are not positive with sum 1.
    """

    shares: tuple[tuple[Width, Fraction], ...]

    def __post_init__(self) -> None:
        widths = [check_width("width", bits, 1, MAX_BITS) for bits, _ in self.shares]
        if not widths or widths != sorted(set(widths), key=parts_of):
            shown = ", ".join(map(str, widths))
            raise InputError(f"the widths of a mixture must be different and rising, not [{shown}]")
        if any(share <= 0 for _, share in self.shares) or sum(share for _, share in self.shares) != 1:
            raise InputError(f"the shares of a mixture must be positive and add up to 1, not {self}")

    def __str__(self) -> str:
        return " ".join(f"{bits}b:{share}" for bits, share in self.shares)

    def in_percent(self) -> str:
        """The shares as text, rounded.

        >>> standard_mixture(4).in_percent()
        '2b:33% 4b:50% 8b:17%'
        """
        return " ".join(f"{bits}b:{float(100 * share):.0f}%" for bits, share in self.shares)

    @property
    def widths(self) -> tuple[Width, ...]:
        """Its widths in bits, rising."""
        return tuple(bits for bits, _ in self.shares)

    @property
    def has_pairs(self) -> bool:
        """Whether any of its products has weights and activations of different widths."""
        return any(isinstance(bits, Pair) for bits in self.widths)

    @property
    def mean_bits(self) -> Mean:
        """MAC-weighted mean width of weights and of activations."""
        weights, activations = (
            sum((parts_of(bits)[operand] * share for bits, share in self.shares), Fraction(0)) for operand in (0, 1)
        )
        return pair_or_one(weights, activations)

    def fits(self, spec: MacSpec) -> bool:
        """Whether ``spec`` has a width for every one of the mixture."""
        return all(self._width_on(spec, bits) is not None for bits in self.widths)

    def run_on(self, spec: MacSpec) -> Mixture:
        """The widths at which ``spec`` runs this mixture: of those it has, the narrowest that is wide enough.

        A mixture of one width for both operands runs at such precisions only. Otherwise every precision is taken that
        is wide enough in both operands: of these the one with the most products a cycle, then the narrowest. Raises
        ValueError where the design has none so wide.
        """
        shares: dict[Width, Fraction] = {}
        for bits, share in self.shares:
            width = self._width_on(spec, bits)
            if width is None:
                raise InputError(f"{spec.name} has no precision of {bits} bits or more")
            shares[width] = shares.get(width, Fraction(0)) + share
        return Mixture(tuple(sorted(shares.items(), key=lambda share: parts_of(share[0]))))

    def _width_on(self, spec: MacSpec, bits: Width) -> Width | None:
        weights, activations = parts_of(bits)
        wide = (p for p in spec.precisions if p.weight_bits >= weights and p.activation_bits >= activations)
        if not self.has_pairs:
            return min((p.weight_bits for p in wide if p.weight_bits == p.activation_bits), default=None)
        found = min(wide, key=lambda p: (-spec.macs_per_cycle(p), p.weight_bits + p.activation_bits, p.weight_bits),
                    default=None)  # fmt: skip
        return None if found is None else pair_or_one(found.weight_bits, found.activation_bits)

    def macs_per_cycle(self, spec: MacSpec) -> Fraction:
        """Products a cycle of ``spec`` over the whole mixture, which must be of widths it has."""
        return 1 / sum((share / spec.macs_per_cycle(precision_of(bits)) for bits, share in self.shares), Fraction(0))

    def time_shares(self, spec: MacSpec) -> tuple[tuple[Width, Fraction], ...]:
        """Shares of time by width: a width with fewer products a cycle takes more of it."""
        rate = self.macs_per_cycle(spec)
        return tuple((bits, share * rate / spec.macs_per_cycle(precision_of(bits))) for bits, share in self.shares)


def standard_mixture(mean_bits: Width) -> Mixture:
    """Widths 1, 2, 4 and 8 at a mean from 2 to 8.

    The two widths around the mean; where the mean is itself a width between the others, half the MACs have it and
    half are split over its neighbours: at 4, a third of 2, a half of 4 and a sixth of 8. At 8 nothing is mixed.

    At different means of weights and of activations each operand has the mixture of its mean, and both rise together:
    the MACs with the narrowest weights are those with the narrowest activations. Of all ways to pair the two, this is
    the one that pads least where a design has one width for both operands.

    >>> str(standard_mixture(2)), str(standard_mixture(3)), str(standard_mixture(4))
    ('1b:1/3 2b:1/2 4b:1/6', '2b:1/2 4b:1/2', '2b:1/3 4b:1/2 8b:1/6')
    >>> str(standard_mixture(Pair(4, 8))), str(standard_mixture(Pair(4, 6)))
    ('2/8b:1/3 4/8b:1/2 8b:1/6', '2/4b:1/3 4b:1/6 4/8b:1/3 8b:1/6')
    >>> from rtl.mac import LoomSpec
    >>> standard_mixture(3).macs_per_cycle(LoomSpec(units=160))  # 4 and 16 cycles a product
    Fraction(16, 1)
    """
    check_width("bits", mean_bits, _LEAST_MEAN, _WIDTHS[-1])
    weights, activations = map(_standard_shares, parts_of(mean_bits))
    return Mixture(_rising_together(weights, activations))


def _standard_shares(mean_bits: int) -> list[tuple[int, Fraction]]:
    """Widths of one operand and their shares, rising."""
    if mean_bits == _WIDTHS[-1]:
        return [(mean_bits, Fraction(1))]
    low = max(bits for bits in _WIDTHS if bits < mean_bits)
    high = min(bits for bits in _WIDTHS if bits > mean_bits)
    rest = Fraction(1, 2) if mean_bits in _WIDTHS else Fraction(1)
    shares = {low: rest * Fraction(high - mean_bits, high - low), high: rest * Fraction(mean_bits - low, high - low)}
    if rest != 1:
        shares[mean_bits] = 1 - rest
    return sorted(shares.items())


def _rising_together(
    weights: list[tuple[int, Fraction]], activations: list[tuple[int, Fraction]]
) -> tuple[tuple[Width, Fraction], ...]:
    """Shares of pairs: both operands laid side by side from the narrowest on, and cut where either changes."""
    found: list[tuple[Width, Fraction]] = []
    left, right = list(weights), list(activations)
    while left:
        (weight_bits, w), (activation_bits, a) = left.pop(0), right.pop(0)
        share = min(w, a)
        found.append((pair_or_one(weight_bits, activation_bits), share))
        if w > share:
            left.insert(0, (weight_bits, w - share))
        if a > share:
            right.insert(0, (activation_bits, a - share))
    return tuple(found)


def parse_mixture(text: str) -> Mixture:
    """A mixture from text such as ``2:1/3,4:1/2,8:1/6``, or ``2/8:1/2,8/4:1/2`` for weights and activations.

    Raises ValueError that quotes the text.
    """
    shares = []
    try:
        for part in text.split(",", _MOST_SHARES):
            bits, share = part.split(":")
            shares.append((read_width("width", bits.strip(), 1, MAX_BITS), fraction("share", share, 0, 1)))
    except InputError as error:
        raise InputError(f"a mixture must look like 2:1/3,4:1/2,8:1/6, not {short(text)}: {error}") from None
    except ValueError:
        raise InputError(f"a mixture must look like 2:1/3,4:1/2,8:1/6, not {short(text)}") from None
    return Mixture(tuple(sorted(shares, key=lambda share: parts_of(share[0]))))
