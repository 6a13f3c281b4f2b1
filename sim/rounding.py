"""The way from an accumulator to its code never goes down: the steps that round, proved for all values by a solver.

Thresholds are found by bisection (:func:`rtl.requant.find_thresholds`), which needs codes that do not decrease where
accumulators grow. A layer computes them from an accumulator so (qat.network.layers, qat.quantisers):

    value = float32(float64(accumulator) * scale + offsets + bias)        scale > 0, the rest constant in a channel
    code  = round(clamp((value - offset) / step, lowest, highest))        step > 0, in float32
    code  = 1 where value - threshold > 0, or (value - threshold) / step > 1/2, else the lower one, at one bit

IEEE 754 defines each operation as the exact result, rounded to nearest. Over real numbers, to multiply or divide by a
positive constant or to add one does not decrease. What is left is to round, and that is proved here at full width, with
ties, subnormal numbers, both zeros and infinities: of integers to float64, of float128 to float64 and of float64 to
float32 (the wider format holds every product of two numbers of the narrower one exactly), and to an integer; and so
are the clamp and the comparisons. Sums and quotients have no format that holds them exactly: for their rounding the
definition is the argument. A composition of functions that do not decrease does not either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bitwuzla import Bitwuzla, Kind, Option, Options, Result, RoundingMode, Sort, Term, TermManager

from .proofs import ProofError

__all__ = ["RoundingProof", "prove_monotone", "prove_rounding"]

Function = Callable[[TermManager, Term, Term, Term], Term]
"""A term of a variable and of two constants of its sort: an integer, a floating-point number or a truth value."""
_SINGLE, _DOUBLE, _QUADRUPLE = (8, 24), (11, 53), (15, 113)
_INTEGER = 64


@dataclass(frozen=True)
class RoundingProof:
    """What was shown. steps: that do not decrease. seconds: taken."""

    steps: tuple[str, ...]
    seconds: float


def prove_rounding() -> RoundingProof:
    """Proves every step. Raises ProofError with one that decreases, and where."""
    start = time.perf_counter()
    for name, (domain, function) in _STEPS.items():
        prove_monotone(name, domain, function)
    return RoundingProof(tuple(_STEPS), time.perf_counter() - start)


def prove_monotone(name: str, domain: tuple[int, int] | int, function: Function) -> None:
    """Proves function(x) <= function(y) for all x <= y and all constants.

    domain: bits of exponent and significand of floating-point numbers, or bits of signed integers. Raises ProofError
    with ``name`` and two values where that does not hold.
    """
    terms = TermManager()
    sort: Sort = terms.mk_bv_sort(domain) if isinstance(domain, int) else terms.mk_fp_sort(*domain)
    less, more, *constants = (terms.mk_const(sort) for _ in range(4))
    made = [function(terms, each, *constants) for each in (less, more)]
    options = Options()
    options.set(Option.PRODUCE_MODELS, True)
    solver = Bitwuzla(terms, options)
    solver.assert_formula(_ordered(terms, less, more))
    solver.assert_formula(terms.mk_term(Kind.NOT, [_ordered(terms, *made)]))
    if solver.check_sat() != Result.UNSAT:
        found = " and ".join(str(solver.get_value(each)) for each in (less, more))
        raise ProofError(f"{name}: this may not decrease, but does between {found}")


def _ordered(terms: TermManager, one: Term, other: Term) -> Term:
    if one.sort().is_bool():
        return terms.mk_term(Kind.IMPLIES, [one, other])
    return terms.mk_term(Kind.BV_SLE if one.sort().is_bv() else Kind.FP_LEQ, [one, other])


def _nearest(terms: TermManager) -> Term:
    return terms.mk_rm_value(RoundingMode.RNE)


def _from_integer(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_TO_FP_FROM_SBV, [_nearest(terms), x], [*_DOUBLE])


def _to_double(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_TO_FP_FROM_FP, [_nearest(terms), x], [*_DOUBLE])


def _to_single(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_TO_FP_FROM_FP, [_nearest(terms), x], [*_SINGLE])


def _to_whole(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_RTI, [_nearest(terms), x])


def _clamped(terms: TermManager, x: Term, low: Term, other: Term) -> Term:
    """Between any two bounds in order: where they are not, the lower one stands for both."""
    high = terms.mk_term(Kind.ITE, [terms.mk_term(Kind.FP_LEQ, [low, other]), other, low])
    least = terms.mk_term(Kind.ITE, [terms.mk_term(Kind.FP_LT, [x, low]), low, x])
    return terms.mk_term(Kind.ITE, [terms.mk_term(Kind.FP_GT, [least, high]), high, least])


def _above(terms: TermManager, x: Term, bound: Term, _: Term) -> Term:
    """Whether it is above any constant: 0 and 1/2 are two of them."""
    return terms.mk_term(Kind.FP_GT, [x, bound])


_STEPS: Mapping[str, tuple[tuple[int, int] | int, Function]] = MappingProxyType(
    {
        "an integer of 64 bits to float64": (_INTEGER, _from_integer),
        "float128 to float64": (_QUADRUPLE, _to_double),
        "float64 to float32": (_DOUBLE, _to_single),
        "float32 to the nearest integer": (_SINGLE, _to_whole),
        "a clamp of float32": (_SINGLE, _clamped),
        "float32 above a constant": (_SINGLE, _above),
    }
)
