"""LSQ quantisers: values, codes, gradients, scales and their start, on the compiled kernels and on PyTorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qat.quantisers import fakequant
from qat.quantisers.fakequant import RELATIVE_FLOOR
from qat.quantisers.granularity import Granularity, Layout, PerChannel, PerHead, PerTensor
from qat.quantisers.native import kernels
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer
from qat.quantisers.scalesearch import ScaleSearch, fit_scale
from qat.settings.ranges import GradientScale, check_bits, code_range

CASES: list[tuple[Granularity, tuple[int, ...], int]] = [
    (PerTensor(), (37,), 1),
    (PerTensor(), (3, 5, 4), 1),
    (PerChannel(0), (5, 12), 5),
    (PerChannel(-1), (4, 3, 6), 6),
    (PerHead(2, 0), (6, 9), 2),
    (PerHead(3, 1), (8, 12), 3),
    (PerHead(3, 2), (2, 4, 3, 5), 3),
    (PerHead(2, -1), (2, 3, 34), 2),
]
UNCALIBRATED = "a quantiser has no scale yet: fit or calibrate it, or load its state, first"


@pytest.fixture(params=["kernels", "torch"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with the compiled kernels and with the PyTorch operations that stand in for them."""
    if request.param == "torch":
        monkeypatch.setattr(fakequant, "native", lambda x: False)
    elif not kernels.available():
        pytest.skip("no C compiler")
    return str(request.param)


def column(values: Tensor) -> Tensor:
    return values.view(1, -1, 1)


def calibrated(scale: Tensor, bits: Any, offset: Tensor | None = None, **arguments: Any) -> Quantizer:
    quantizer = Quantizer(bits, groups=len(scale), with_offset=offset is not None, **arguments)
    quantizer.set_scale(scale, offset)
    return quantizer


