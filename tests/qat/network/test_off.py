"""Groups of quantisers that are off: tensors against loops, layers and models against plain ones beside them."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ViTConfig, ViTForImageClassification

from qat.integers.integer import IntegerModel
from qat.network.convert import calibrate, gemms, integer_engine, quantize_model, quantizers
from qat.network.gemm import exact_product
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import PerHead
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer
from qat.settings.scheme import Scheme
from siliquant.inputs import InputError

HEADS = 3


def plain() -> ViTForImageClassification:
    torch.manual_seed(1)
    config = ViTConfig(
        image_size=8, patch_size=4, num_channels=1, num_labels=3, hidden_size=12, num_hidden_layers=2,
        num_attention_heads=HEADS, intermediate_size=24, initializer_range=0.3,
    )  # fmt: skip
    return ViTForImageClassification(config).eval()


def images() -> Tensor:
    return torch.randn(5, 1, 8, 8)


def quantised(model: nn.Module, bits: int = 3) -> Any:
    """A copy, quantised and calibrated."""
    made = quantize_model(copy.deepcopy(model), Scheme(bits, bits))  # type: ignore[type-var]
    calibrate(made, [{"pixel_values": images()}])
    return made


def all_off(model: nn.Module) -> None:
    for quantizer in quantizers(model).values():
        quantizer.off = range(quantizer.groups)


@pytest.mark.parametrize("kind", [Quantizer, StatisticalQuantizer, ElasticBinarizer])
@pytest.mark.parametrize("off", [(), (0,), (2,), (0, 1), (0, 1, 2)])
def test_groups_that_are_off_pass_with_a_gradient_of_one(kind: type[Quantizer], off: tuple[int, ...]) -> None:
    quantizer = kind(1 if kind is ElasticBinarizer else 2, signed=True, granularity=PerHead(3, axis=0), groups=3)
    weight = torch.randn(6, 4)
    quantizer.fit(weight)
    whole, parts = (weight.clone().requires_grad_() for _ in range(2))
    upstream = torch.randn(6, 4)
    quantizer(whole).backward(upstream)
    wanted = {name: None if p.grad is None else p.grad.clone() for name, p in quantizer.named_parameters()}
    everything = quantizer(weight)
    quantizer.zero_grad(set_to_none=True)
    quantizer.off = off
    assert quantizer.off == frozenset(off)
    assert quantizer.passes == bool(off)
    values = quantizer(parts)
    values.backward(upstream)
    for row in range(6):
        passed = row // 2 in off
        assert torch.equal(values[row], weight[row] if passed else everything[row])
        assert torch.equal(parts.grad[row], upstream[row] if passed else whole.grad[row])
    for name, parameter in quantizer.named_parameters():
        for group in range(3):
            found = 0.0 if parameter.grad is None else float(parameter.grad[group])
            before = wanted[name]
            assert found == pytest.approx(0.0 if group in off or before is None else float(before[group]), abs=1e-12)
    assert quantizer.to_int(weight).shape == (6, 4)  # what the codes would be, for what follows weights in training


def test_a_group_that_is_not_there_is_refused() -> None:
    quantizer = Quantizer(2, signed=True, granularity=PerHead(3, axis=0), groups=3)
    with pytest.raises(InputError, match=re.escape("off must be groups from 0 to 2, not 3")):
        quantizer.off = {1, 3}
    assert quantizer.off == frozenset()


def test_a_model_with_everything_off_is_the_plain_model() -> None:
    model = plain()
    other = quantised(model)
    all_off(other)
    pixels = images()
    torch.testing.assert_close(other(pixels).logits, model(pixels).logits, rtol=1e-5, atol=1e-6)
    for layer in gemms(other).values():
        if hasattr(layer, "weight") and layer.weight.ndim == 2 and "q_proj" not in layer.gemm_name:
            x = torch.randn(2, layer.weight.shape[1])
            assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


class ByHand(nn.Module):
    """A linear layer of quantised operands, from the definition of the quantiser."""

    def __init__(self, layer: nn.Linear, like: Any) -> None:
        super().__init__()
        self.layer, self.like = layer, like

    def forward(self, x: Tensor) -> Tensor:
        operands = [value(tensor, quantizer) for tensor, quantizer in zip(
            (x, self.layer.weight), self.like.operands(), strict=True)]  # fmt: skip
        return (operands[0].double() @ operands[1].double().T + self.layer.bias.double()).float()


def value(x: Tensor, quantizer: Quantizer) -> Tensor:
    offset = 0.0 if quantizer.offset is None else float(quantizer.offset)
    low, high = (0, 7) if not quantizer.signed else (-4, 3)
    scale = float(quantizer.scale)
    return ((x - offset) / scale).clamp(low, high).round() * scale + offset


def test_one_class_alone_beside_plain_layers() -> None:
    model = plain()
    other = quantised(model)
    all_off(other)
    reference = copy.deepcopy(model)
    for name, layer in gemms(other).items():
        if name.endswith(".mlp.fc1"):
            for quantizer in layer.operands():
                quantizer.off = ()
            parent = reference.get_submodule(name.rpartition(".")[0])
            parent.fc1 = ByHand(parent.fc1, layer)
    pixels = images()
    found, wanted, floats = (each(pixels).logits for each in (other, reference, model))
    assert (found - floats).abs().max() > 1e-2
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_one_head_off_is_one_head_of_floats() -> None:
    """The context of a head at full precision, and of the others as where none is off."""
    other = quantised(plain())
    layer = next(layer for name, layer in gemms(other).items() if name.endswith(".context"))
    probabilities, values = torch.rand(2, HEADS, 5, 5).softmax(-1), torch.randn(2, HEADS, 5, 4)
    before = layer(probabilities, values, 0.0)
    for quantizer in layer.operands():
        quantizer.off = {1}
    after = layer(probabilities, values, 0.0)
    torch.testing.assert_close(after[:, 1], probabilities[:, 1] @ values[:, 1])
    assert (after[:, 1] - before[:, 1]).abs().max() > 1e-3
    torch.testing.assert_close(after[:, ::2], before[:, ::2], rtol=1e-5, atol=1e-6)


def test_what_has_no_codes_becomes_no_integers() -> None:
    model = quantised(plain())
    name = "vit.layers.0.attention.context.first"
    quantizers(model)[name].off = {1}
    sentence = f"{name} must have no groups off for a network of integers, not [1]"
    with pytest.raises(InputError, match=re.escape(sentence)):
        IntegerModel.from_quantized(model, Scheme(3, 3), {})
    with pytest.raises(InputError, match=re.escape(sentence)), integer_engine(model, exact_product):
        pass
    quantizers(model)[name].off = ()
    IntegerModel.from_quantized(model, Scheme(3, 3), {})
