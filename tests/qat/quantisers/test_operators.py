"""Quantisers, the bin regulariser and the tracker under torch.func, torch.compile, torch.export and the ONNX exporter.

Whatever looks at them, values and gradients are those of eager mode, bit for bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, vmap
from transformers import ViTConfig, ViTForImageClassification

from qat.network import OscillationTracker, bin_regulariser, calibrate, quantize_model
from qat.quantisers import ElasticBinarizer, PerChannel, PerHead, Quantizer, StatisticalQuantizer
from qat.settings import Scheme

SHAPE = (6, 5, 8)

# Of torch.compile, where it meets any torch.autograd.Function.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def made(kind: str) -> Quantizer:
    quantizer: Quantizer
    if kind == "tensor":
        quantizer = Quantizer(4, signed=True)
    elif kind == "heads":
        quantizer = Quantizer((2, 5), signed=True, granularity=PerHead(2, -1), groups=2)
    elif kind == "channels, offset":
        quantizer = Quantizer(3, signed=False, granularity=PerChannel(1), groups=5, with_offset=True)
    elif kind == "statistical":
        quantizer = StatisticalQuantizer(4, signed=True)
    else:
        quantizer = ElasticBinarizer(signed=kind == "binary", granularity=PerHead(2, -1), groups=2)
    torch.manual_seed(1)
    quantizer.set_scale(torch.rand(quantizer.groups) * 0.5 + 0.1)
    with torch.no_grad():
        for parameter in quantizer.parameters():
            parameter.add_(torch.rand(parameter.shape) * 0.1)
    return quantizer


KINDS = ("tensor", "heads", "channels, offset", "statistical", "binary", "unsigned binary")


def values() -> Tensor:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))
    x.view(-1)[:6] = torch.tensor([0.0, -0.0, 0.25, 1e30, float("inf"), 1e-42])
    return x


def gradients(quantizer: Quantizer, x: Tensor, weights: Tensor) -> list[Tensor]:
    """Of eager mode: the value, and the gradients of x and the parameters."""
    x = x.clone().requires_grad_()
    parameters = [p for p in quantizer.parameters() if p.requires_grad]
    y = quantizer(x)
    return [y.detach(), *torch.autograd.grad((y * weights).nan_to_num().sum(), [x, *parameters])]


def same(found: Any, wanted: Any) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "statistical"])  # it writes its scale
def test_gradients_of_torch_func_are_those_of_autograd(kind: str) -> None:
    quantizer, x = made(kind), values()
    weights = torch.randn(SHAPE)
    learned = {name: p.detach() for name, p in quantizer.named_parameters() if p.requires_grad}

    def loss(x: Tensor, learned: dict[str, Tensor]) -> Tensor:
        return cast(Tensor, (functional_call(quantizer, learned, (x,)) * weights).nan_to_num().sum())

    of_x, of_learned = grad(loss, (0, 1))(x, learned)
    same([of_x, *of_learned.values()], gradients(quantizer, x, weights)[1:])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "statistical"])  # it writes its scale
def test_vmap_has_the_bits_of_a_loop_over_samples(kind: str) -> None:
    quantizer, x = made(kind), values()
    if kind == "channels, offset":
        quantizer.granularity = PerChannel(0)
    weights = torch.randn(SHAPE)
    learned = {name: p.detach() for name, p in quantizer.named_parameters()}

    def value(x: Tensor, weights: Tensor) -> Tensor:
        return cast(Tensor, functional_call(quantizer, learned, (x,)))

    def loss(learned: dict[str, Tensor], x: Tensor, weights: Tensor) -> Tensor:
        return cast(Tensor, (functional_call(quantizer, learned, (x,)) * weights).nan_to_num().sum())

    loop = [gradients(quantizer, *sample) for sample in zip(x, weights, strict=True)]
    same(vmap(value)(x, weights), [found[0] for found in loop])
    same(vmap(value, (1, 1))(x.transpose(0, 1), weights.transpose(0, 1)), [found[0] for found in loop])
    each = vmap(grad(loss), (None, 0, 0))(learned, x, weights)
    same([torch.stack(list(each.values()), -1)], [torch.stack([torch.stack(found[2:], -1) for found in loop])])
    # Parameters of their own for each sample, as an ensemble has.
    many = {name: torch.stack([p * (1 + i / 8) for i in range(6)]) for name, p in learned.items()}
    found = vmap(lambda own, x: functional_call(quantizer, own, (x,)))(many, x)
    same(
        found,
        [functional_call(quantizer, {name: p[i] for name, p in many.items()}, (x[i],)).detach() for i in range(6)],
    )


def test_a_second_derivative_is_refused_not_zero() -> None:
    quantizer, x = made("tensor"), values()
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        grad(lambda x: grad(lambda x: quantizer(x).square().sum())(x).square().sum())(x)


@pytest.mark.parametrize("kind", ["channels, offset", "statistical", "binary"])
def test_compiled_in_one_graph_it_has_the_same_bits(kind: str) -> None:
    torch._dynamo.reset()
    quantizer, x, weights = made(kind), values(), torch.randn(SHAPE)
    wanted = gradients(quantizer, x, weights)
    compiled = cast(Quantizer, torch.compile(quantizer, fullgraph=True, backend="aot_eager"))
    x.requires_grad_()
    y = compiled(x)
    parameters = [p for p in quantizer.parameters() if p.requires_grad]
    same([y.detach(), *torch.autograd.grad((y * weights).nan_to_num().sum(), [x, *parameters])], wanted)


def test_a_compiled_regulariser_and_tracker_have_the_same_bits() -> None:
    torch._dynamo.reset()
    weight = nn.Parameter(values().nan_to_num(0.0, 1.0).clamp(-1, 1))
    quantizers = [made("tensor"), made("heads"), made("binary")]
    pairs = [(weight, quantizer) for quantizer in quantizers]
    learned = [weight, *(p for quantizer in quantizers for p in quantizer.parameters())]
    compiled = torch.compile(lambda: bin_regulariser(pairs, 8), fullgraph=True, backend="aot_eager")
    same([compiled(), *torch.autograd.grad(compiled(), learned)],
         [bin_regulariser(pairs, 8), *torch.autograd.grad(bin_regulariser(pairs, 8), learned)])  # fmt: skip
    trackers = [OscillationTracker({str(i): pair for i, pair in enumerate(pairs[:2])}) for _ in range(2)]
    update = torch.compile(trackers[1].update, fullgraph=True, backend="aot_eager")
    for step in range(3):
        with torch.no_grad():
            weight.add_(torch.randn(SHAPE, generator=torch.Generator().manual_seed(step)) * 0.2)
        trackers[0].update()
        update()
    one, other = (tracker.state_dict() for tracker in trackers)
    assert any(float(f.max()) > 0 for f in one["frequency"].values())
    for kind in one:
        same(other[kind].values(), one[kind].values())


def test_a_regulariser_under_torch_func_has_the_same_bits() -> None:
    weight, quantizer = values().nan_to_num(0.0, 1.0), made("heads")
    wanted = torch.autograd.grad(bin_regulariser([(nn.Parameter(weight), quantizer)], 8), [quantizer.relative])

    def loss(relative: Tensor) -> Tensor:
        pair = (cast(nn.Parameter, weight), _with(quantizer, relative))
        return bin_regulariser([pair], 8)

    same([grad(loss)(quantizer.relative.detach())], wanted)
    same(vmap(grad(loss))(quantizer.relative.detach().repeat(2, 1)), [wanted[0], wanted[0]])


def _with(quantizer: Quantizer, relative: Tensor) -> Quantizer:
    """A quantiser that looks as this one with another `relative`."""

    class View:
        def __getattr__(self, name: str) -> Any:
            return relative if name == "relative" else getattr(quantizer, name)

    return cast(Quantizer, View())


def test_fake_tensors_get_shapes() -> None:
    for kind in KINDS:
        quantizer = made(kind)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            x = mode.from_tensor(values()).requires_grad_()
            y = quantizer(x)
            y.sum().backward()
            assert y.shape == SHAPE
            assert x.grad is not None
            assert x.grad.shape == SHAPE


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_tensor_has_no_values_and_gradients_of_zero(kind: str) -> None:
    quantizer = made(kind)
    x = torch.zeros(0, *SHAPE[1:], requires_grad=True)
    y = quantizer(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert quantizer.to_int(x).shape == x.shape
    if kind != "statistical":
        assert quantizer.relative.grad is not None
        assert torch.equal(quantizer.relative.grad, torch.zeros_like(quantizer.relative))


def test_an_empty_batch_tells_calibration_nothing() -> None:
    quantizer, other = Quantizer(4, signed=True), Quantizer(4, signed=True)
    quantizer.begin_search()
    other.begin_search()
    quantizer(values()[:0])
    quantizer(values().nan_to_num(0.0, 1.0))
    other(values().nan_to_num(0.0, 1.0))
    quantizer.end_search()
    other.end_search()
    assert torch.equal(quantizer.scale, other.scale)
    assert torch.equal(quantizer.magnitude, other.magnitude)


class Logits(nn.Module):
    """The network as a function of one tensor, which exporters ask for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.network(pixel_values=images).logits)