def known(
    quantizer: Quantizer, shape: tuple[int, ...], draw: torch.Generator, scale: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Values whose codes follow from how they are made, not from a division: (code + part of a step) * scale.

    Also reaches three steps outside of the range; the part stays clear of ties and of the bounds.
    """
    layout = quantizer.layout(torch.empty(shape))
    low, high = column(quantizer.low), column(quantizer.high)
    count = layout.outer * layout.inner
    steps = torch.linspace(0, 1, count).view(layout.outer, 1, layout.inner) * (high - low + 6) + low - 3
    code = steps.round()
    part = torch.tensor([-0.45, -0.2, 0.1, 0.3, 0.45])[torch.randint(0, 5, layout, generator=draw)]
    x = (code + part) * column(quantizer.scale if scale is None else scale)
    if quantizer.offset is not None:
        x = x + column(quantizer.offset.detach())
    return x.view(shape), torch.minimum(torch.maximum(code, low), high).long().view(shape)


def gradient(of: Tensor) -> Tensor:
    assert of.grad is not None
    return of.grad


def random_scales(groups: int, draw: torch.Generator, decades: float = 2.0) -> Tensor:
    return 10 ** ((torch.rand(groups, generator=draw) * 2 - 1) * decades)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("kind", ["signed", "unsigned", "offset"])
def test_codes_and_values_of_known_inputs(bits: int, kind: str) -> None:
    draw = torch.Generator().manual_seed(bits)
    for granularity, shape, groups in CASES:
        scale = random_scales(groups, draw)
        offset = -scale * torch.rand(groups, generator=draw) * 3 if kind == "offset" else None
        quantizer = calibrated(scale, bits, offset, signed=kind == "signed", granularity=granularity)
        x, want = known(quantizer, shape, draw)
        assert torch.equal(quantizer.to_int(x), want)
        assert quantizer.to_int(x).dtype == torch.int64
        layout = granularity.layout(shape)
        values = want.view(layout).double() * column(scale.double())
        values = values if offset is None else values + column(offset.double())
        y = quantizer(x)
        assert y.shape == shape
        assert y.dtype == torch.float32
        assert torch.allclose(y.double().view(layout), values, rtol=1e-6, atol=1e-6 * float(scale.max()))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("signed", [True, False])
def test_ties_go_to_the_even_code_and_bounds_are_the_documented_ones(bits: int, signed: bool) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    quantizer = calibrated(torch.tensor([0.125]), bits, signed=signed)
    quarters = range(4 * low - 9, 4 * high + 10)
    codes = quantizer.to_int(torch.tensor([0.125 * q / 4 for q in quarters]))
    assert codes.tolist() == [round(min(max(q / 4, low), high)) for q in quarters]
    assert codes.unique().tolist() == list(range(low, high + 1))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("kind", ["signed", "unsigned", "offset"])
def test_every_code_is_a_fixed_point_at_any_scale(bits: int, kind: str) -> None:
    """300 scales over twelve decades, all codes of each."""
    draw = torch.Generator().manual_seed(bits)
    scale = random_scales(300, draw, 6)
    offset = -scale * torch.rand(300, generator=draw) * 2**bits if kind == "offset" else None
    quantizer = calibrated(scale, bits, offset, signed=kind == "signed", granularity=PerChannel(0))
    low, high = code_range(bits, kind == "signed")
    codes = torch.arange(low, high + 1).repeat(300, 1)
    values = quantizer.dequantize(codes)
    assert torch.equal(quantizer.to_int(values), codes)
    assert torch.equal(quantizer(values), values)


@given(
    case=st.sampled_from(CASES),
    bits=st.integers(2, 8),
    kind=st.sampled_from(["signed", "unsigned", "offset"]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_forward_is_the_value_of_the_code_bit_for_bit(
    case: tuple[Granularity, tuple[int, ...], int], bits: int, kind: str, seed: int
) -> None:
    granularity, shape, groups = case
    draw = torch.Generator().manual_seed(seed)
    scale = random_scales(groups, draw)
    offset = torch.randn(groups, generator=draw) * scale if kind == "offset" else None
    quantizer = calibrated(scale, bits, offset, signed=kind == "signed", granularity=granularity)
    x = torch.randn(shape, generator=draw) * float(scale.mean()) * 2**bits / 3
    once = quantizer(x)
    assert torch.equal(once, quantizer.dequantize(quantizer.to_int(x)))
    assert torch.equal(quantizer(once), once)


@pytest.mark.parametrize("signed", [True, False])
def test_each_group_has_its_own_width(signed: bool) -> None:
    draw = torch.Generator().manual_seed(1)
    bits = (2, 8, 3, 4, 7, 5, 6)
    scale = random_scales(7, draw)
    quantizer = calibrated(scale, bits, signed=signed, granularity=PerHead(7, 1))
    x, want = known(quantizer, (60, 35), draw)
    codes = quantizer.to_int(x)
    assert torch.equal(codes, want)
    for head, b in enumerate(bits):
        alone = calibrated(scale[head : head + 1], b, signed=signed)
        part = slice(head * 5, head * 5 + 5)
        assert torch.equal(alone.to_int(x[:, part]), codes[:, part])
        assert (codes[:, part].min().item(), codes[:, part].max().item()) == code_range(b, signed)


def test_a_transposed_input_and_one_of_another_type() -> None:
    draw = torch.Generator().manual_seed(2)
    for granularity, shape, groups in CASES[1:]:
        quantizer = calibrated(random_scales(groups, draw), 4, signed=True, granularity=granularity)
        x = torch.randn(shape[1], shape[0], *shape[2:], generator=draw).transpose(0, 1)
        assert torch.equal(quantizer(x), quantizer(x.contiguous()))
        assert torch.equal(quantizer.to_int(x), quantizer.to_int(x.contiguous()))
        leaf, other = x.detach().requires_grad_(), x.contiguous().requires_grad_()
        quantizer(leaf).square().sum().backward()
        quantizer(other).square().sum().backward()
        assert torch.equal(gradient(leaf), gradient(other))
        double = x.double().requires_grad_()
        assert torch.equal(quantizer(double), quantizer(x))
        quantizer(double).sum().backward()
        assert double.grad is not None
        assert double.grad.dtype == torch.float64


# ---- Gradients ----


def reference(
    x: Tensor, relative: Tensor, start: Tensor, offset: Tensor | None, low: Tensor, high: Tensor, layout: Layout
) -> Tensor:
    """The same quantiser from plain operations, straight through the rounding alone."""
    scale = column(start * relative)
    shift = 0.0 if offset is None else column(offset)
    v = (x.view(layout) - shift) / scale
    clamped = v.clamp(column(low), column(high))
    return (((clamped.round() - clamped).detach() + clamped) * scale + shift).view(x.shape)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", ["signed", "unsigned", "offset"])
def test_gradients_are_those_of_straight_through_operations_in_float64(
    case: tuple[Granularity, tuple[int, ...], int], kind: str
) -> None:
    granularity, shape, groups = case
    for bits in (2, 4, 8):
        draw = torch.Generator().manual_seed(bits)
        start = random_scales(groups, draw, 1)
        offset = -start * torch.rand(groups, generator=draw) if kind == "offset" else None
        quantizer = calibrated(
            start, bits, offset, signed=kind == "signed", granularity=granularity, gradient_scale=GradientScale.NONE
        )
        with torch.no_grad():
            quantizer.relative.copy_(torch.rand(groups, generator=draw) + 0.5)
        x = known(quantizer, shape, draw)[0].requires_grad_()
        grad = torch.randn(shape, generator=draw)
        quantizer(x).backward(grad)

        leaves = [x.detach().double().requires_grad_(), quantizer.relative.detach().double().requires_grad_()]
        if quantizer.offset is not None:
            leaves.append(quantizer.offset.detach().double().requires_grad_())
        shift = leaves[2] if len(leaves) == 3 else None
        low, high = quantizer.low.double(), quantizer.high.double()
        layout = quantizer.layout(x)
        y = reference(leaves[0], leaves[1], start.double(), shift, low, high, layout)
        want = torch.autograd.grad(y, leaves, grad.double())
        assert x.grad is not None
        assert torch.equal(x.grad == 0, want[0] == 0)
        assert torch.allclose(x.grad.double(), want[0], rtol=1e-12)
        assert 0 < int((want[0] == 0).sum()) < x.numel()
        assert quantizer.relative.grad is not None
        assert torch.allclose(quantizer.relative.grad.double(), want[1], rtol=1e-4, atol=1e-4 * float(start.max()))
        if quantizer.offset is not None:
            assert quantizer.offset.grad is not None
            assert torch.allclose(quantizer.offset.grad.double(), want[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", list(GradientScale))
def test_gradient_of_relative_is_start_times_factor_times_that_of_lsq(kind: GradientScale) -> None:
    """d value / d scale written out: round(v) - v inside, the bound outside."""
    draw = torch.Generator().manual_seed(3)
    start = torch.tensor([0.05, 2.0, 0.4])
    quantizer = calibrated(start, (2, 4, 8), signed=True, granularity=PerHead(3, 0), gradient_scale=kind)
    weight = nn.Parameter(known(quantizer, (6, 40), draw)[0])
    quantizer.fit(weight)
    quantizer.set_scale(start)
    grad = torch.randn(6, 40, generator=draw)
    quantizer(weight).backward(grad)
    for head, (low, high) in enumerate([(-2, 1), (-8, 7), (-128, 127)]):
        rows = slice(2 * head, 2 * head + 2)
        part, of = weight.detach()[rows].double(), grad[rows].double()
        v = part / start[head].double()
        change = torch.where(v < low, float(low), torch.where(v > high, float(high), v.round() - v))
        factor = {
            GradientScale.NONE: 1.0,
            GradientScale.LSQ: 1 / math.sqrt(80 * high),
            GradientScale.L1: 1 / math.sqrt(high * float(part.abs().sum())),
        }[kind]
        want = start[head].item() * factor * float((change * of).sum())
        assert quantizer.relative.grad is not None
        assert quantizer.relative.grad[head].item() == pytest.approx(want, rel=1e-4)


def test_the_clip_test_is_on_the_unrounded_value_unlike_the_operator_of_torch() -> None:
    """Between Qp and Qp + 1/2 the rounded code is still Qp: torch's learnable operator lets the gradient through."""
    one, zero = torch.ones(1), torch.zeros(1)
    x = torch.tensor([7.0, 7.1, 7.3, 7.49, -8.0, -8.1, -8.3, -8.49], requires_grad=True)
    torch._fake_quantize_learnable_per_tensor_affine(x, one.requires_grad_(), zero, -8, 7, 1.0).sum().backward()
    assert gradient(x).tolist() == [1.0] * 8  # what must not be
    x.grad = None
    quantizer = calibrated(torch.ones(1), 4, signed=True, gradient_scale=GradientScale.NONE)
    quantizer(x).sum().backward()
    assert gradient(x).tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert gradient(quantizer.relative).item() == 3 * 7 - 3 * 8
    assert gradient(one).item() != gradient(quantizer.relative).item()


@pytest.mark.parametrize("with_offset", [True, False])
def test_gradient_factors_of_activations_are_those_of_one_sample(with_offset: bool) -> None:
    """From calibration on 5 samples in two batches; the factor leaves the values alone."""
    draw = torch.Generator().manual_seed(4)
    batches = [torch.rand(3, 7, 8, generator=draw) * 4, torch.rand(2, 7, 8, generator=draw) * 4]
    fresh = torch.rand(2, 7, 8, generator=draw) * 4
    values, grads = [], []
    for kind in (GradientScale.NONE, GradientScale.LSQ, GradientScale.L1):
        quantizer = Quantizer(
            3, signed=False, granularity=PerHead(2, -1), groups=2, with_offset=with_offset, gradient_scale=kind
        )
        quantizer.begin_search()
        for batch in batches:
            assert quantizer(batch) is batch
        quantizer.end_search()
        y = quantizer(fresh)
        y.square().sum().backward()
        values.append(y.detach())
        grads.append([p.grad.double() for p in quantizer.parameters() if p.grad is not None])
    assert torch.equal(values[0], values[1])
    assert torch.equal(values[0], values[2])
    norms = torch.cat(batches).double().reshape(5 * 7, 2, 4).abs().sum((0, 2)) / 5
    lsq, l1 = 1 / math.sqrt(7 * 4 * 7), (norms * 7).rsqrt()
    assert len(grads[0]) == 1 + with_offset
    for none, by_count, by_norm in zip(*grads, strict=True):
        assert none.abs().min() > 0
        assert torch.allclose(by_count, none * lsq, rtol=1e-5)
        assert torch.allclose(by_norm, none * l1, rtol=1e-5)


def test_the_factor_of_a_weight_follows_the_weight_and_survives_zero() -> None:
    quantizer = calibrated(torch.ones(1), 2, signed=True, gradient_scale=GradientScale.L1)
    weight = nn.Parameter(torch.full((4,), 5.0))
    for size in (5.0, 20.0):
        with torch.no_grad():
            weight.fill_(size)
        quantizer.relative.grad = None
        quantizer(weight).sum().backward()
        assert gradient(quantizer.relative).item() == pytest.approx(4 / math.sqrt(4 * size))
    with torch.no_grad():
        weight.zero_()
    quantizer(weight).sum().backward()
    assert gradient(quantizer.relative).isfinite()


@pytest.mark.parametrize("kind", ["signed", "offset"])
def test_a_scale_stays_positive_and_comes_back(kind: str) -> None:
    start = torch.tensor([0.1, 30.0])
    offset = torch.zeros(2) if kind == "offset" else None
    quantizer = calibrated(
        start, 4, offset, signed=kind == "signed", granularity=PerChannel(0), gradient_scale=GradientScale.NONE
    )
    x = torch.rand(2, 50, generator=torch.Generator().manual_seed(5)) * 8 * start[:, None] + start[:, None]
    optimizer = torch.optim.SGD([quantizer.relative], lr=1e3)
    floor = start * RELATIVE_FLOOR
    for sign in (1, 1, 1, 1, 1, -1, -1, -1):
        optimizer.zero_grad()
        loss = sign * quantizer(x + 8 * start[:, None]).sum()  # all are clipped at the top: the gradient is Qp
        loss.backward()
        optimizer.step()
        assert bool((quantizer.scale >= floor).all())
        assert bool(quantizer(x).isfinite().all())
        if sign > 0:
            assert torch.equal(quantizer.scale, floor)
    assert bool((quantizer.scale > 100 * floor).all())


def test_at_the_floor_only_a_gradient_that_raises_the_scale_is_kept() -> None:
    quantizer = calibrated(torch.ones(1), 4, signed=True, gradient_scale=GradientScale.NONE)
    with torch.no_grad():
        quantizer.relative.fill_(-3.0)
    assert quantizer.scale.item() == 1 / 256
    for sign, kept in ((1, 0.0), (-1, -14.0)):
        quantizer.relative.grad = None
        (sign * quantizer(torch.tensor([1.0, 2.0]))).sum().backward()
        assert gradient(quantizer.relative).item() == kept


def test_autocast_does_not_lower_the_precision() -> None:
    quantizer = calibrated(torch.tensor([0.01]), 8, signed=True)
    x = torch.linspace(-1.3, 1.3, 201)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = quantizer(x)
        product = x.view(-1, 1) @ x.view(1, -1)
        low = quantizer(product[0])
    assert product.dtype == torch.bfloat16
    assert y.dtype == low.dtype == torch.float32
    assert torch.equal(y, quantizer(x))
    assert torch.equal(low, quantizer(product[0].float()))


@pytest.mark.parametrize("with_offset", [True, False])
def test_backward_keeps_the_input_itself_and_nothing_else_of_its_size(with_offset: bool) -> None:
    groups = 3
    quantizer = calibrated(
        torch.ones(groups), 4, torch.zeros(groups) if with_offset else None, signed=False, granularity=PerHead(3, 1)
    )
    quantizer.magnitude.fill_(2.0)
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(6)).requires_grad_()
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = quantizer(x)
    large = [tensor for tensor in kept if tensor.numel() > groups]
    assert [tensor.data_ptr() for tensor in large] == [x.data_ptr()]
    assert len(kept) >= 6
    y.sum().backward()
    assert x.grad is not None


