"""Mixtures of bit-widths: their means, how designs run them, and refusals."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from hwmodel.workload.mixture import Mixture, parse_mixture, standard_mixture
from hwmodel.workload.widths import Pair, Width, parts_of
from rtl.mac import BitFusionSpec, BitSerialSpec, Dc1dSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec

PAIRS = [Pair(weights, activations) for weights in range(2, 9) for activations in range(2, 9) if weights != activations]


@pytest.mark.parametrize("bits", range(2, 9))
def test_standard_mixtures_have_their_mean(bits: int) -> None:
    mixture = standard_mixture(bits)
    assert mixture.mean_bits == bits
    assert {width for width, _ in mixture.shares} <= {1, 2, 4, 8}


def test_standard_mixtures_at_the_bit_widths_of_the_comparison() -> None:
    assert [str(standard_mixture(bits)) for bits in (2, 3, 4)] == [
        "1b:1/3 2b:1/2 4b:1/6",
        "2b:1/2 4b:1/2",
        "2b:1/3 4b:1/2 8b:1/6",
    ]


def test_a_width_a_design_lacks_runs_at_the_next() -> None:
    mixture = parse_mixture("2:1/3,3:1/6,4:1/3,8:1/6")
    assert str(mixture.run_on(BitFusionSpec())) == "2b:1/3 4b:1/2 8b:1/6"
    assert str(mixture.run_on(BitFusionSpec(widths=(8, 4)))) == "4b:5/6 8b:1/6"
    assert mixture.run_on(BitSerialSpec()) == mixture


def test_throughput_is_the_harmonic_mean_and_time_goes_with_it() -> None:
    mixture = standard_mixture(4)
    fusion = BitFusionSpec(units=1)
    assert mixture.macs_per_cycle(fusion) == 1 / (Fraction(1, 3) / 16 + Fraction(1, 2) / 4 + Fraction(1, 6))
    assert mixture.macs_per_cycle(SubwordSpec(units=1)) == 2
    assert mixture.macs_per_cycle(PaddedSpec(units=5)) == 5
    assert mixture.macs_per_cycle(LoomSpec(units=20)) == 1
    shares = mixture.time_shares(fusion)
    assert sum(share for _, share in shares) == 1
    # time in proportion to MACs over rate
    assert shares[2][1] / shares[0][1] == (Fraction(1, 6) / 1) / (Fraction(1, 3) / 16)


LIKE = "a mixture must look like 2:1/3,4:1/2,8:1/6, not"
SHARE = "share must be a number from 0 to 1, such as 3, 2.5 or 5/2, not"
REFUSALS = [
    ("2:1/2,4:1/4", "the shares of a mixture must be positive and add up to 1, not 2b:1/2 4b:1/4"),
    ("2:1,4:0", "the shares of a mixture must be positive and add up to 1, not 2b:1 4b:0"),
    ("2:1/2,2:1/2", "the widths of a mixture must be different and rising, not [2, 2]"),
    ("2:3/2,4:-1/2", f"{LIKE} '2:3/2,4:-1/2': {SHARE} '3/2'"),
    ("2:1/0", f"{LIKE} '2:1/0': {SHARE} '1/0'"),
    ("4:1e99999999,2:1", f"{LIKE} '4:1e99999999,2:1': {SHARE} '1e99999999'"),
    ("9:1", f"{LIKE} '9:1': width must be an integer from 1 to 8, not '9'"),
    ("2", f"{LIKE} '2'"),
    ("", f"{LIKE} ''"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSALS)
def test_refusals(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mixture(text)
    assert str(caught.value) == sentence


def test_a_width_no_design_has_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Mixture(((5, Fraction(1)),)).run_on(UniformSpec())
    assert str(caught.value) == "uniform_w4_a4_l16 has no precision of 5 bits or more"


def of_operand(mixture: Mixture, operand: int) -> Mixture:
    """The mixture of one operand."""
    shares: dict[Width, Fraction] = {}
    for bits, share in mixture.shares:
        one = parts_of(bits)[operand]
        shares[one] = shares.get(one, Fraction(0)) + share
    return Mixture(tuple(sorted(shares.items(), key=lambda each: parts_of(each[0]))))


@pytest.mark.parametrize("mean", PAIRS, ids=str)
def test_at_different_means_each_operand_has_the_mixture_of_its_own(mean: Pair[int]) -> None:
    mixture = standard_mixture(mean)
    assert parts_of(mixture.mean_bits) == parts_of(mean)
    assert of_operand(mixture, 0) == standard_mixture(mean.weight_bits)
    assert of_operand(mixture, 1) == standard_mixture(mean.activation_bits)
    assert parse_mixture(str(mixture).replace("b:", ":").replace(" ", ",")) == mixture


@pytest.mark.parametrize("mean", PAIRS, ids=str)
def test_no_other_way_to_pair_the_operands_pads_less(mean: Pair[int]) -> None:
    """Against a linear program over all pairings: the mean of the wider operand, which one width for both takes."""
    weights, activations = (standard_mixture(bits).shares for bits in parts_of(mean))
    wider = np.array([[max(w, a) for a, _ in activations] for w, _ in weights], float)
    rows = [np.repeat(np.eye(len(weights)), len(activations), axis=1), np.tile(np.eye(len(activations)), len(weights))]
    sums = [float(share) for _, share in (*weights, *activations)]
    least = linprog(wider.ravel(), A_eq=np.vstack(rows), b_eq=sums).fun
    found = sum(max(parts_of(bits)) * share for bits, share in standard_mixture(mean).shares)
    assert float(found) == pytest.approx(least)


def test_pairs_run_at_the_narrowest_precision_that_is_wide_enough_in_both() -> None:
    mixture = standard_mixture(Pair(4, 8))
    assert str(mixture) == "2/8b:1/3 4/8b:1/2 8b:1/6"
    assert mixture.run_on(BitFusionSpec()) == mixture.run_on(LoomSpec()) == mixture.run_on(Dc1dSpec()) == mixture
    assert str(mixture.run_on(BitFusionSpec(widths=(8, 4)))) == "4/8b:5/6 8b:1/6"
    assert str(mixture.run_on(SubwordSpec())) == str(mixture.run_on(PaddedSpec())) == "8b:1"
    assert str(parse_mixture("2/3:1/2,5/1:1/2").run_on(BitFusionSpec())) == "2/4b:1/2 8/2b:1/2"
    assert mixture.macs_per_cycle(LoomSpec(units=32)) == 1 / (Fraction(1, 6) + Fraction(1, 2) + Fraction(1, 3))
    assert not mixture.fits(LoomSpec(maximum_bits=4))
    with pytest.raises(ValueError, match=r"^loom_u64_m4 has no precision of 2/8 bits or more$"):
        mixture.run_on(LoomSpec(maximum_bits=4))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("4/9:1", f"{LIKE} '4/9:1': width of activations must be an integer from 1 to 8, not '9'"),
        ("4/8/2:1", f"{LIKE} '4/8/2:1': width of activations must be an integer from 1 to 8, not '8/2'"),
        ("/8:1", f"{LIKE} '/8:1': width of weights must be an integer from 1 to 8, not ''"),
        ("4/4:1/2,4:1/2", "the widths of a mixture must be different and rising, not [4, 4]"),
        ("4/8:1/2,4/8:1/2", "the widths of a mixture must be different and rising, not [4/8, 4/8]"),
        ("4/8:1/2", "the shares of a mixture must be positive and add up to 1, not 4/8b:1/2"),
    ],
)
def test_refusals_of_pairs(text: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mixture(text)
    assert str(caught.value) == sentence
