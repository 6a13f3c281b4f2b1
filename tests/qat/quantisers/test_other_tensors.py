"""Quantisers on tensors that the compiled kernels cannot read: other dtypes, devices, layouts and wrappers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from qat.network.oscillation import OscillationTracker, bin_regulariser
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import PerHead
from qat.quantisers.native import kernels
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer
from qat.settings.ranges import GradientScale

SCALES = torch.tensor([0.1, 0.25])
HEADS: dict[str, Any] = {"granularity": PerHead(2, 1), "groups": 2}


def signed(bits: int = 4) -> Quantizer:
    quantizer = Quantizer(bits, signed=True, **HEADS)
    quantizer.set_scale(SCALES)
    return quantizer


def with_offset() -> Quantizer:
    quantizer = Quantizer(3, signed=False, with_offset=True, **HEADS)
    quantizer.set_scale(SCALES, torch.tensor([-0.05, 0.01]))
    return quantizer


def binary(of_sign: bool = True) -> Quantizer:
    quantizer = ElasticBinarizer(signed=of_sign, **HEADS)
    quantizer.set_scale(SCALES)
    nn.init.constant_(quantizer.threshold, 0.02)
    return quantizer


def statistical() -> Quantizer:
    quantizer = StatisticalQuantizer(4, signed=True, **HEADS)
    quantizer.fit(values())
    return quantizer


KINDS: dict[str, Callable[[], Quantizer]] = {
    "signed": signed,
    "offset": with_offset,
    "binary": binary,
    "unsigned binary": lambda: binary(False),
    "statistical": statistical,
}


def values() -> Tensor:
    """Multiples of 1/64, which all dtypes hold."""
    draw = torch.Generator().manual_seed(4)
    return torch.randint(-64, 64, (6, 8), generator=draw) / 64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_quantiser_in_another_dtype_computes_from_its_own_parameters(kind: str, dtype: torch.dtype) -> None:
    """Beside arithmetic in float32 or float64 on the parameters as that dtype holds them; values are rounded once."""
    if kind == "statistical" and dtype is not torch.float64:
        pytest.skip("its scale is computed anew from the tensor")
    quantizer, x = KINDS[kind]().to(dtype), values().to(dtype)
    found = quantizer.to_int(x)
    leaf = x.clone().requires_grad_()
    y = quantizer(leaf)
    assert y.dtype == dtype
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    reference = KINDS[kind]().to(wide)
    reference.load_state_dict(quantizer.state_dict())
    codes = reference.to_int(x.to(wide))
    assert torch.equal(found, codes)
    assert torch.equal(y, reference(x.to(wide)).to(dtype))
    assert len(codes.unique()) > 1
    y.sum().backward()
    other = x.to(wide).requires_grad_()
    reference(other).sum().backward()
    assert leaf.grad is not None
    assert other.grad is not None
    assert torch.equal(leaf.grad.to(wide), other.grad)
    for name, parameter in quantizer.named_parameters():
        twin = dict(reference.named_parameters())[name]
        assert (parameter.grad is None) == (twin.grad is None)
        if parameter.grad is not None and twin.grad is not None:
            assert parameter.grad.dtype == dtype
            torch.testing.assert_close(parameter.grad, twin.grad.to(dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_values_in_another_dtype_leave_the_result_in_that_of_the_parameters(kind: str, dtype: torch.dtype) -> None:
    quantizer = KINDS[kind]()
    y = quantizer(values().to(dtype))
    assert y.dtype == torch.float32
    assert torch.equal(y, quantizer(values()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantiser_made_on_the_meta_device_has_all_it_needs_once_its_state_is_assigned(kind: str) -> None:
    wanted = KINDS[kind]()
    for dtype in (torch.float32, torch.float64):
        state = {name: tensor.to(dtype) for name, tensor in wanted.state_dict().items()}
        made = copy.deepcopy(wanted).to("meta")
        made.calibrated = False
        with pytest.raises(RuntimeError, match="has no scale yet"):
            ElasticBinarizer(signed=True).to("meta")(torch.zeros(1))
        made.load_state_dict(state, assign=True)
        assert made.calibrated
        assert {t.device.type for t in (made.low, made.high, made.scale)} == {"cpu"}
        torch.testing.assert_close(made(values()).float(), wanted(values()))
        assert torch.equal(made.to_int(values()), wanted.to_int(values()))


def test_memory_that_was_never_written_holds_no_bounds() -> None:
    """to_empty gives parameters and buffers any numbers, until a state dict brings theirs."""
    wanted = signed()
    made = signed().to("meta").to_empty(device="cpu")
    made.load_state_dict(wanted.state_dict())
    assert torch.equal(made(values()), wanted(values()))
    with torch.device("meta"):
        late = Quantizer(4, signed=True)
    late.load_state_dict(Quantizer(4, signed=True).state_dict(), assign=True)
    assert not late.calibrated


@pytest.mark.parametrize("kind", KINDS)
def test_a_quantiser_on_the_meta_device_gives_shapes(kind: str) -> None:
    y = KINDS[kind]().to("meta")(values().to("meta"))
    assert (y.device.type, y.shape, y.dtype) == ("meta", (6, 8), torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_in_any_order_of_memory(kind: str) -> None:
    quantizer, x = KINDS[kind](), values()
    wanted = quantizer(x)
    row = x[:1]
    cases = {
        "transposed": (x.t().contiguous().t(), wanted),
        "every other row": (torch.stack([x, -x], 1).flatten(0, 1)[::2], wanted),
        "expanded": (row.expand(6, 8), quantizer(row.repeat(6, 1))),
        "sparse": (x.to_sparse(), wanted),
        "negated view": (torch._neg_view(-x), wanted),
        "empty": (x[:0], wanted[:0]),
        "wants a gradient": (x.clone().requires_grad_(), wanted),
        "a view into more": (torch.cat([x, x], 1)[:, :8], wanted),
    }
    for name, (given, expected) in cases.items():
        if kind == "statistical" and name in ("empty", "expanded"):
            continue  # its scale is that of the tensor
        assert torch.equal(quantizer(given), expected), name
        assert torch.equal(quantizer.to_int(given), quantizer.to_int(given.to_dense().clone())), name


def test_parameters_in_any_order_of_memory() -> None:
    quantizer = signed()
    wanted = quantizer(values())
    for name in ("relative", "start"):
        twice = getattr(quantizer, name).detach().repeat_interleave(2)
        if name == "relative":
            quantizer.relative = nn.Parameter(twice[::2])
        else:
            quantizer.start = twice[::2]
        assert not getattr(quantizer, name).is_contiguous()
        y = quantizer(values().requires_grad_())
        assert torch.equal(y, wanted)
        y.sum().backward()


def test_fake_tensors_of_a_tracer_are_not_read() -> None:
    quantizer = signed()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        y = quantizer(mode.from_tensor(values()))
    assert y.shape == (6, 8)


@pytest.mark.parametrize("kind", list(GradientScale))
def test_gradients_are_the_same_for_parameters_and_for_plain_tensors_in_their_place(kind: GradientScale) -> None:
    """functional_call puts tensors where parameters were: the size of a weight's gradient must not hang on that."""
    layer = nn.Module()
    layer.weight = nn.Parameter(values() + 0.3)
    layer.quantizer = Quantizer(4, signed=True, gradient_scale=kind, **HEADS)
    layer.quantizer.fit(layer.weight)  # type: ignore[operator]
    layer.forward = lambda: layer.quantizer(layer.weight).square().sum()  # type: ignore[operator,union-attr]
    layer().backward()
    wanted = {name: parameter.grad for name, parameter in layer.named_parameters()}
    given = {name: parameter.detach().clone().requires_grad_() for name, parameter in layer.named_parameters()}
    torch.func.functional_call(layer, given, ()).backward()
    plain = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    transformed = torch.func.grad(lambda state: torch.func.functional_call(layer, state, ()))(plain)
    assert wanted["quantizer.relative"] is not None
    for name, gradient in wanted.items():
        assert gradient is not None
        assert torch.equal(given[name].grad, gradient), name  # type: ignore[arg-type]
        torch.testing.assert_close(transformed[name], gradient, msg=name)