@pytest.fixture(scope="module")
def network() -> Logits:
    torch.manual_seed(3)
    config = ViTConfig(image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=1,
                       num_attention_heads=2, intermediate_size=32, num_labels=3)  # fmt: skip
    model = ViTForImageClassification(config).eval()
    calibrate(quantize_model(model, Scheme(3, 4)), [{"pixel_values": images(4)}])
    return Logits(model).eval()


def images(count: int) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(count))


BATCH = ({0: torch.export.Dim("batch")},)


def test_an_exported_network_has_the_bits_of_the_network_at_any_batch(network: Logits) -> None:
    program = torch.export.export(network, (images(2),), dynamic_shapes=BATCH)
    names = [str(node.target) for node in program.graph.nodes]
    assert sum("siliquant.learned_quantize" in name for name in names) == 18
    for count in (1, 2, 5):
        assert torch.equal(program.module()(images(count)), network(images(count)))


def test_a_compiled_network_has_the_bits_of_the_network_and_of_its_gradients(network: Logits) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(images(3)), network(images(3)))
    learned = [p for p in network.parameters() if p.requires_grad]
    same(torch.autograd.grad(compiled(images(3)).square().sum(), learned),
         torch.autograd.grad(network(images(3)).square().sum(), learned))  # fmt: skip


