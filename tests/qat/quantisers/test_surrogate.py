"""The Fourier surrogate of rounding: its formula, its limits, and that nothing else of a quantiser changes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from qat.quantisers import fakequant
from qat.quantisers.granularity import PerHead
from qat.quantisers.native import kernels
from qat.quantisers.quantiser import Quantizer
from qat.quantisers.surrogate import FourierSurrogate

AMPLITUDES = st.floats(0, 0.225)


@given(st.floats(-300, 300, width=32), AMPLITUDES, st.integers(0, 9))
def test_the_derivative_is_the_paper_s_formula(v: float, amplitude: float, order: int) -> None:
    """Equation 10 of the paper, term by term, with cosines of the whole angle, in double precision."""
    rounded = round(v)  # half to even
    series = sum((-1) ** m / (2 * m + 1) * math.cos((2 * m + 1) * math.pi * (v + rounded)) for m in range(order + 1))
    c = amplitude * math.sqrt(2) * math.pi * series
    found = FourierSurrogate(amplitude, order).derivative(torch.tensor([v], dtype=torch.float64))
    assert float(found) == pytest.approx((1 - c) / (1 + c), abs=1e-9)


@pytest.mark.parametrize("order", [0, 1, 2, 7])
@pytest.mark.parametrize("amplitude", [0.05, 0.21, 0.225])
def test_it_is_positive_at_most_one_and_one_on_the_borders_of_bins(amplitude: float, order: int) -> None:
    v = torch.linspace(-2, 2, 4001)
    found = FourierSurrogate(amplitude, order).derivative(v)
    least = math.sqrt(2) * math.pi * amplitude
    assert bool((found > 0).all())
    assert float(found.min()) >= (1 - least) / (1 + least) - 1e-6
    assert float(found.max()) <= 1 + 1e-6
    on_borders = FourierSurrogate(amplitude, order).derivative(torch.tensor([-1.5, -0.5, 0.5, 1.5]))
    torch.testing.assert_close(on_borders, torch.ones(4))
    if order == 0:
        middles = FourierSurrogate(amplitude).derivative(torch.tensor([-2.0, 0.0, 1.0]))
        torch.testing.assert_close(middles, torch.full((3,), (1 - least) / (1 + least)))


def test_its_mean_is_the_one_of_theorem_4_2() -> None:
    """4 / pi - 1 where A comes to 1 / (sqrt(2) pi), over uniform weights."""
    surrogate = FourierSurrogate(1 / (math.sqrt(2) * math.pi) - 1e-9)
    v = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000 - 0.5
    assert float(surrogate.derivative(v).mean()) == pytest.approx(4 / math.pi - 1, abs=1e-6)
    variance = float(surrogate.derivative(v).var(unbiased=False))
    assert variance == pytest.approx(16 / (3 * math.pi) - 16 / math.pi**2, abs=1e-6)


def gradients(surrogate: FourierSurrogate | None, engine: str, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Value, and gradients of weight and scales."""
    if engine == "torch":
        monkeypatch.setattr(fakequant, "native", lambda tensors: False)
    quantizer = Quantizer(3, signed=True, granularity=PerHead(3, 1), groups=3)
    weight = nn.Parameter(torch.randn((20, 12), generator=torch.Generator().manual_seed(1)))
    quantizer.fit(weight)
    with torch.no_grad():
        quantizer.relative.mul_(0.6)  # some weights are beyond the range
    quantizer.surrogate = surrogate
    y = quantizer(weight)
    (y * torch.linspace(-2, 3, weight.numel()).view(weight.shape)).sum().backward()
    assert weight.grad is not None
    assert quantizer.relative.grad is not None
    monkeypatch.undo()
    return [y.detach(), weight.grad, quantizer.relative.grad]


def test_the_gradient_of_weights_alone_changes_by_the_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, shaped = (gradients(s, "kernels", monkeypatch) for s in (None, FourierSurrogate(0.2, 1)))
    quantizer = Quantizer(3, signed=True, granularity=PerHead(3, 1), groups=3)
    weight = torch.randn((20, 12), generator=torch.Generator().manual_seed(1))
    quantizer.fit(weight)
    v = weight / (0.6 * quantizer.scale).repeat_interleave(4)
    assert torch.equal(plain[0], shaped[0])
    assert torch.equal(plain[2], shaped[2])
    assert int((plain[1] == 0).sum()) > 5  # beyond the range
    torch.testing.assert_close(shaped[1], plain[1] * FourierSurrogate(0.2, 1).derivative(v))
    assert not torch.equal(shaped[1], plain[1])


def test_an_offset_moves_the_bins_and_what_is_infinite_has_no_gradient() -> None:
    quantizer = Quantizer(3, signed=False, with_offset=True)
    quantizer.set_scale(torch.tensor([0.5]), torch.tensor([-0.2]))
    quantizer.surrogate = FourierSurrogate(0.2, 1)
    x = torch.tensor([0.0, 0.13, 0.6, 2.1, math.inf, -math.inf], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad is not None
    inside = FourierSurrogate(0.2, 1).derivative((x.detach()[:4] + 0.2) / 0.5)
    torch.testing.assert_close(x.grad, torch.cat([inside, torch.zeros(2)]))


@pytest.mark.skipif(not kernels.available(), reason="no C compiler")
def test_kernels_and_torch_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of values and gradients of weights; those of scales are sums, in another order."""
    ours, theirs = (gradients(FourierSurrogate(0.21), engine, monkeypatch) for engine in ("kernels", "torch"))
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_amplitude_0_is_the_straight_through_estimator_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = gradients(None, "kernels", monkeypatch)
    for order in (0, 3):
        limit = gradients(FourierSurrogate(0.0, order), "kernels", monkeypatch)
        assert all(torch.equal(a, b) for a, b in zip(plain, limit, strict=True))


@pytest.mark.parametrize(
    ("amplitude", "order", "message"),
    [
        (0.2251, 0, r"^amplitude must be from 0 to below 1 / \(sqrt\(2\) pi\), 0.2251, not 0.2251$"),
        (-0.1, 0, r"^amplitude must be from 0 to below 1 / \(sqrt\(2\) pi\), 0.2251, not -0.1$"),
        (math.nan, 0, r"^amplitude must be from 0 to below 1 / \(sqrt\(2\) pi\), 0.2251, not nan$"),
        (0.1, -1, r"^order must be at least 0, not -1$"),
    ],
)
def test_parameters_that_it_does_not_take(amplitude: float, order: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FourierSurrogate(amplitude, order)