def test_a_second_derivative_is_refused_and_not_zero() -> None:
    """Rounding has none, and what is computed outside of autograd would be taken for a constant."""
    for quantizer in (signed(), binary()):
        x = values().requires_grad_()
        (first,) = torch.autograd.grad(quantizer(x).square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            first.square().sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_regulariser_and_tracker_in_another_dtype(dtype: torch.dtype) -> None:
    results = []
    for kind in (torch.float32, dtype):
        quantizer = signed(3).to(kind)
        quantizer.start.copy_(torch.tensor([0.125, 0.25]))
        weight = nn.Parameter(values().to(kind))
        loss = bin_regulariser([(weight, quantizer)])
        loss.backward()
        tracker = OscillationTracker({"fc": (weight, quantizer)}, momentum=0.5)
        for step in (0.3, -0.3, 0.3):
            with torch.no_grad():
                weight.add_(step)
            tracker.update()
        assert weight.grad is not None
        results.append((loss.detach().double(), weight.grad.double(), tracker.share()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=2e-2, atol=2e-2)


def test_every_tensor_decides_whether_the_kernels_serve() -> None:
    if not kernels.available():
        pytest.skip("no C compiler")
    good = torch.ones(4)
    assert kernels.serves((good, None, nn.Parameter(good)))
    bad = (
        good.double(), good.to("meta"), torch.ones(4, 4).t()[:, :2], torch.ones(1).expand(4), good.to_sparse(),
        torch._neg_view(good), FakeTensorMode().from_tensor(good),
    )  # fmt: skip
    for tensor in bad:
        assert not kernels.serves((good, tensor)), tensor
        with pytest.raises(ValueError, match="must be"):
            kernels.learned_quantize(good, tensor, good, None, -good, good, (1, 4, 1), 0.1)
        with pytest.raises(ValueError, match="must be"):
            kernels.learned_quantize_backward(good, tensor, good, good, None, -good, good, None, False, (1, 4, 1), 0.1)
    with pytest.raises(ValueError, match=r"^start must have 4 elements, not 3$"):
        kernels.learned_quantize(good, good, good[:3], None, -good, good, (1, 4, 1), 0.1)
