"""Accumulators to codes: the thresholds found give the layers' own codes, for every accumulator that can occur."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from qat.integers.integer import IntegerModel
from qat.integers.requantise import Requantisation, requantisations
from qat.network.convert import calibrate, gemms, quantize_model, quantizers
from qat.network.gemm import Product, exact_product
from qat.settings.scheme import Override, Scheme
from rtl.requant import MultiplierSpec, ThresholdSpec
from rtl.requant.fit import find_thresholds, fit_multiplier

TOKENS = 5
SCHEMES = {
    **{f"{bits} head": Scheme(bits, bits) for bits in (2, 3, 4)},
    **{f"{bits} tensor": Scheme(bits, bits, granularity="tensor") for bits in (2, 3, 4)},
    "1 head": Scheme(1, 1),
    "4 channel": Scheme(4, 4, granularity="channel"),
    "4 one output scale": Scheme(4, 4, output_by_head=False),
    "mixed": Scheme(
        3,
        4,
        overrides=(
            Override("*q_proj", (2, 3), (3, 2)),
            Override("*k_proj", 2, (2, 4)),
            Override("*v_proj", (2, 4)),
            Override("*o_proj", (3, 4), (4, 2)),
            Override("*scores", activation_bits=(2, 4)),
            Override("*context", activation_bits=(4, 3)),
        ),
    ),
}
CASES = [(family, name) for family in ("vit", "bert") for name in SCHEMES if (family, name) != ("bert", "mixed")]


def tiny(family: str) -> PreTrainedModel:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
             "num_labels": 3, "initializer_range": 0.3}  # fmt: skip
    if family == "vit":
        return ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_channels=1, **small))
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=16, **small))


def samples(family: str) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    if family == "bert":
        ids = torch.randint(0, 50, (4, TOKENS), generator=generator)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return {"pixel_values": torch.randn(4, 1, 8, 8, generator=generator)}


@functools.cache
def integer(family: str, scheme: str, ties: bool = False) -> IntegerModel:
    """With `ties` every scale is a power of two and every bias a multiple of an eighth: sums lie on half steps."""
    torch.manual_seed(0)
    model = tiny(family)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("bias"):
                tensor.normal_(std=0.3)
                if ties:
                    tensor.mul_(8).round_().div_(8)
    quantize_model(model, SCHEMES[scheme])
    calibrate(model, [samples(family)])
    if ties:
        for quantizer in quantizers(model).values():
            quantizer.set_scale(2.0 ** quantizer.scale.log2().round())
    return IntegerModel.from_quantized(model.eval(), SCHEMES[scheme], {})


def reachable(edge: Requantisation) -> np.ndarray:
    """Every accumulator from the least to the most of any channel, [points, channels]; cut to each channel's own."""
    points = np.arange(edge.low.min(), edge.high.max() + 1)[:, None]
    return np.clip(points, edge.low, edge.high)


def thresholds_of(edge: Requantisation) -> np.ndarray:
    return find_thresholds(edge.codes, edge.low, edge.high, edge.bits, edge.signed)