# ---- What is not arithmetic ----


def test_state_comes_back_calibrated() -> None:
    draw = torch.Generator().manual_seed(8)
    made: dict[str, Any] = {"signed": False, "granularity": PerChannel(1), "groups": 4, "with_offset": True}
    one, other, never = (Quantizer(5, **made) for _ in range(3))
    one.begin_search()
    one(torch.randn(6, 4, generator=draw))
    one.end_search()
    with torch.no_grad():
        one.relative.mul_(1.1)
    with pytest.raises(RuntimeError) as caught:
        other(torch.zeros(2, 4))
    assert str(caught.value) == UNCALIBRATED
    assert other.load_state_dict(copy.deepcopy(one.state_dict())).missing_keys == []
    assert other.calibrated
    x = torch.randn(9, 4, generator=draw)
    assert torch.equal(other(x), one(x))
    assert torch.equal(other.magnitude, one.magnitude)
    other.load_state_dict(never.state_dict())
    assert not other.calibrated


def test_the_observer_sees_the_codes_once() -> None:
    quantizer = calibrated(torch.tensor([0.5]), 3, signed=True)
    seen: list[Tensor] = []
    quantizer.observer = seen.append
    x = torch.tensor([0.6, -9.0, 9.0])
    quantizer(x)
    assert [codes.tolist() for codes in seen] == [[1, -4, 3]]
    quantizer.observer = None
    quantizer(x)
    assert len(seen) == 1