def test_per_sample_gradients_of_a_network_are_those_of_single_samples(network: Logits) -> None:
    state = {name: p.detach() for name, p in network.named_parameters()}

    def loss(state: dict[str, Tensor], image: Tensor) -> Tensor:
        return cast(Tensor, functional_call(network, state, (image[None],)).square().sum())

    each = vmap(grad(loss), (None, 0))(state, images(3))
    for index, image in enumerate(images(3)):
        alone = grad(loss)(state, image)
        for name, wanted in alone.items():
            # Products of matrices are summed in another order for a batch of them.
            torch.testing.assert_close(each[name][index], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_onnx_is_standard_operators_with_the_bits_of_the_network(network: Logits) -> None:
    pytest.importorskip("onnxscript", reason="the ONNX exporter needs it")
    from onnx.reference import ReferenceEvaluator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (images(2),), dynamo=True, dynamic_shapes=BATCH, verbose=False)
    assert program is not None
    model = program.model_proto
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx"}
    run = ReferenceEvaluator(model).run
    for count in (1, 5):
        (found,) = cast(Callable[..., list[np.ndarray[Any, Any]]], run)(
            None, {model.graph.input[0].name: images(count).numpy()}
        )
        torch.testing.assert_close(torch.from_numpy(found), network(images(count)).detach(), rtol=0, atol=1e-5)
