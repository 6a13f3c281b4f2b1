"""Query and key as one product: the same attention, in floats as in integers, in every network."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification

from qat.integers.agreement import compare_paths
from qat.integers.integer import IntegerModel
from qat.integers.requantise import requantisations
from qat.network.annealing import near_a_border
from qat.network.convert import calibrate, gemms, quantize_model, quantizers, query_key_products, weight_quantizers
from qat.network.gemm import Product, exact_product
from qat.network.reparameterised import fused
from qat.network.state import load_quantised
from qat.settings.scheme import Scheme
from qat.training.runs import load_start
from tests.qat.network.test_convert import FAMILIES, samples, tiny

SCHEMES: dict[str, Scheme] = {
    "head": Scheme(2, 3, query_key="reparameterised"),
    "row": Scheme(3, 2, granularity="channel", weight_scale="statsq", query_key="reparameterised"),
    "tensor": Scheme(8, 8, granularity="tensor", query_key="reparameterised"),
    "one bit": Scheme(1, 1, query_key="reparameterised"),
}


@functools.cache
def _made(family: str, name: str) -> PreTrainedModel:
    model = quantize_model(tiny(family), SCHEMES[name])
    calibrate(model, [samples(family)])
    return model


def made(family: str, name: str) -> PreTrainedModel:
    return copy.deepcopy(_made(family, name)).train()


def test_the_probabilities_of_attention_are_the_same() -> None:
    """In double precision, with biases of both, beside query times key as attention has it."""
    generator = torch.Generator().manual_seed(0)
    heads, width, tokens = 3, 12, 7

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, q, k, b_q, b_k = normal(tokens, width), normal(width, width), normal(width, width), normal(width), normal(width)
    query, key = ((x @ w.T + b).view(tokens, heads, -1).transpose(0, 1) for w, b in ((q, b_q), (k, b_k)))
    wanted = (query @ key.transpose(1, 2)).softmax(-1)
    t = (x @ fused(q, k, heads).T + fused(b_q, k, heads)).view(tokens, heads, width).transpose(0, 1)
    torch.testing.assert_close((t @ x.T).softmax(-1), wanted, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(t @ x.T, query @ key.transpose(1, 2))  # the scores differ, by a constant of each query


@pytest.mark.parametrize("family", FAMILIES)
def test_at_eight_bits_the_network_is_nearly_that_at_full_precision(family: str) -> None:
    inputs, full = samples(family), tiny(family).eval()
    with torch.no_grad():
        wanted = full(**inputs).logits
        found = made(family, "tensor").eval()(**inputs).logits
    assert float((found - wanted).abs().max()) < 0.1 * float(wanted.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SCHEMES)
def test_its_integers_have_the_same_codes_and_logits(family: str, name: str, tmp_path: Path) -> None:
    model = made(family, name).eval()
    IntegerModel.from_quantized(model, SCHEMES[name], {}).save(tmp_path)
    integer = IntegerModel.load(tmp_path)
    assert integer.scheme.query_key == "fused"
    found = compare_paths(model, integer, [samples(family, seed=5)])
    assert (found.predictions, found.ties, found.largest_difference) == (found.samples, 0, 0.0)
    ours = {gemm.name: gemm for gemm in integer.gemms()}
    assert list(ours) == list(gemms(model))
    for product in query_key_products(model):
        gemm, width = ours[product.gemm_name], product.query_weight.shape[1]
        assert gemm.weight is not None
        assert gemm.weight.shape == (product.heads * width, width)
        assert not any(other.endswith((".k_proj", ".key")) for other in ours)
        assert gemm.kind == "linear"
        scores = next(each for each in ours.values() if gemm.name in each.sources)
        assert (scores.kind, scores.right.bits, scores.right.axis) == ("scores", gemm.left.bits, None)
        assert torch.equal(scores.right.scales, gemm.left.scales)


@pytest.mark.parametrize("family", FAMILIES)
def test_both_weights_are_trained_and_the_bias_of_the_key_is_not(family: str) -> None:
    model = made(family, "row")
    model(**samples(family)).logits.square().sum().backward()
    products = query_key_products(model)
    assert products
    state = model.state_dict()
    for product in products:
        for parameter in (product.query_weight, product.query_bias, product.key_weight):
            assert parameter.grad is not None
            assert bool(parameter.grad.any())
        assert product.keys.module.bias.grad is None
        assert not product.keys.module.bias.requires_grad
        assert f"{product.gemm_name}.query_weight" in state
        assert product.gemm_name not in weight_quantizers(model)


def test_the_gradient_is_that_of_the_product() -> None:
    """d / dW_q of a sum over M times constants, beside the formula."""
    model = made("vit", "tensor")
    product = query_key_products(model)[0]
    weights = torch.randn(product.weight.shape, generator=torch.Generator().manual_seed(1))
    (product.weight * weights).sum().backward()
    by_head = weights.view(product.heads, 16, 16)  # [head, element of x', element of x]
    key = product.key_weight.detach().view(product.heads, -1, 16)
    assert product.query_weight.grad is not None
    torch.testing.assert_close(product.query_weight.grad, (key @ by_head).reshape(16, 16))


def test_elements_far_from_a_border_pass_no_gradient_while_annealed() -> None:
    model = made("vit", "head")
    product = query_key_products(model)[0]
    product.held_beyond = 0.05
    latent = product.weight
    assert torch.equal(latent, fused(product.query_weight, product.key_weight, product.heads))
    near = near_a_border(latent, product.weight_quantizer, 0.05)
    assert 0 < int(near.sum()) < near.numel() / 2
    seen: list[Tensor] = []
    query = product.query_weight
    for mask in (near, ~near):
        query.grad = None
        (product.weight * mask).sum().backward()
        assert query.grad is not None
        seen.append(query.grad.clone())
    assert bool(seen[0].any())
    assert not bool(seen[1].any())
    model.eval()
    assert product.weight.requires_grad


@pytest.mark.parametrize("name", ["head", "tensor"])
def test_requantisers_have_the_codes_of_the_scores(name: str) -> None:
    model = made("vit", name).eval()
    integer = IntegerModel.from_quantized(model, SCHEMES[name], {})
    seen: dict[str, list[tuple[Product, Tensor]]] = {}

    def engine(product: Product) -> Tensor:
        result = exact_product(product)
        seen.setdefault(product.name, []).append((product, result))
        return result

    integer.logits(samples("vit"), engine)
    edges = [e for e in requantisations(integer, 5) if e.source.endswith("q_proj")]
    assert [(e.consumer, e.side) for e in edges] == [(e.source.replace("q_proj", "scores"), "left") for e in edges]
    assert len(edges) == 2
    for edge in edges:
        (_, accumulators), (scores, _) = seen[edge.source][0], seen[edge.consumer][0]
        wanted = scores.left.transpose(1, 2).reshape(-1, 32).numpy()  # [batch * tokens, heads * C]
        np.testing.assert_array_equal(edge.codes(accumulators.reshape(-1, 32).numpy()), wanted)
        assert edge.head.tolist() == ([0] * 16 + [1] * 16 if name == "head" else [0] * 32)


@pytest.mark.parametrize("family", ["vit", "bert"])
def test_it_is_saved_and_loaded_with_the_same_bits(family: str, tmp_path: Path) -> None:
    model = made(family, "head").eval()
    model.save_pretrained(tmp_path)
    found = load_quantised(tmp_path)
    assert torch.equal(found(**samples(family)).logits, model(**samples(family)).logits)
    start, own = load_start(tmp_path), model.state_dict()
    for product in query_key_products(model):
        name = product.gemm_name
        assert torch.equal(start.state_dict()[f"{name}.weight"], own[f"{name}.query_weight"])
    # Nothing that could be taken for a projection at full precision.
    shapes = {name: tensor.ndim for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    weights = [name for name in shapes if name.endswith(("query_weight", "k_proj.weight", "key.weight"))]
    assert len(weights) == 4
    assert {shapes[name] for name in weights} == {3}


def test_a_scheme_says_it_only_where_it_is_not_separate() -> None:
    assert "query_key" not in Scheme().to_dict()
    assert Scheme.from_dict(Scheme().to_dict()) == Scheme()
    for query_key in ("reparameterised", "fused"):
        scheme = Scheme(query_key=query_key)  # type: ignore[arg-type]
        assert Scheme.from_dict(scheme.to_dict()) == scheme
    with pytest.raises(ValueError, match=r"^query_key must be one of separate, reparameterised, fused, not 'both'$"):
        Scheme(query_key="both")  # type: ignore[arg-type]


def test_inputs_that_are_no_multiple_of_a_head() -> None:
    sizes: dict[str, Any] = {"image_size": 8, "patch_size": 4, "num_channels": 1, "num_hidden_layers": 1}
    config = ViTConfig(hidden_size=12, num_attention_heads=2, intermediate_size=8, **sizes)
    config.head_dim = 5
    model = ViTForImageClassification(config)
    message = (
        "the input of vit.layers.0.attention.q_proj must be a multiple of its head size, 5, to reparameterise query "
        "and key, not 12"
    )
    with pytest.raises(ValueError) as caught:
        quantize_model(model, Scheme(query_key="reparameterised"))
    assert str(caught.value) == message
    assert not quantizers(model)
