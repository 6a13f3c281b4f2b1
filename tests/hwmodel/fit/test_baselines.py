"""The two simpler models: exact where their form is right, and the least relative error where it is not."""

from collections.abc import Callable
from itertools import product as every

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hwmodel.fit.baselines import polynomial, product
from hwmodel.fit.fitting import Point
from hwmodel.operands.stimulus import StreamPlan
from rtl.mac import BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec

Value = Callable[[Point], float]


def point(spec: MacSpec, clock_mhz: float = 10.0, area_um2: float = 1.0) -> Point:
    return Point(
        spec=spec, plan=StreamPlan(spec.precisions[0]), clock_mhz=clock_mhz, held_out="", area_um2=area_um2,
        minimum_period_ns=1.0, meets_clock=True, recipe="cell-chain-area", leakage_uw=1.0, clock_pj=1.0, settled_pj=1.0,
        glitch_pj=1.0,
    )  # fmt: skip


def uniform(w: int, a: int, lanes: int, stages: int = 0, clock_mhz: float = 10.0) -> Point:
    return point(UniformSpec(weight_bits=w, activation_bits=a, lanes=lanes, pipeline_stages=stages), clock_mhz)


WIDTHS = ((1, 2), (3, 3), (4, 8), (8, 5), (2, 7), (6, 1), (5, 4))
SOME = [uniform(w, a, n, p, mhz) for (w, a), n, p, mhz in every(WIDTHS, (2, 5, 16), (0, 1, 2), (10.0, 300.0, 1100.0))]
OTHERS = [uniform(7, 6, 11, 1, 500.0), uniform(2, 8, 64, 2, 1500.0), uniform(5, 1, 1, 0, 20.0)]


def numbers(each: Point) -> tuple[float, ...]:
    spec = each.spec
    assert isinstance(spec, UniformSpec)
    return spec.weight_bits, spec.activation_bits, spec.lanes, spec.pipeline_stages, each.clock_mhz


def test_a_product_of_widths_and_lanes_is_found_exactly() -> None:
    def value(each: Point) -> float:
        w, a, n, *_ = numbers(each)
        return 3.5 * w * a * n

    np.testing.assert_allclose(product(SOME, value, OTHERS), [value(each) for each in OTHERS])


def test_the_factor_has_the_least_relative_error() -> None:
    fitted = [point(UniformSpec(weight_bits=w, activation_bits=w, lanes=4), area_um2=20.0 * w + 9) for w in range(1, 9)]
    found = product(fitted, lambda each: each.area_um2, fitted)
    terms = np.array([4 * w * w for w in range(1, 9)])
    areas = np.array([each.area_um2 for each in fitted])
    best = minimize_scalar(lambda factor: float(((factor * terms / areas - 1) ** 2).sum()))
    np.testing.assert_allclose(found, best.x * terms, rtol=1e-6)


@pytest.mark.parametrize(
    ("spec", "terms"),
    [
        (UniformSpec(weight_bits=3, activation_bits=7, lanes=5), 105), (XnorSpec(lanes=40), 40),
        (PaddedSpec(units=3), 192), (SubwordSpec(units=2, widths=(8, 4)), 128), (BitSerialSpec(units=6), 384),
        (LoomSpec(units=6), 384),
    ],
)  # fmt: skip
def test_widths_are_those_the_hardware_is_made_for(spec: MacSpec, terms: int) -> None:
    one = [point(UniformSpec(weight_bits=1, activation_bits=1, lanes=1))]
    assert product(one, lambda each: 2.0, [point(spec)]).tolist() == [pytest.approx(2.0 * terms)]


@pytest.mark.parametrize("seed", range(3))
def test_any_polynomial_of_degree_two_is_found_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    linear, square = rng.uniform(0.1, 1.0, 5), np.triu(rng.uniform(0.01, 0.1, (5, 5)))

    def value(each: Point) -> float:
        x = np.array(numbers(each))
        return float(7.0 + linear @ x + x @ square @ x)

    found = polynomial(SOME, value, [*SOME, *OTHERS])
    np.testing.assert_allclose(found, [value(each) for each in [*SOME, *OTHERS]], rtol=1e-6)


def test_a_polynomial_of_degree_three_is_not() -> None:
    def value(each: Point) -> float:
        w, a, n, *_ = numbers(each)
        return w * a * n

    found = polynomial(SOME, value, OTHERS)
    assert np.abs(found / [value(each) for each in OTHERS] - 1).max() > 0.05


def test_the_polynomial_has_the_least_relative_error() -> None:
    """No step from the answer makes the sum of squared relative errors smaller."""
    rng = np.random.default_rng(0)
    values = {id(each): float(rng.uniform(1, 100)) for each in SOME}
    found = polynomial(SOME, lambda each: values[id(each)], SOME)
    wanted = np.array([values[id(each)] for each in SOME])
    error = found / wanted - 1
    for x in np.array([numbers(each) for each in SOME]).T:
        for term in (np.ones(len(SOME)), x, x * x):
            step = term / wanted
            assert abs(error @ step) < 1e-6 * np.linalg.norm(step) * np.linalg.norm(error)


def test_a_column_that_is_always_zero_does_no_harm() -> None:
    """No design has a pipeline register; each column counts by its own size."""
    plain = [uniform(w, a, n) for w, a, n in every((1, 2, 4, 8), (1, 3, 8), (1, 4, 32))]
    found = polynomial(plain, lambda each: 10.0 + numbers(each)[2] ** 2, plain)
    np.testing.assert_allclose(found, [10.0 + numbers(each)[2] ** 2 for each in plain], rtol=1e-9)
