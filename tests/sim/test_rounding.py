"""Steps that may not decrease: those of a layer are proved, and what decreases somewhere is refused, with where."""

from __future__ import annotations

import pytest
from bitwuzla import Kind, RoundingMode, Term, TermManager

from sim.proofs import ProofError
from sim.rounding import Function, prove_monotone, prove_rounding


def test_every_step_of_a_layer_is_proved() -> None:
    assert prove_rounding().steps == (
        "an integer of 64 bits to float64",
        "float128 to float64",
        "float64 to float32",
        "float32 to the nearest integer",
        "a clamp of float32",
        "float32 above a constant",
    )


def negated(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_NEG, [x])


def magnitude(terms: TermManager, x: Term, *_: Term) -> Term:
    return terms.mk_term(Kind.FP_ABS, [x])


def times_any(terms: TermManager, x: Term, scale: Term, _: Term) -> Term:
    """A scale that may be negative."""
    return terms.mk_term(Kind.FP_MUL, [terms.mk_rm_value(RoundingMode.RNE), x, scale])


def unsigned(terms: TermManager, x: Term, *_: Term) -> Term:
    """A signed integer read as one that is not."""
    return terms.mk_term(Kind.FP_TO_FP_FROM_UBV, [terms.mk_rm_value(RoundingMode.RNE), x], [8, 24])


def below(terms: TermManager, x: Term, bound: Term, _: Term) -> Term:
    return terms.mk_term(Kind.FP_LT, [x, bound])


def clamped_wrongly(terms: TermManager, x: Term, low: Term, high: Term) -> Term:
    """Above its highest value a code starts again at the lowest."""
    return terms.mk_term(Kind.ITE, [terms.mk_term(Kind.FP_GT, [x, high]), low, x])


@pytest.mark.parametrize(
    ("domain", "function"),
    [((5, 11), negated), ((5, 11), magnitude), ((5, 11), times_any), (16, unsigned), ((8, 24), below),
     ((8, 24), clamped_wrongly)],
)  # fmt: skip
def test_what_decreases_is_refused_with_the_place(domain: tuple[int, int] | int, function: Function) -> None:
    digit = "#b[01]+" if isinstance(domain, int) else r"\(fp .*\)"
    with pytest.raises(ProofError, match=rf"^a step: this may not decrease, but does between {digit} and {digit}$"):
        prove_monotone("a step", domain, function)
