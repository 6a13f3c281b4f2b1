"""Passes over slices of operands: every pair of codes is reproduced exactly, by as few passes as documented."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtl.array.passes import Codes, Pass, plan_passes, width_of_results
from rtl.mac import (
    DESIGNS,
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    Dc1dSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec.mac import MacSpec, Precision
from rtl.spec.numbers import MAX_BITS, IntArray
from rtl.spec.values import CodeValues, codes_of

WIDTHS = range(1, MAX_BITS + 1)
SCALABLE = [
    design(widths=widths)
    for design in (PaddedSpec, SubwordSpec, BitFusionSpec, BitBladeSpec)
    for widths in ((8, 4, 2), (8, 4))
]
MACS = [
    *(UniformSpec(weight_bits=w, activation_bits=a) for w, a in product(WIDTHS, WIDTHS)),
    *SCALABLE,
    PaddedSpec(gating=True),
    BitSerialSpec(),
    LoomSpec(),
    SubwordSpec(widths=(4, 2)),
    BitFusionSpec(widths=(4, 2, 1)),
    Dc1dSpec(widths=(4, 2), activation_bits=4),
    BitSerialSpec(maximum_bits=4),
    XnorSpec(),
]
MACS += [design() for design in DESIGNS if design() not in MACS]


def all_codes(codes: Codes) -> IntArray:
    """Every code of an operand, from their definition."""
    if codes.bits == 1:
        return np.array([-1, 1] if codes.signed else [0, 1])
    low = -(1 << (codes.bits - 1)) if codes.signed else 0
    return np.arange(low, low + (1 << codes.bits))


def held(codes: CodeValues, values: IntArray) -> bool:
    """Whether hardware with such codes holds the values."""
    return set(values.ravel().tolist()) <= set(codes.values)


def check_pass(mac: MacSpec, each: Pass, weights: IntArray, activations: IntArray) -> None:
    """The precision is the design's, and its codes hold the slices, which are as they say."""
    precision = each.precision
    assert precision in mac.precisions
    assert held(mac.weight_values(precision), weights)
    assert held(mac.activation_values(precision), activations)
    for part, values in ((each.weights, weights), (each.activations, activations)):
        assert part.values == tuple(sorted(set(values.ravel().tolist())))
        assert abs(part.factor).bit_count() == 1
    assert abs(each.weights.factor * each.activations.factor) == 1 << each.shift
    assert (each.weights.factor * each.activations.factor < 0) == each.negate


def combined(plan: tuple[Pass, ...], products: list[IntArray]) -> IntArray:
    """What the array makes of the products of each pass: shifted, negated, added, and the last total halved."""
    total = np.zeros_like(products[0])
    for each, term in zip(plan, products, strict=True):
        shifted = term << each.shift
        total = (total if each.accumulate else 0) + (-shifted if each.negate else shifted)
        if each.halve:
            assert not (total & 1).any()
            total = total >> 1
    return total


@pytest.mark.parametrize("mac", MACS, ids=lambda mac: mac.name)
def test_every_pair_of_codes(mac: MacSpec) -> None:
    """All widths and signs of both operands, all pairs of their codes: in one pass at a precision of the design that
    holds both, if there is one.
    """
    for weight_bits, activation_bits, signed in product(WIDTHS, WIDTHS, (True, False)):
        weights, activations = Codes(weight_bits, True), Codes(activation_bits, signed)
        plan = plan_passes(mac, weights, activations)
        w, a = all_codes(weights), all_codes(activations)
        products = []
        for number, each in enumerate(plan):
            x, y = each.weights.take(w), each.activations.take(a)
            check_pass(mac, each, x, y)
            assert each.accumulate == (number > 0)
            assert not each.halve or number == len(plan) - 1
            products.append(np.multiply.outer(x, y))
        assert (combined(plan, products) == np.multiply.outer(w, a)).all(), (weights, activations)
        for number, each in enumerate(plan, start=1):
            total = combined(plan[:number], products[:number])
            assert each.limits == (total.min(), total.max())
        fits = any(held(mac.weight_values(p), w) and held(mac.activation_values(p), a) for p in mac.precisions)
        assert (len(plan) == 1) == fits


def wrapped(values: IntArray, width: int) -> IntArray:
    """Two's complement words of ``width`` bits."""
    return ((values + (1 << width - 1)) & ((1 << width) - 1)) - (1 << width - 1)


def drained(plan: tuple[Pass, ...], sums: list[IntArray], width: int) -> IntArray:
    """What the array's adders of ``width`` + 1 bits and memory of ``width`` bits make of the sums of the passes."""
    kept = np.zeros_like(sums[0])
    for each, term in zip(plan, sums, strict=True):
        shifted = wrapped((-term if each.negate else term) << each.shift, width + 1)
        total = wrapped(shifted + (kept if each.accumulate else 0), width + 1)
        kept = wrapped(total >> 1 if each.halve else total, width)
    return kept