def names(family: str) -> list[tuple[str, str, str]]:
    if family == "vit":
        at, q, k, v = "vit.layers.0.attention", "q_proj", "k_proj", "v_proj"
        scores, context, output = f"{at}.scores", f"{at}.context", f"{at}.o_proj"
    else:
        at, q, k, v = "bert.encoder.layer.0.attention.self", "query", "key", "value"
        scores, context, output = f"{at}.scores", f"{at}.context", f"{at.removesuffix('self')}output.dense"
    return [
        (f"{at}.{q}", scores, "left"), (f"{at}.{k}", scores, "right"), (f"{at}.{v}", context, "right"),
        (context, output, "left"),
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["vit", "bert"])
def test_the_edges_are_those_inside_attention(family: str) -> None:
    edges = requantisations(integer(family, "4 head"), TOKENS)
    assert sorted((e.source, e.consumer, e.side) for e in edges) == sorted(names(family))
    for edge in edges:
        channels = 2 if edge.source.endswith("context") else 8
        assert edge.low.shape == edge.high.shape == edge.head.shape == (channels,)
        assert edge.head.tolist() == sorted([0, 1] * (channels // 2))
        assert (edge.part, edge.bits, edge.signed) == (None, 4, True)
    for edge in requantisations(integer(family, "4 tensor"), TOKENS):
        assert not edge.head.any()


@pytest.mark.parametrize(("family", "scheme"), CASES)
@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_reproduce_the_codes_of_every_reachable_accumulator(family: str, scheme: str, ties: bool) -> None:
    for edge in requantisations(integer(family, scheme, ties), TOKENS):
        x = reachable(edge)
        wanted = edge.codes(x)
        spec = ThresholdSpec(
            accumulator_width=max(2, int(np.abs(x).max()).bit_length() + 1), bits=edge.bits, signed=edge.signed
        )
        found = thresholds_of(edge)
        np.testing.assert_array_equal(spec.compute(x, found), wanted, err_msg=f"{edge.source} {edge.part}")
        assert len(np.unique(wanted)) > 1


def test_ties_do_occur_and_are_rounded_to_even() -> None:
    """A value computed apart from the layers, in rationals: x * 2**a + bias, halves to the even code."""
    model = integer("vit", "4 tensor", ties=True)
    edge = next(e for e in requantisations(model, TOKENS) if e.source.endswith("q_proj"))
    layer, consumer = (gemms(model.network)[name] for name in (edge.source, edge.consumer))
    scale = layer.activations.scale.double() * layer.weight_quantizer.scale.double()
    x = reachable(edge)
    steps = (x * scale.numpy() + layer.bias.double().numpy()) / consumer.first.scale.double().numpy()
    half = np.abs(steps - np.floor(steps) - 0.5) == 0
    inside = half & (np.abs(steps) < 7)
    assert inside.sum() > 20
    np.testing.assert_array_equal(edge.codes(x), np.clip(np.round(steps), -8, 7).astype(np.int64))
    with pytest.raises(ValueError, match="must lie on a line"):
        fit_multiplier(thresholds_of(edge), edge.low, edge.high)


@pytest.mark.parametrize("family", ["vit", "bert"])
@pytest.mark.parametrize("scheme", ["2 head", "3 tensor", "4 head"])
def test_the_exact_multiplier_reproduces_the_codes_too(family: str, scheme: str) -> None:
    for edge in requantisations(integer(family, scheme), TOKENS):
        fitted = fit_multiplier(thresholds_of(edge), edge.low, edge.high)
        spec = MultiplierSpec(
            accumulator_width=14, bits=edge.bits, signed=edge.signed, multiplier_width=fitted.multiplier_width,
            offset_width=fitted.offset_width, shift=int(fitted.shifts[0]),
        )  # fmt: skip
        x = reachable(edge)
        np.testing.assert_array_equal(spec.compute(x, fitted.parameters()), edge.codes(x))


@pytest.mark.parametrize(("family", "scheme"), [*((f, s) for f in ("vit", "bert") for s in ("3 head", "4 tensor")),
                                                ("vit", "mixed"), ("vit", "4 one output scale")])  # fmt: skip
def test_the_network_itself_has_these_codes(family: str, scheme: str) -> None:
    """Accumulators and codes of a whole forward pass, taken at the engine, beside those of the thresholds."""
    seen: dict[str, list[tuple[Product, Tensor]]] = {}

    def engine(wanted: Product) -> Tensor:
        accumulators = exact_product(wanted)
        seen.setdefault(wanted.name, []).append((wanted, accumulators))
        return accumulators

    model = integer(family, scheme)
    model.logits(samples(family), engine)

    def whole(tensors: list[Tensor], heads_axis: bool, features: int) -> np.ndarray:
        """[points, features] from [batch, heads, tokens, d] or [batch, tokens, features], in one piece or by head."""
        if len(tensors) > 1:
            together = torch.cat([t if t.dim() == 3 else t[:, 0] for t in tensors], -1)
        else:
            together = tensors[0].transpose(1, 2).flatten(2) if heads_axis else tensors[0]
        return together.reshape(-1, features).numpy()

    for edge in requantisations(model, TOKENS):
        from_context = edge.source.endswith("context")
        x = whole([accumulators for _, accumulators in seen[edge.source]], from_context, 8)
        operands = [getattr(wanted, edge.side) for wanted, _ in seen[edge.consumer]]
        if edge.consumer.endswith("context"):
            operands = [operand.transpose(-1, -2) for operand in operands]  # the engine sees values as [d, tokens]
        codes = whole(operands, not from_context, 8)
        heads = len(operands) if edge.part is not None else 1
        mine = slice(None) if edge.part is None else slice(edge.part * 8 // heads, (edge.part + 1) * 8 // heads)
        channel = np.arange(len(edge.low)).repeat((8 // heads) // len(edge.low))
        spec = ThresholdSpec(accumulator_width=20, bits=edge.bits, signed=edge.signed)
        found = thresholds_of(edge)[channel]
        np.testing.assert_array_equal(spec.compute(x[:, mine], found), codes[:, mine], err_msg=edge.source)
        assert (x[:, mine] >= edge.low[channel]).all()
        assert (x[:, mine] <= edge.high[channel]).all()


def test_bounds_are_reached_by_some_activations() -> None:
    model = integer("vit", "3 head")
    edge = next(e for e in requantisations(model, TOKENS) if e.source.endswith("k_proj"))
    weight = gemms(model.network)[edge.source].weight_codes().numpy()
    assert edge.high.tolist() == [int(np.where(row > 0, 3 * row, -4 * row).sum()) for row in weight]
    assert edge.low.tolist() == [int(np.where(row > 0, -4 * row, 3 * row).sum()) for row in weight]
    context = next(e for e in requantisations(model, TOKENS) if e.source.endswith("context"))
    assert (context.low.tolist(), context.high.tolist()) == ([TOKENS * 7 * -4] * 2, [TOKENS * 7 * 3] * 2)


def test_the_layer_is_as_it_was_afterwards() -> None:
    model = integer("vit", "4 head")
    edge = requantisations(model, TOKENS)[0]
    edge.codes(np.zeros((3, len(edge.low)), dtype=np.int64))
    assert all(layer.engine is None for layer in gemms(model.network).values())
    with pytest.raises(ValueError, match=r"^tokens must be at least 1, not 0$"):
        requantisations(model, 0)