@pytest.mark.parametrize("bits", range(1, 9))
def test_code_ranges(bits: int) -> None:
    if bits == 1:
        assert code_range(1, True) == (-1, 1)
    else:
        assert code_range(bits, True) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert code_range(bits, False) == (0, 2**bits - 1)


def searching() -> Quantizer:
    quantizer = Quantizer(4, signed=True)
    quantizer.begin_search()
    return quantizer


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: check_bits(9), ValueError, "bits must be an integer from 2 to 8, not 9"),
        (lambda: check_bits(1), ValueError, "bits must be an integer from 2 to 8, not 1"),
        (lambda: check_bits(True, "width", 1), TypeError, "width must be an integer from 1 to 8, not True"),
        (lambda: check_bits(4.0), TypeError, "bits must be an integer from 2 to 8, not 4.0"),  # type: ignore[arg-type]
        (lambda: code_range(0, True), ValueError, "bits must be an integer from 1 to 8, not 0"),
        (lambda: Quantizer(9, signed=True), ValueError, "bits must be an integer from 2 to 8, not 9"),
        (lambda: Quantizer(True, signed=True), TypeError, "bits must be an integer from 2 to 8, not True"),
        (
            lambda: Quantizer((4, 1), signed=True, granularity=PerHead(2, 0), groups=2),
            ValueError,
            "bits must be an integer from 2 to 8, not 1",
        ),
        (
            lambda: Quantizer((4, 2), signed=True, granularity=PerHead(3, 0), groups=3),
            ValueError,
            "bits must be one number or 3, one a group, not 2",
        ),
        (
            lambda: Quantizer(4, signed=True, with_offset=True),
            ValueError,
            "with_offset must be False for signed codes, not True",
        ),
        (lambda: Quantizer(4, signed=True)(torch.zeros(2)), RuntimeError, UNCALIBRATED),
        (lambda: Quantizer(4, signed=True).to_int(torch.zeros(2)), RuntimeError, UNCALIBRATED),
        (
            lambda: Quantizer(4, signed=True, granularity=PerChannel(0), groups=3)(torch.zeros(2, 5)),
            ValueError,
            "a tensor of shape (2, 5) must have 3 groups, not 2",
        ),
        (
            lambda: Quantizer(4, signed=True).set_scale(torch.tensor([0.0])),
            ValueError,
            "scale must be 1 positive finite numbers, not [0.0]",
        ),
        (
            lambda: Quantizer(4, signed=True).set_scale(torch.tensor([1.0, 2.0])),
            ValueError,
            "scale must be 1 positive finite numbers, not [1.0, 2.0]",
        ),
        (
            lambda: Quantizer(4, signed=True).fit(torch.tensor([1.0, math.nan])),
            ValueError,
            "scale must be 1 positive finite numbers, not [nan]",
        ),
        (lambda: Quantizer(4, signed=True).end_search(), RuntimeError, "end_search needs begin_search before it"),
        (
            lambda: searching().end_search(),
            RuntimeError,
            "a quantiser saw no activations: is its module used by the model?",
        ),
        (
            lambda: searching()(torch.tensor([1.0, math.nan])),
            ValueError,
            "activations must be finite to calibrate a quantiser on them",
        ),
        (
            lambda: searching()(torch.tensor([math.inf])),
            ValueError,
            "activations must be finite to calibrate a quantiser on them",
        ),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