@pytest.mark.parametrize("mac", [UniformSpec(), UniformSpec(weight_bits=1), XnorSpec()], ids=lambda mac: mac.name)
@pytest.mark.parametrize("k", [1, 3, 100])
def test_width_of_results_is_enough_and_the_least(mac: MacSpec, k: int) -> None:
    """Sums of k equal products of every pair of codes: all come out at that width, and not all at one bit less."""
    for weight_bits, activation_bits, signed in product(WIDTHS, WIDTHS, (True, False)):
        weights, activations = Codes(weight_bits, True), Codes(activation_bits, signed)
        plan = plan_passes(mac, weights, activations)
        w, a = all_codes(weights), all_codes(activations)
        sums = [k * np.multiply.outer(each.weights.take(w), each.activations.take(a)) for each in plan]
        wanted, width = k * np.multiply.outer(w, a), width_of_results(plan, k)
        assert (drained(plan, sums, width) == wanted).all()
        assert (drained(plan, sums, width - 1) != wanted).any(), (weights, activations, width)


@pytest.mark.parametrize(
    ("mac", "weight_bits", "activation_bits", "passes"),
    [
        (UniformSpec(weight_bits=4, activation_bits=4), 8, 8, 6),
        (UniformSpec(weight_bits=3, activation_bits=3), 8, 8, 9),
        (UniformSpec(weight_bits=2, activation_bits=2), 8, 8, 20),
        (UniformSpec(weight_bits=4, activation_bits=4), 4, 8, 2),
        (UniformSpec(weight_bits=4, activation_bits=4), 8, 4, 3),
        (UniformSpec(weight_bits=3, activation_bits=3), 4, 4, 4),
        (UniformSpec(weight_bits=2, activation_bits=2), 4, 4, 6),
        (UniformSpec(weight_bits=8, activation_bits=8), 8, 8, 1),
        (UniformSpec(weight_bits=4, activation_bits=4), 1, 1, 1),
        (XnorSpec(), 8, 8, 72),
        (XnorSpec(), 4, 4, 20),
        (XnorSpec(), 1, 1, 1),
        (XnorSpec(), 1, 8, 8),
    ],
    ids=str,
)
def test_number_of_passes(mac: MacSpec, weight_bits: int, activation_bits: int, passes: int) -> None:
    assert len(plan_passes(mac, Codes(weight_bits, True), Codes(activation_bits, True))) == passes


@pytest.mark.parametrize("mac", [*SCALABLE, BitSerialSpec(), LoomSpec()], ids=lambda mac: mac.name)
def test_designs_with_8_bits_need_one_pass_each(mac: MacSpec) -> None:
    for weight_bits, activation_bits, signed in product(WIDTHS, WIDTHS, (True, False)):
        (only,) = plan_passes(mac, Codes(weight_bits, True), Codes(activation_bits, signed))
        assert (only.shift, only.negate, only.accumulate, only.halve) == (0, False, False, False)


def test_fastest_then_narrowest_precision_is_taken() -> None:
    def chosen(mac: MacSpec, weight_bits: int, activation_bits: int, signed: bool = True) -> str:
        return str(plan_passes(mac, Codes(weight_bits, True), Codes(activation_bits, signed))[0].precision)

    assert chosen(SubwordSpec(), 2, 2) == "w2a2s"
    assert chosen(SubwordSpec(), 2, 3, False) == "w4a4s"  # 0 to 7 are codes of 4 signed bits, too
    assert chosen(SubwordSpec(), 2, 4, False) == "w4a4u"
    assert chosen(SubwordSpec(), 3, 2) == "w4a4s"
    assert chosen(SubwordSpec(), 5, 2) == "w8a8s"
    assert chosen(BitFusionSpec(), 8, 2) == "w8a2s"
    assert chosen(BitFusionSpec(), 1, 3) == "w2a4s"  # -1 and +1 in two's complement
    assert chosen(PaddedSpec(), 2, 2) == "w2a2s"  # all equally fast
    assert chosen(LoomSpec(), 3, 5) == "w3a5s"
    assert chosen(BitSerialSpec(), 3, 5) == "w3a5s"
    assert chosen(XnorSpec(), 1, 1) == "w1a1s"
    assert chosen(XnorSpec(), 1, 1, False) == "w1a1u"


@st.composite
def problems(draw: st.DrawFn) -> tuple[MacSpec, Codes, Codes, IntArray, IntArray]:
    """A design, code widths, and activations [M, K] and weights [N, K] with such codes."""
    mac = draw(st.sampled_from(MACS))
    weights = Codes(draw(st.sampled_from(WIDTHS)), True)
    activations = draw(st.builds(Codes, st.sampled_from(WIDTHS), st.booleans()))
    m, k, n = (draw(st.integers(1, 5)) for _ in range(3))

    def matrix(codes: Codes, rows: int) -> IntArray:
        values = all_codes(codes)
        return values[draw(arrays(np.int64, (rows, k), elements=st.integers(0, len(values) - 1)))]

    return mac, weights, activations, matrix(activations, m), matrix(weights, n)


