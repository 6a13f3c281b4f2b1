"""What parameters of a quantiser may be, and what becomes of the gradient of a scale that is as small as it may be."""

from __future__ import annotations

import math

import pytest
import torch

from qat.quantisers import ElasticBinarizer, Quantizer, StatisticalQuantizer, check_bounds
from qat.settings import GradientScale
from siliquant.inputs import InputError

TINY = 2.0**-126
LIMITS = {
    "start": (TINY, 1e12, "1.18e-38", "1e+12"), "relative": (1 / 256, 1e12, "0.00391", "1e+12"),
    "offset": (-1e12, 1e12, "-1e+12", "1e+12"), "threshold": (-1e12, 1e12, "-1e+12", "1e+12"),
    "magnitude": (0.0, 1e30, "0", "1e+30"), "scale": (TINY / 256, 1e12, "4.59e-41", "1e+12"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_parameters_end_where_they_are_said_to(name: str) -> None:
    low, high, least, most = LIMITS[name]
    check_bounds(name, torch.tensor([low, high, (low + high) / 2], dtype=torch.float64), "layer.x")
    beyond = (math.nextafter(low, -math.inf), math.nextafter(high, math.inf), math.nan, math.inf, -math.inf)
    for wrong in beyond:
        values = torch.tensor([high, wrong], dtype=torch.float64)
        with pytest.raises(InputError) as caught:
            check_bounds(name, values, "layer.x")
        assert str(caught.value) == f"layer.x must be from {least} to {most}, not {wrong:.6g}"


@pytest.mark.parametrize("relative", [1 / 256, 1 / 512, 3 / 512])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_binary_scale_at_its_floor_is_not_pushed_further_down(relative: float, sign: float) -> None:
    """x = 3 steps above the threshold: code 1, y = scale, so the gradient of the scale is that of y."""
    quantizer = ElasticBinarizer(signed=True, gradient_scale=GradientScale.NONE)
    quantizer.set_scale(torch.tensor([2.0]))
    with torch.no_grad():
        quantizer.relative.fill_(relative)
    y = quantizer(torch.full((1, 4), 6.0))
    assert y.tolist() == [[2.0 * max(relative, 1 / 256)] * 4]
    y.backward(torch.full((1, 4), sign))
    assert quantizer.relative.grad is not None
    pushed_down = sign > 0  # a step goes against the gradient
    assert quantizer.relative.grad.item() == (0.0 if relative <= 1 / 256 and pushed_down else 4 * sign * 2.0)


def test_bounds_of_codes_follow_the_parameters_to_another_type() -> None:
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.tensor([0.5]))
    for kind in (torch.float32, torch.float64, torch.float32):
        quantizer.to(kind)
        assert (quantizer.low.dtype, quantizer.high.dtype) == (kind, kind)
        assert (quantizer.low.tolist(), quantizer.high.tolist()) == ([-8.0], [7.0])
        assert quantizer.low is quantizer.low  # made once


@pytest.mark.parametrize("kind", [Quantizer, StatisticalQuantizer])
def test_what_was_fitted_to_a_weight_knows_it(kind: type[Quantizer]) -> None:
    quantizer = kind(4, signed=True)
    assert not quantizer.of_weight
    quantizer.fit(torch.tensor([0.5, -1.0]))
    assert quantizer.of_weight
