"""Mixed precision at a mean bit-width: which share of a network's MACs runs at which width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from rtl.spec import MAX_BITS, MacSpec, Precision, check_integer
from siliquant.inputs import InputError, fraction, integer, short

__all__ = ["Mixture", "parse_mixture", "standard_mixture"]

_WIDTHS = (1, 2, 4, 8)
_LEAST_MEAN = 2


@dataclass(frozen=True)
class Mixture:
    """Shares of MACs by bit-width (weights and activations alike), narrowest first; they add up to 1.

    Raises ValueError for widths that are not from 1 to 8 and rising, or shares that are not positive with sum 1.
    """

    shares: tuple[tuple[int, Fraction], ...]

    def __post_init__(self) -> None:
        widths = [check_integer("width", bits, 1, MAX_BITS) for bits, _ in self.shares]
        if widths != sorted(set(widths)) or not widths:
            raise InputError(f"the widths of a mixture must be different and rising, not {widths}")
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
    def widths(self) -> tuple[int, ...]:
        """Its widths in bits, rising."""
        return tuple(bits for bits, _ in self.shares)

    @property
    def mean_bits(self) -> Fraction:
        """MAC-weighted mean width."""
        return sum((bits * share for bits, share in self.shares), Fraction(0))

    def fits(self, spec: MacSpec) -> bool:
        """Whether ``spec`` has a width for the widest of the mixture."""
        widest = self.widths[-1]
        return any(p.weight_bits == p.activation_bits >= widest for p in spec.precisions)

    def run_on(self, spec: MacSpec) -> Mixture:
        """The widths at which ``spec`` runs this mixture: of those it has, the narrowest that is wide enough.

        Raises ValueError where the design has none so wide.
        """
        shares: dict[int, Fraction] = {}
        for bits, share in self.shares:
            width = _narrowest(spec, bits)
            shares[width] = shares.get(width, Fraction(0)) + share
        return Mixture(tuple(sorted(shares.items())))

    def macs_per_cycle(self, spec: MacSpec) -> Fraction:
        """Products a cycle of ``spec`` over the whole mixture, which must be of widths it has."""
        return 1 / sum((share / spec.macs_per_cycle(Precision(bits, bits)) for bits, share in self.shares), Fraction(0))

    def time_shares(self, spec: MacSpec) -> tuple[tuple[int, Fraction], ...]:
        """Shares of time by width: a width with fewer products a cycle takes more of it."""
        rate = self.macs_per_cycle(spec)
        return tuple((bits, share * rate / spec.macs_per_cycle(Precision(bits, bits))) for bits, share in self.shares)


def standard_mixture(mean_bits: int) -> Mixture:
    """Widths 1, 2, 4 and 8 at a mean from 2 to 8.

    The two widths around the mean; where the mean is itself a width between the others, half the MACs have it and
    half are split over its neighbours: at 4, a third of 2, a half of 4 and a sixth of 8. At 8 nothing is mixed.

    >>> str(standard_mixture(2)), str(standard_mixture(3)), str(standard_mixture(4))
    ('1b:1/3 2b:1/2 4b:1/6', '2b:1/2 4b:1/2', '2b:1/3 4b:1/2 8b:1/6')
    >>> from rtl.mac import LoomSpec
    >>> standard_mixture(3).macs_per_cycle(LoomSpec(units=160))  # 4 and 16 cycles a product
    Fraction(16, 1)
    """
    check_integer("bits", mean_bits, _LEAST_MEAN, _WIDTHS[-1])
    if mean_bits == _WIDTHS[-1]:
        return Mixture(((mean_bits, Fraction(1)),))
    low = max(bits for bits in _WIDTHS if bits < mean_bits)
    high = min(bits for bits in _WIDTHS if bits > mean_bits)
    rest = Fraction(1, 2) if mean_bits in _WIDTHS else Fraction(1)
    shares = {low: rest * Fraction(high - mean_bits, high - low), high: rest * Fraction(mean_bits - low, high - low)}
    if rest != 1:
        shares[mean_bits] = 1 - rest
    return Mixture(tuple(sorted(shares.items())))


def parse_mixture(text: str) -> Mixture:
    """A mixture from text such as ``2:1/3,4:1/2,8:1/6``. Raises ValueError that quotes the text."""
    shares = []
    try:
        for part in text.split(",", MAX_BITS):
            bits, share = part.split(":")
            shares.append((integer("width", bits.strip(), 1, MAX_BITS), fraction("share", share, 0, 1)))
    except InputError as error:
        raise InputError(f"a mixture must look like 2:1/3,4:1/2,8:1/6, not {short(text)}: {error}") from None
    except ValueError:
        raise InputError(f"a mixture must look like 2:1/3,4:1/2,8:1/6, not {short(text)}") from None
    return Mixture(tuple(sorted(shares)))


def _narrowest(spec: MacSpec, bits: int) -> int:
    widths: Iterable[int] = (p.weight_bits for p in spec.precisions if p.weight_bits == p.activation_bits >= bits)
    return min(widths, default=0) or _refuse(spec, bits)


def _refuse(spec: MacSpec, bits: int) -> int:
    raise InputError(f"{spec.name} has no precision of {bits} bits or more")