@given(problems())
def test_whole_matrices(problem: tuple[MacSpec, Codes, Codes, IntArray, IntArray]) -> None:
    mac, weights, activations, left, right = problem
    plan = plan_passes(mac, weights, activations)
    products = []
    for each in plan:
        rows, columns = each.activations.take(left), each.weights.take(right)
        products.append(np.array([[mac.compute(column, row, each.precision) for column in columns] for row in rows]))
    assert (combined(plan, products) == left @ right.T).all()


@dataclass(frozen=True, kw_only=True)
class UnsignedOnly(UniformSpec):
    """A design whose activations cannot be signed."""

    @cached_property
    def precisions(self) -> tuple[Precision, ...]:
        return (Precision(self.weight_bits, self.activation_bits, False),)


class Chosen(UniformSpec):
    """A design of 4-bit codes, of which some are none."""

    weights: ClassVar[tuple[int, ...]]
    activations: ClassVar[tuple[int, ...]]
    """Unsigned ones."""

    @classmethod
    def of(cls, weights: Sequence[int], activations: Sequence[int]) -> "Chosen":
        return type("Chosen", (cls,), {"weights": tuple(weights), "activations": tuple(activations)})()

    def weight_values(self, precision: Precision) -> CodeValues:
        return codes_of(4, self.weights)

    def activation_values(self, precision: Precision) -> CodeValues:
        return super().activation_values(precision) if precision.activation_signed else codes_of(4, self.activations)


@pytest.mark.parametrize(
    ("weights", "activations", "passes"),
    [
        ((-1, 0, 1), range(16), 16),
        ((-4, -2, -1, 0, 1, 2, 4), range(16), 8),
        ((-2, -1, 0, 1, 3, 5), (0, 1, 2, 3, 5), 15),
        ((-1, 0), (0, 1, 2, 4, 8), 24),
        ((-1, 1), range(16), 18),
        ((-8, -1, 1), (0, 1), 27),
        ((-3, -1, 1, 3), (0, 1, 3), 27),
    ],
    ids=str,
)
def test_codes_with_gaps(weights: tuple[int, ...], activations: Sequence[int], passes: int) -> None:
    """8-bit codes are cut into digits that there are; signed activations of 4 bits hold unsigned ones of 3."""
    mac = Chosen.of(weights, activations)
    test_every_pair_of_codes(mac)
    assert len(plan_passes(mac, Codes(8, True), Codes(8, True))) == passes


def error_of(mac: MacSpec, weights: Codes, activations: Codes) -> str:
    with pytest.raises(ValueError) as caught:
        plan_passes(mac, weights, activations)
    return str(caught.value)


def test_what_cannot_be_planned() -> None:
    mac = UniformSpec()
    assert error_of(mac, Codes(4, False), Codes(4, True)) == (
        "the second operand must be signed, not unsigned 4-bit codes"
    )
    assert error_of(UnsignedOnly(), Codes(8, True), Codes(8, True)) == (
        "uniform_w4_a4_l16 must hold the codes of a layer, or digits of them: it holds weights from -8 to 7, "
        "activations from 0 to 15; the layer has weights from -128 to 127, activations from -128 to 127"
    )
    even, odd = (Chosen.of(weights, (0, 1)) for weights in ((-4, -2, 0, 2, 4), (-3, 1, 3)))
    for mac, values in ((even, "-4, -2, 0, 2 or 4"), (odd, "-3, 1 or 3")):
        assert error_of(mac, Codes(1, True), Codes(2, False)) == (
            f"uniform_w4_a4_l16 must hold the codes of a layer, or digits of them: it holds weights {values}, "
            f"activations from -8 to 7; weights {values}, activations from 0 to 1; the layer has weights -1 or 1, "
            "activations from 0 to 3"
        )


@pytest.mark.parametrize(
    ("kind", "bits", "signed", "text"),
    [
        (ValueError, 9, True, "bits must be an integer from 1 to 8, not 9"),
        (ValueError, 0, True, "bits must be an integer from 1 to 8, not 0"),
        (TypeError, 4.0, True, "bits must be an integer from 1 to 8, not 4.0"),
        (TypeError, 4, 1, "signed must be a bool, not 1"),
    ],
)
def test_codes_refuse(kind: type[Exception], bits: object, signed: object, text: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        Codes(bits, signed)  # type: ignore[arg-type]


def test_codes() -> None:
    assert [codes.values.values for codes in (Codes(1, True), Codes(1, False), Codes(2, True))] == [
        (-1, 1),
        (0, 1),
        (-2, -1, 0, 1),
    ]
    assert Codes(8, False).values.range == (0, 255)
