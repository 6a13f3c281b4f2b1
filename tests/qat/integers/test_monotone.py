"""Codes do not decrease where accumulators grow, so bisection finds the thresholds: every step of a layer against exact
rational arithmetic, and whole layers, at scales so small and so large that float32 ends, against enumeration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qat.network.gemm import Product
from qat.network.layers import QuantLinear
from qat.quantisers import ElasticBinarizer, PerChannel, Quantizer
from rtl.requant import ThresholdSpec, find_thresholds

SINGLE, DOUBLE = (24, -149, 127), (53, -1074, 1023)
"""Bits of a significand, the exponents of the last bit of subnormal numbers and of the first of the largest ones."""


def nearest(exact: Fraction, form: tuple[int, int, int]) -> float:
    """A rational rounded to the nearest number of a format, half to the even one; infinite where none is near."""
    digits, least, most = form
    if exact == 0:
        return 0.0
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    step = Fraction(2) ** max(exponent - digits + 1, least)
    value = round(size / step) * step  # of a Fraction: half to even
    if value >= Fraction(2) ** (most + 1):
        return math.copysign(math.inf, exact)
    return math.copysign(float(value), exact)


def test_the_reference_rounds_as_the_formats_are_defined() -> None:
    assert nearest(Fraction(1) + Fraction(1, 2**24), SINGLE) == 1.0
    assert nearest(Fraction(1) + Fraction(3, 2**24), SINGLE) == 1 + 2**-22
    assert nearest(Fraction(1, 2**150), SINGLE) == 0.0
    assert nearest(Fraction(3, 2**150), SINGLE) == 2.0**-148
    assert nearest(Fraction(2) ** 128 - Fraction(2) ** 103, SINGLE) == math.inf
    assert nearest(-(Fraction(2) ** 128 - Fraction(2) ** 103 - 1), SINGLE) == -(2.0**128 - 2.0**104)
    assert nearest(Fraction(1, 3), DOUBLE) == 1 / 3


singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
steps = st.floats(width=32, min_value=2.0**-149, max_value=float(torch.finfo(torch.float32).max))
doubles = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200)
scales = st.floats(min_value=2.0**-300, max_value=1e100)
accumulators = st.integers(-(2**47), 2**47 - 1)


@given(accumulators, scales, doubles)
@settings(max_examples=400)
def test_scale_and_bias_are_rounded_to_float64_as_ieee_754_says(accumulator: int, scale: float, bias: float) -> None:
    product = torch.tensor([accumulator]).to(torch.float64).mul_(torch.tensor([scale], dtype=torch.float64))
    assert product.item() == nearest(accumulator * Fraction(scale), DOUBLE)
    total = product.clone().add_(torch.tensor([bias], dtype=torch.float64))
    assert total.item() == nearest(Fraction(product.item()) + Fraction(bias), DOUBLE)


@given(st.one_of(doubles, st.floats(-1e39, 1e39), singles), singles, steps)
@settings(max_examples=600)
def test_values_offsets_and_steps_are_rounded_to_float32_as_ieee_754_says(
    value: float, offset: float, step: float
) -> None:
    single = torch.tensor([value], dtype=torch.float64).to(torch.float32)
    assert single.item() == nearest(Fraction(value), SINGLE)
    if not single.isfinite():
        return
    moved = single - torch.tensor([offset])
    assert moved.item() == nearest(Fraction(single.item()) - Fraction(offset), SINGLE)
    if moved.isfinite():
        assert (moved / torch.tensor([step])).item() == nearest(Fraction(moved.item()) / Fraction(step), SINGLE)


STEPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "times": lambda x, positive: x * positive,
    "by": lambda x, positive: x / positive,
    "plus": lambda x, positive: x + positive,
    "minus": lambda x, positive: x - positive,
    "rounded": lambda x, _: x.round(),
}


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", STEPS)
@given(st.data())
@settings(max_examples=25)
def test_neighbours_stay_in_order(step: str, kind: torch.dtype, data: st.DataObject) -> None:
    """Numbers that follow each other, about values at random, zero, the smallest, ties and the largest."""
    width = 32 if kind == torch.float32 else 64
    largest, whole = torch.finfo(kind).max, np.float32 if width == 32 else np.float64
    middle = data.draw(st.one_of(
        st.floats(width=width, allow_nan=False, allow_infinity=False), st.integers(-300, 300).map(lambda n: n / 2),
        st.sampled_from([0.0, largest, -largest]),
    ))  # fmt: skip
    constant = data.draw(st.floats(width=width, min_value=float(np.nextafter(whole(0), whole(1))), max_value=largest))
    bits = np.frombuffer(whole(abs(middle)).tobytes(), dtype=np.int32 if width == 32 else np.int64)[0]
    near = (int(bits) + np.arange(-40, 41)).clip(0, int(np.array(whole(np.inf)).view(f"i{width // 8}")))
    points = np.sort(near.astype(f"i{width // 8}").view(whole)) * (-1 if middle < 0 else 1)
    x = torch.from_numpy(np.ascontiguousarray(np.sort(points)))
    y = STEPS[step](x, torch.tensor(constant, dtype=kind))
    assert bool((y[1:] >= y[:-1]).all()), (x, y)


def linear(bias: float, scale: float, out: int = 3) -> QuantLinear:
    """A layer of one input whose accumulators are given to it, with a scale a channel: scale, 1.7 scale ..."""
    torch.manual_seed(0)
    layer = nn.Linear(1, out)
    with torch.no_grad():
        layer.bias.copy_(bias * torch.linspace(-1, 1, out))
    weights = Quantizer(4, signed=True, granularity=PerChannel(0), groups=out)
    weights.set_scale(scale * torch.linspace(1.0, 2.4, out))
    inputs = Quantizer(4, signed=True)
    inputs.set_scale(torch.tensor([1.0]))
    return QuantLinear("layer", ("input",), layer.weight, layer.bias, weights, inputs).eval()


def codes_of(layer: QuantLinear, consumer: Quantizer) -> Callable[[np.ndarray], np.ndarray]:
    def codes(points: np.ndarray) -> np.ndarray:
        def engine(_: Product) -> Tensor:
            return torch.from_numpy(points)

        layer.engine = engine
        with torch.no_grad():
            outputs = layer(torch.zeros(len(points), 1))
        return np.asarray(consumer.to_int(outputs).numpy())

    return codes


def consumers(step: float, offset: float) -> list[Quantizer]:
    learned = [Quantizer(2, signed=True), Quantizer(4, signed=False, with_offset=True)]
    for quantizer in learned:
        quantizer.set_scale(torch.tensor([step]), torch.tensor([offset]))
    binary = [ElasticBinarizer(signed=signed) for signed in (True, False)]
    for each in binary:
        each.set_scale(torch.tensor([step]))
        each.threshold.data.fill_(offset)
    return [*learned, *binary]


EXTREMES = [
    # scale of the accumulators, bias, step and offset of the codes
    (0.013, 0.3, 0.11, -0.17),
    (2.0**-7, 0.625, 2.0**-3, -0.25),  # many ties
    (1e-41, 0.0, 3e-39, 1e-40),  # values are subnormal numbers
    (2.0**-149, 2.0**-147, 2.0**-140, 2.0**-146),  # of one bit, ties too
    (1e-44, 0.0, 1e-3, 0.0),  # all of them end as 0
    (1e35, 1e36, 2e37, -1e37),  # values reach infinity
    (1.4e38, 0.0, 1e-30, 1.4e38),  # all of them do but one
    (1e12, -1e12, 1e-38, 1e12),  # the quotient ends, not the value
    (1e-6, 16777216.0, 0.5, 16777216.0),  # the bias swallows the accumulators
    (1e-9, 3.0, 1e5, 2.0),
]


@pytest.mark.parametrize(("scale", "bias", "step", "offset"), EXTREMES)
def test_thresholds_found_by_bisection_are_those_of_all_accumulators(
    scale: float, bias: float, step: float, offset: float
) -> None:
    layer, low, high = linear(bias, scale), -3000, 3000
    every = np.repeat(np.arange(low, high + 1)[:, None], 3, axis=1)
    for consumer in consumers(step, offset):
        codes = codes_of(layer, consumer)
        wanted = codes(every)
        assert (np.diff(wanted, axis=0) >= 0).all()
        bits = consumer.bits[0]
        found = find_thresholds(codes, [low] * 3, [high] * 3, bits, consumer.signed)
        lowest, stride = (-1, 2) if (bits, consumer.signed) == (1, True) else (int(consumer.low), 1)
        for channel in range(3):
            reached = [wanted[:, channel] >= lowest + stride * rank for rank in range(1, 1 << bits)]
            first = [int(np.argmax(each)) + low if each.any() else high + 1 for each in reached]
            assert found[channel].tolist() == first
        spec = ThresholdSpec(accumulator_width=13, bits=bits, signed=consumer.signed)
        np.testing.assert_array_equal(spec.compute(every, found), wanted)


@given(
    st.integers(20, 48), st.floats(-140, 60), st.floats(-1e6, 1e6, width=32), st.floats(-8, 8), st.floats(-1, 1),
    st.integers(0, 1 << 30),
)  # fmt: skip
@settings(max_examples=60)
def test_thresholds_of_wide_accumulators_are_where_codes_change(
    width: int, magnitude: float, bias: float, ratio: float, offset: float, seed: int
) -> None:
    """Steps are up to 2**8 times what makes all codes, or less by that: some are never reached, some at once."""
    scale = 2.0**magnitude
    high = (1 << (width - 1)) - 1
    step = float(np.float32(min(max(2.0**ratio * scale * high / 8, 1e-44), 1e38)))
    layer = linear(float(np.float32(bias)), float(np.float32(scale)))
    points = np.random.default_rng(seed).integers(-high - 1, high + 1, size=(200, 3))
    for consumer in consumers(step, float(np.float32(offset * step))):
        codes = codes_of(layer, consumer)
        bits = consumer.bits[0]
        found = find_thresholds(codes, [-high - 1] * 3, [high] * 3, bits, consumer.signed)
        spec = ThresholdSpec(accumulator_width=width, bits=bits, signed=consumer.signed)
        around = (found.T[:, None] + np.arange(-2, 3)[None, :, None]).reshape(-1, 3).clip(-high - 1, high)
        for chosen in (around, points):
            np.testing.assert_array_equal(spec.compute(chosen, found), codes(chosen))