# ---- Starting scales ----


def bounds(bits: int, signed: bool, groups: int) -> tuple[Tensor, Tensor]:
    low, high = code_range(bits, signed)
    return torch.full((groups,), float(low)), torch.full((groups,), float(high))


def error_at(x: Tensor, scales: Tensor, low: float, high: float) -> Tensor:
    """float64: the squared error of the values `x` (one axis) at each of the scales, from the definition."""
    x, scales = x.double(), scales.double().view(-1, 1)
    return (((x / scales).round().clamp(low, high) * scales - x) ** 2).sum(1)


def sample(kind: str, count: int, draw: torch.Generator) -> Tensor:
    uniform = torch.rand(count, generator=draw)
    if kind == "gauss":
        return torch.randn(count, generator=draw)
    if kind == "laplace":
        return torch.sign(uniform - 0.5) * -torch.log1p(-2 * (uniform - 0.5).abs())
    return uniform * 2 - 1


@pytest.mark.parametrize("kind", ["gauss", "laplace", "uniform"])
@pytest.mark.parametrize("signed", [True, False])
def test_fitted_scales_are_within_a_hundredth_of_the_least_error(kind: str, signed: bool) -> None:
    draw = torch.Generator().manual_seed(9)
    sizes = torch.tensor([1e-3, 1.0, 40.0])
    for bits in (2, 3, 4, 8):
        x = torch.stack([sample(kind, 1000, draw) * size for size in sizes])
        x = x if signed else x.abs()
        low, high = bounds(bits, signed, 3)
        scale = fit_scale(x, low, high, Layout(1, 3, 1000))
        for row, found in zip(x, scale, strict=True):
            widest = row.abs().max()
            tried = torch.linspace(0.0, 1.1, 1500)[5:] * widest / min(2 ** (bits - 1) - 1, 8)
            least = error_at(row, tried, *code_range(bits, signed)).min()
            assert error_at(row, found.view(1), *code_range(bits, signed)).item() <= 1.01 * least.item()


