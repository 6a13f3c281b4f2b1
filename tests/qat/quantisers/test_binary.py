"""Elastic binarisation: codes, thresholds, gradients and starting values."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.fakequant import RELATIVE_FLOOR
from qat.quantisers.granularity import Granularity, PerChannel, PerHead, PerTensor
from qat.settings.ranges import GradientScale

CASES: list[tuple[Granularity, tuple[int, ...], int]] = [
    (PerTensor(), (41,), 1),
    (PerChannel(0), (3, 30), 3),
    (PerHead(2, 1), (9, 12), 2),
    (PerHead(3, -1), (2, 5, 24), 3),
    (PerHead(2, 1), (3, 2, 4, 4), 2),
]


def made(
    case: tuple[Granularity, tuple[int, ...], int], signed: bool, kind: GradientScale = GradientScale.NONE
) -> tuple[ElasticBinarizer, Tensor, torch.Generator]:
    """A binariser of random scales and thresholds, and values on both sides of its range."""
    granularity, shape, groups = case
    draw = torch.Generator().manual_seed(groups)
    quantizer = ElasticBinarizer(signed=signed, granularity=granularity, groups=groups, gradient_scale=kind)
    x = torch.randn(shape, generator=draw) * 2
    quantizer.fit(x)
    quantizer.set_scale(torch.rand(groups, generator=draw) * 3 + 0.1)
    with torch.no_grad():
        quantizer.threshold.copy_(torch.randn(groups, generator=draw) * 0.3)
        quantizer.relative.copy_(torch.rand(groups, generator=draw) + 0.5)
    return quantizer, x, draw


def group_at(granularity: Granularity, shape: tuple[int, ...]) -> Tensor:
    """The group of each element, in the shape of the tensor."""
    layout = granularity.layout(shape)
    return torch.arange(layout.groups).view(1, -1, 1).expand(layout).reshape(shape)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("signed", [True, False])
def test_codes_and_values_element_by_element(case: tuple[Granularity, tuple[int, ...], int], signed: bool) -> None:
    quantizer, x, _ = made(case, signed)
    groups = group_at(case[0], case[1]).flatten().tolist()
    want = []
    for value, group in zip(x.flatten().tolist(), groups, strict=True):
        above = (value - quantizer.threshold[group].item()) / quantizer.scale[group].item()
        want.append((1 if above > 0 else -1) if signed else (1 if above > 0.5 else 0))
    codes = quantizer.to_int(x)
    assert codes.dtype == torch.int64
    assert codes.flatten().tolist() == want
    assert codes.unique().tolist() == ([-1, 1] if signed else [0, 1])
    y = quantizer(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, quantizer.dequantize(codes))
    assert torch.equal(y.flatten(), codes.flatten() * quantizer.scale[groups])


def test_the_bound_itself_is_the_lower_code() -> None:
    one = torch.ones(1)
    for signed, points, codes in ((True, [-1e-6, 0.0, 1e-6], [-1, -1, 1]), (False, [0.49, 0.5, 0.51], [0, 0, 1])):
        quantizer = ElasticBinarizer(signed=signed)
        quantizer.set_scale(one)
        assert quantizer.to_int(torch.tensor(points)).tolist() == codes


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("kind", list(GradientScale))
def test_gradients_are_those_of_straight_through_operations_in_float64(
    case: tuple[Granularity, tuple[int, ...], int], signed: bool, kind: GradientScale
) -> None:
    """scale * code with the code replaced by the clipped ratio where a gradient is asked for."""
    quantizer, x, draw = made(case, signed, kind)
    weight = nn.Parameter(x)
    grad = torch.randn(x.shape, generator=draw)
    quantizer(weight).backward(grad)

    layout = quantizer.layout(x)
    leaves = [t.detach().double().requires_grad_() for t in (x, quantizer.relative, quantizer.threshold)]
    scale = (quantizer.start.double() * leaves[1]).view(1, -1, 1)
    v = (leaves[0].view(layout) - leaves[2].view(1, -1, 1)) / scale
    clipped = v.clamp(-1.0 if signed else 0.0, 1.0)
    code = quantizer.to_int(x).view(layout).double()
    y = (clipped + (code - clipped).detach()) * scale
    want = torch.autograd.grad(y.view(x.shape), leaves, grad.double())

    high = torch.ones(layout.groups, dtype=torch.float64)
    size = {
        GradientScale.NONE: high,
        GradientScale.LSQ: high * layout.outer * layout.inner,
        GradientScale.L1: x.double().view(layout).abs().sum((0, 2)),
    }[kind]
    assert weight.grad is not None
    assert 0 < int((want[0] == 0).sum()) < x.numel()
    assert torch.allclose(weight.grad.double(), want[0], rtol=1e-6)
    for parameter, wanted in ((quantizer.relative, want[1]), (quantizer.threshold, want[2])):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad.double(), wanted * size.rsqrt(), rtol=1e-4, atol=1e-5)


def test_the_threshold_moves_the_comparison_and_not_the_value() -> None:
    quantizer = ElasticBinarizer(signed=True, granularity=PerHead(2, 0), groups=2)
    quantizer.set_scale(torch.tensor([0.5, 2.0]))
    with torch.no_grad():
        quantizer.threshold.copy_(torch.tensor([0.3, -1.0]))
    x = torch.tensor([[0.2, 0.4], [-0.9, -1.1]])
    assert quantizer.to_int(x).tolist() == [[-1, 1], [1, -1]]
    assert quantizer(x).tolist() == [[-0.5, 0.5], [2.0, -2.0]]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_weight_starts_at_the_mean_of_each_head(axis: int) -> None:
    weight = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    heads = weight.chunk(2, axis)
    heads[0].mul_(0.01).add_(0.5)
    heads[1].mul_(7.0).sub_(3.0)
    quantizer = ElasticBinarizer(signed=True, granularity=PerHead(2, axis), groups=2)
    quantizer.fit(weight)
    for head, part in enumerate(heads):
        mean = part.double().mean().item()
        assert quantizer.threshold[head].item() == pytest.approx(mean, rel=1e-4)
        assert quantizer.scale[head].item() == pytest.approx((part.double() - mean).abs().mean().item(), rel=1e-4)
        want = torch.where(part > quantizer.threshold[head], 1, -1)
        assert torch.equal(quantizer.to_int(weight).chunk(2, axis)[head], want)


def test_constant_weights_have_a_positive_scale() -> None:
    quantizer = ElasticBinarizer(signed=True)
    quantizer.fit(torch.full((4,), 2.0))
    assert quantizer.scale.item() > 0


def test_signed_activations_start_at_zero_and_the_mean_magnitude_over_all_batches() -> None:
    draw = torch.Generator().manual_seed(2)
    batches = [torch.randn(n, 6, 4, generator=draw) * n for n in (1, 2, 5)]
    quantizer = ElasticBinarizer(signed=True, granularity=PerHead(2, 2), groups=2)
    quantizer.begin_search()
    for batch in batches:
        assert quantizer(batch) is batch
    quantizer.end_search()
    together = torch.cat(batches).double()
    assert quantizer.threshold.tolist() == [0.0, 0.0]
    for head in range(2):
        mean = together[..., 2 * head : 2 * head + 2].abs().mean().item()
        assert quantizer.scale[head].item() == pytest.approx(mean, rel=1e-5)


def test_unsigned_activations_start_at_the_scale_of_least_error() -> None:
    """Within a step of the grid: no scale of a dense scan has an error much below."""
    draw = torch.Generator().manual_seed(3)
    batches = [torch.rand(20, 30, generator=draw) ** 3 for _ in range(3)]
    quantizer = ElasticBinarizer(signed=False)
    quantizer.begin_search()
    for batch in batches:
        quantizer(batch)
    quantizer.end_search()
    values = torch.cat(batches).flatten().double()

    def error(scale: Tensor) -> Tensor:
        return ((torch.where(values / scale > 0.5, 1.0, 0.0) * scale - values) ** 2).sum()

    least = min(error(scale) for scale in torch.linspace(0.01, 1.5, 400, dtype=torch.float64))
    assert error(quantizer.scale.double()) <= 1.02 * least
    assert quantizer.threshold.tolist() == [0.0]


@pytest.mark.parametrize("signed", [True, False])
def test_a_scale_stays_positive_and_comes_back(signed: bool) -> None:
    quantizer = ElasticBinarizer(signed=signed, gradient_scale=GradientScale.NONE)
    quantizer.set_scale(torch.tensor([0.2]))
    optimizer = torch.optim.SGD([quantizer.relative], lr=1e3)
    x = torch.full((5,), 3.0)
    for sign in (1, 1, 1):
        optimizer.zero_grad()
        (sign * quantizer(x)).sum().backward()
        optimizer.step()
        assert quantizer.scale.item() == pytest.approx(0.2 * RELATIVE_FLOOR)
    for _ in range(3):
        optimizer.zero_grad()
        (-quantizer(x)).sum().backward()
        optimizer.step()
    assert quantizer.scale.item() > 0.02


def test_autocast_does_not_lower_the_precision() -> None:
    quantizer = ElasticBinarizer(signed=True)
    quantizer.set_scale(torch.tensor([0.3]))
    x = torch.linspace(-1, 1, 21)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = quantizer(x)
        low = quantizer(x.bfloat16())
    assert y.dtype == low.dtype == torch.float32
    assert torch.equal(y, quantizer(x))


def test_a_transposed_input() -> None:
    for granularity, shape, groups in CASES[1:]:
        quantizer, _, draw = made((granularity, shape, groups), True)
        x = torch.randn(shape[1], shape[0], *shape[2:], generator=draw).transpose(0, 1).requires_grad_()
        other = x.detach().contiguous().requires_grad_()
        assert torch.equal(quantizer.to_int(x), quantizer.to_int(other))
        for leaf in (x, other):
            quantizer(leaf).square().sum().backward()
        assert x.grad is not None
        assert other.grad is not None
        assert torch.equal(x.grad, other.grad)


def test_state_comes_back_with_the_threshold() -> None:
    quantizer, x, _ = made(CASES[2], True)
    other = ElasticBinarizer(signed=True, granularity=PerHead(2, 1), groups=2)
    other.load_state_dict(copy.deepcopy(quantizer.state_dict()))
    assert torch.equal(other(x), quantizer(x))
    assert torch.equal(other.to_int(x), quantizer.to_int(x))


def test_the_observer_sees_the_codes_once() -> None:
    quantizer = ElasticBinarizer(signed=True)
    quantizer.set_scale(torch.ones(1))
    seen: list[Tensor] = []
    quantizer.observer = seen.append
    quantizer(torch.tensor([2.0, -2.0]))
    assert [codes.tolist() for codes in seen] == [[1, -1]]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ElasticBinarizer(2, signed=True), ValueError, "bits of a binary quantiser must be 1, not 2"),
        (
            lambda: ElasticBinarizer((1, 4), signed=True, granularity=PerHead(2, 0), groups=2),
            ValueError,
            "bits of a binary quantiser must be 1, not 4",
        ),
        (
            lambda: ElasticBinarizer(signed=True)(torch.zeros(3)),
            RuntimeError,
            "a quantiser has no scale yet: fit or calibrate it, or load its state, first",
        ),
        (
            lambda: ElasticBinarizer(signed=True).to_int(torch.zeros(3)),
            RuntimeError,
            "a quantiser has no scale yet: fit or calibrate it, or load its state, first",
        ),
        (
            lambda: ElasticBinarizer(signed=True).end_search(),
            RuntimeError,
            "end_search needs begin_search before it",
        ),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
