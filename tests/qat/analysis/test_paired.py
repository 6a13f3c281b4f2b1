"""qat.analysis.paired against loops: the exact test by counting, the bootstrap by drawing again."""

from __future__ import annotations

import re
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qat.analysis.paired import Answers, difference
from siliquant.inputs import InputError, wilson_interval


def exact_mcnemar(gained: int, lost: int) -> float:
    """Two-sided: all outcomes of gained + lost fair coins that are no likelier."""
    n = gained + lost
    likely = [comb(n, k) for k in range(n + 1)]
    return sum(each for each in likely if each <= likely[gained]) / 2**n


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_accuracy_is_compared_by_the_exact_test(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    zeros = np.zeros(len(pairs))
    found = difference(Answers(zeros, ours), Answers(zeros, theirs))
    gained = sum(a and not b for a, b in pairs)
    lost = sum(b and not a for a, b in pairs)
    assert (found.gained, found.lost) == (gained, lost)
    assert found.accuracy == pytest.approx((gained - lost) / len(pairs))
    assert found.p_value == pytest.approx(exact_mcnemar(gained, lost))
    assert (found.loss, found.low, found.high, found.told) == (0.0, 0.0, 0.0, False)
    share = sum(a for a, _ in pairs) / len(pairs)
    assert Answers(zeros, ours).accuracy == (share, *wilson_interval(int(ours.sum()), len(pairs)))


def test_the_interval_of_a_rise_is_a_bootstrap_over_samples() -> None:
    draw = np.random.default_rng(3)
    theirs = draw.exponential(size=150)
    ours = theirs + draw.exponential(0.3, size=150) - 0.2
    found = difference(Answers(ours, None), Answers(theirs, None))
    apart = ours - theirs
    again = np.array([apart[draw.integers(0, 150, 150)].mean() for _ in range(6000)])
    low, high = np.percentile(again, (2.5, 97.5))
    width = high - low
    assert found.loss == pytest.approx(ours.mean() - theirs.mean())
    assert found.low == pytest.approx(low, abs=0.05 * width)
    assert found.high == pytest.approx(high, abs=0.05 * width)
    assert found.told
    assert (found.accuracy, found.p_value) == (None, None)
    assert difference(Answers(ours, None), Answers(theirs, None)) == found  # the same draws every time


def test_pairs_tell_what_the_same_numbers_unpaired_do_not() -> None:
    draw = np.random.default_rng(0)
    theirs = draw.exponential(10.0, size=200)
    paired = difference(Answers(theirs + draw.normal(0.1, 0.1, 200), None), Answers(theirs, None))
    apart = difference(Answers(draw.permutation(theirs) + 0.1, None), Answers(theirs, None))
    assert paired.told
    assert not apart.told
    fall = difference(Answers(theirs - 1.0, None), Answers(theirs, None))
    assert (fall.low, fall.high) == pytest.approx((-1.0, -1.0))
    assert fall.told


def test_other_samples_are_refused() -> None:
    with pytest.raises(InputError, match=re.escape("two networks must be compared on the same samples")):
        difference(Answers(np.zeros(2), None), Answers(np.zeros(3), None))
    with pytest.raises(InputError, match="same samples"):
        difference(Answers(np.zeros(2), np.zeros(2, np.bool_)), Answers(np.zeros(2), None))