def test_fitted_scales_of_heads_are_those_of_each_head_alone() -> None:
    draw = torch.Generator().manual_seed(10)
    x = torch.randn(20, 12, generator=draw) * torch.tensor([1.0, 9.0, 0.02]).repeat_interleave(4)
    quantizer = Quantizer((2, 4, 8), signed=True, granularity=PerHead(3, 1), groups=3)
    quantizer.fit(x)
    for head, bits in enumerate((2, 4, 8)):
        alone = Quantizer(bits, signed=True)
        alone.fit(x[:, 4 * head : 4 * head + 4].contiguous())
        assert alone.scale.item() == pytest.approx(quantizer.scale[head].item(), rel=1e-5)


@pytest.mark.parametrize("with_offset", [True, False])
def test_constant_zero_has_a_positive_scale(with_offset: bool) -> None:
    quantizer = Quantizer(4, signed=not with_offset, with_offset=with_offset)
    quantizer.fit(torch.zeros(5))
    assert quantizer.scale.item() > 0
    assert quantizer(torch.zeros(5)).tolist() == [0.0] * 5
    quantizer.begin_search()
    quantizer(torch.zeros(2, 3))
    quantizer.end_search()
    assert quantizer.scale.item() > 0
    assert quantizer(torch.zeros(5)).tolist() == [0.0] * 5


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("kind", ["signed", "unsigned", "offset"])
def test_search_takes_the_best_of_its_grid_over_all_batches(bits: int, kind: str) -> None:
    draw = torch.Generator().manual_seed(11)
    signed = kind == "signed"
    first = torch.cat([sample("uniform", 299, draw), torch.tensor([1.2])]).view(1, 300)
    rows = 30 if bits == 8 else 3
    later = [sample("uniform", 300 * rows, draw).view(rows, 300) / 2 for _ in range(5)]
    batches = [first, *later] if kind != "unsigned" else [b.abs() for b in [first, *later]]
    offset = min(first.min().item(), 0.0) if kind == "offset" else 0.0
    low, high = code_range(bits, signed)
    smallest, largest = batches[0].min().item() - offset, batches[0].max().item() - offset
    widest = max(largest / high, smallest / low if signed else 0.0)
    grid = widest * 2.0 ** (-torch.arange(49, dtype=torch.float64) / 8)

    def best(of: list[Tensor]) -> float:
        values = torch.cat([b.flatten() for b in of]).double() - offset
        return grid[error_at(values, grid, low, high).argmin()].item()

    quantizer = Quantizer(bits, signed=signed, with_offset=kind == "offset")
    quantizer.begin_search()
    for batch in batches:
        quantizer(batch)
    quantizer.end_search()
    assert quantizer.scale.item() == pytest.approx(best(batches), rel=1e-5)
    assert best(batches) != best(batches[:1])
    if quantizer.offset is not None:
        assert quantizer.offset.item() == pytest.approx(offset)


def test_search_of_groups_is_that_of_each_group() -> None:
    draw = torch.Generator().manual_seed(12)
    x = torch.randn(5, 3, 40, generator=draw) * torch.tensor([0.1, 1.0, 20.0]).view(1, 3, 1)
    quantizer = Quantizer((2, 4, 6), signed=True, granularity=PerHead(3, 1), groups=3)
    quantizer.begin_search()
    quantizer(x)
    quantizer.end_search()
    for head, bits in enumerate((2, 4, 6)):
        alone = Quantizer(bits, signed=True)
        alone.begin_search()
        alone(x[:, head])
        alone.end_search()
        assert alone.scale.item() == quantizer.scale[head].item()


def held(search: ScaleSearch) -> int:
    """Elements in everything that the search keeps."""
    total = 0
    for value in vars(search).values():
        assert not isinstance(value, list | dict | set)
        total += value.numel() if isinstance(value, Tensor) else 1
    return total


def test_search_keeps_no_samples() -> None:
    search = ScaleSearch(*bounds(4, True, 2), with_offset=False)
    x = torch.randn(3, 2, 500, generator=torch.Generator().manual_seed(13))
    search.observe(x, Layout(3, 2, 500))
    after_one = held(search)
    for _ in range(5):
        search.observe(x, Layout(3, 2, 500))
    assert held(search) == after_one < 200


@pytest.mark.parametrize("with_offset", [True, False])
def test_a_first_batch_of_zeros_does_not_fix_the_grid(with_offset: bool) -> None:
    """A group that is silent at first: its scale is that of the batches that say something."""
    draw = torch.Generator().manual_seed(14)
    loud = torch.rand(4, 2, 50, generator=draw) * 5 - (1.0 if with_offset else 0.0)
    quiet = loud.clone()
    quiet[:, 1] = 0.0
    silent = Quantizer(4, signed=False, granularity=PerHead(2, 1), groups=2, with_offset=with_offset)
    direct = copy.deepcopy(silent)
    silent.begin_search()
    direct.begin_search()
    for batch in (quiet, loud, loud):
        silent(batch)
    for batch in (loud, loud):
        direct(batch)
    silent.end_search()
    direct.end_search()
    assert silent.scale[1].item() == direct.scale[1].item() > 0.1
    if silent.offset is not None:
        assert silent.offset[1].item() == loud[:, 1].min().item()


# ---- Scales that follow the weights ----


@pytest.mark.parametrize("case", CASES, ids=str)
def test_statistical_scale_follows_the_weights(case: tuple[Granularity, tuple[int, ...], int]) -> None:
    granularity, shape, groups = case
    for bits in (2, 4, 8):
        quantizer = StatisticalQuantizer(bits, signed=True, granularity=granularity, groups=groups)
        weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(bits)))
        high = 2 ** (bits - 1) - 1
        for size in (1.0, 3.0):
            with torch.no_grad():
                weight.mul_(size)
            y = quantizer(weight)
            grouped = weight.detach().double().view(granularity.layout(shape))
            want = 2 * grouped.abs().mean((0, 2)) / math.sqrt(high)
            assert torch.allclose(quantizer.scale.double(), want, rtol=1e-5)
            assert torch.equal(y, quantizer.dequantize(quantizer.to_int(weight)))


def test_statistical_quantiser_learns_no_scale_and_passes_the_gradient_straight_through() -> None:
    quantizer = StatisticalQuantizer(3, signed=True, granularity=PerHead(2, 0), groups=2)
    assert [p for p in quantizer.parameters() if p.requires_grad] == []
    weight = nn.Parameter(torch.randn(4, 60, generator=torch.Generator().manual_seed(15)))
    grad = torch.randn(4, 60, generator=torch.Generator().manual_seed(16))
    quantizer(weight).backward(grad)
    assert quantizer.relative.grad is None
    v = weight.detach().view(2, -1) / quantizer.scale[:, None]
    inside = ((v >= -4) & (v <= 3)).view(4, 60)
    assert 0 < int(inside.sum()) < 240
    assert weight.grad is not None
    assert torch.equal(weight.grad, grad * inside)


def test_statistical_scale_of_zeros_is_positive() -> None:
    quantizer = StatisticalQuantizer(4, signed=True)
    assert quantizer(torch.zeros(6)).tolist() == [0.0] * 6
    assert quantizer.scale.item() > 0


@pytest.mark.parametrize("signed", [True, False])
def test_training_goes_on_after_a_first_use_in_inference_mode(signed: bool) -> None:
    """What is kept from the first call must be of use to a backward."""
    offset = None if signed else torch.zeros(1)
    quantizer = calibrated(torch.tensor([0.5]), 4, offset, signed=signed)
    x = torch.linspace(-3, 9, 40, requires_grad=True)
    with torch.inference_mode():
        seen = quantizer(x.detach())
    found = quantizer(x)
    found.square().sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(seen, found.detach())
    assert x.grad is not None
    assert quantizer.relative.grad is not None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -1.0])
def test_a_state_with_one_scale_that_is_none_is_not_calibrated(wrong: float) -> None:
    quantizer = Quantizer(4, signed=True, groups=2, granularity=PerChannel(0))
    quantizer.set_scale(torch.tensor([0.5, 0.25]))
    state = quantizer.state_dict()
    fresh = Quantizer(4, signed=True, groups=2, granularity=PerChannel(0))
    fresh.load_state_dict(state)
    assert fresh.calibrated
    fresh.load_state_dict({**state, "start": torch.tensor([0.5, wrong])})
    assert not fresh.calibrated
    with pytest.raises(RuntimeError, match=f"^{UNCALIBRATED}$"):
        fresh(torch.ones(2, 3))
