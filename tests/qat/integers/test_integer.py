"""qat.network.gemm and qat.integers.integer: exact products, the network on integers, and the two files of an integer
model."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DeiTConfig,
    DeiTForImageClassificationWithTeacher,
    PreTrainedModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from qat.integers.agreement import compare_paths
from qat.integers.integer import IntegerModel
from qat.integers.stored import StoredTensors
from qat.models.sret import SReTConfig, SReTForImageClassification
from qat.network.convert import calibrate, gemms, quantize_model, quantizers, weight_quantizers
from qat.network.gemm import Product, exact_product
from qat.network.layers import QuantLinear
from qat.quantisers.binary import ElasticBinarizer
from qat.settings.ranges import GradientScale
from qat.settings.scheme import Override, Scheme
from siliquant.inputs import InputError

FAMILIES = ("vit", "deit", "swin", "bert", "sret")
LABELS: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}
_IMAGES: dict[str, Any] = {
    "image_size": 8, "patch_size": 4, "num_channels": 1, "num_labels": 3, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 32, "initializer_range": 0.3,
}  # fmt: skip
MIXED = Scheme(
    3,
    4,
    gradient_scale=GradientScale.LSQ,
    overrides=(
        Override("*layers.0.attention.v_proj", (2, 6), 6),
        Override("*layers.0.attention.o_proj", (3, 5), (6, 2)),
        Override("*layers.0.attention.scores", activation_bits=(2, 8)),
        Override("*layers.0.attention.context", activation_bits=(5, 3)),
        Override("*layers.0.mlp.fc1", 1, 2),
    ),
)
BY_HEAD = Scheme(
    3,
    4,
    overrides=(
        Override("*.q_proj", (2, 5), (2, 5)),
        Override("*.k_proj", 3, (4, 2)),
        Override("*.v_proj", (6, 3), (6, 6)),
        Override("*.scores", activation_bits=(5, 2)),
        Override("*.context", activation_bits=(2, 4)),
    ),
    output_by_head=False,
)
SCHEMES = {
    "by head": BY_HEAD,
    "4/4": Scheme(4, 4),
    "2/2": Scheme(2, 2),
    "1/2": Scheme(1, 2),
    "1/1": Scheme(1, 1),
    "statistical": Scheme(3, 4, weight_scale="statistical"),
    "channel": Scheme(4, 3, granularity="channel"),
    "one output scale": Scheme(4, 4, output_by_head=False),
    "mixed": MIXED,
}
CASES = [(family, scheme) for family in FAMILIES for scheme in ("4/4", "2/2", "1/2", "1/1")] + [
    ("vit", "mixed"),
    ("vit", "one output scale"),
    ("vit", "by head"),
    ("sret", "channel"),
    ("sret", "statistical"),
]


def tiny(family: str) -> PreTrainedModel:
    if family == "vit":
        return ViTForImageClassification(ViTConfig(**_IMAGES))
    if family == "deit":
        return DeiTForImageClassificationWithTeacher(DeiTConfig(**_IMAGES))
    if family == "swin":
        return SwinForImageClassification(
            SwinConfig(
                image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4),
                window_size=4, mlp_ratio=2.0, drop_path_rate=0.0, **LABELS,
            )
        )  # fmt: skip
    if family == "bert":
        return BertForSequenceClassification(
            BertConfig(
                vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                max_position_embeddings=16, **LABELS,
            )
        )  # fmt: skip
    return SReTForImageClassification(
        SReTConfig(
            image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1), num_heads=(2, 4),
            groups=((4, 2), (1, 1)), mlp_ratio=1.5, drop_path_rate=0.0, **LABELS,
        )
    )  # fmt: skip


def samples(family: str, count: int = 4, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if family == "bert":
        mask = torch.ones(count, 7, dtype=torch.int64)
        mask[0, 5:] = 0
        return {"input_ids": torch.randint(0, 50, (count, 7), generator=generator), "attention_mask": mask}
    side = 16 if family == "swin" else 8
    return {"pixel_values": torch.randn(count, 1, side, side, generator=generator)}


@functools.cache
def _quantised(family: str, scheme: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model = tiny(family)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            # As after training: no bias, position or statistic is still at zero.
            if name.endswith(("bias", "table", "token", "embeddings", "running_mean")):
                tensor.normal_(std=0.3)
    quantize_model(model, SCHEMES[scheme])
    calibrate(model, [samples(family)])
    with torch.no_grad():
        for quantizer in quantizers(model).values():
            quantizer.relative.uniform_(0.8, 1.2)
            if isinstance(quantizer, ElasticBinarizer):
                # Sums of +1 and -1 are often zero: on a threshold of zero float noise would decide.
                quantizer.threshold.add_(quantizer.scale * 0.1 * torch.randn_like(quantizer.scale))
    return model.eval()


def quantised(family: str, scheme: str) -> PreTrainedModel:
    return copy.deepcopy(_quantised(family, scheme))


@functools.cache
def _integer(family: str, scheme: str) -> IntegerModel:
    return IntegerModel.from_quantized(quantised(family, scheme), SCHEMES[scheme], {"data": {"name": family}})


def integer(family: str, scheme: str) -> IntegerModel:
    return copy.deepcopy(_integer(family, scheme))


def fake_logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        result: Tensor = model(**inputs).logits
    return result


def product(left: Tensor, right: Tensor, left_bits: int = 8, right_bits: int = 8) -> Product:
    return Product("fc", None, left, right, left_bits, True, right_bits, True)


@pytest.mark.parametrize("bits", range(1, 9))
def test_exact_product_is_the_int64_product(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    low, high = -(1 << (bits - 1)), 1 << (bits - 1)
    left = torch.randint(low, high, (2, 3, 5, 40), generator=generator)
    right = torch.randint(low, high, (3, 7, 40), generator=generator)
    left[0, 0, 0], right[0, 0] = low, low
    got = exact_product(product(left, right, bits, bits))
    assert got.dtype == torch.int64
    assert torch.equal(got, torch.matmul(left, right.transpose(-1, -2)))
    assert got[0, 0, 0, 0] == 40 * low * low


def test_exact_product_is_exact_up_to_its_bound_and_refuses_beyond() -> None:
    # Odd sums just below 2**53: in float32 or with one bit fewer they would be rounded.
    left = torch.tensor([[2**24 - 1, 1, 2**24 - 1]])
    right = torch.tensor([[2**26 - 3, 1, 2**25 - 5]])
    got = exact_product(product(left, right, 24, 27))
    assert got.tolist() == [[(2**24 - 1) * (2**26 - 3) + 1 + (2**24 - 1) * (2**25 - 5)]]
    message = f"fc must have sums below 2**53 to be exact, not up to {2**53}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        exact_product(product(torch.ones(1, 2).long(), torch.ones(1, 2).long(), 26, 26))
    # 8 by 8 bits: 2**37 terms, of which none is stored here.
    long = torch.zeros(1, 1, dtype=torch.int64).expand(1, 2**37)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        exact_product(product(long, long))


@pytest.mark.parametrize(("family", "scheme"), CASES)
def test_the_integer_path_computes_what_the_fake_quantised_model_does(family: str, scheme: str) -> None:
    model, inputs = quantised(family, scheme), samples(family, seed=2)
    found = compare_paths(model, integer(family, scheme), [inputs])
    assert (found.samples, found.predictions) == (4, 4)
    assert (found.ties, found.largest_step, found.untouched) == (0, 0, 4)
    assert found.codes > 1000
    assert found.largest_difference == 0
    got, wanted = integer(family, scheme).logits(inputs), fake_logits(model, inputs)
    assert torch.equal(got, wanted)
    assert got.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_training_multiplies_floats_that_differ_by_noise_alone(family: str) -> None:
    """Each layer on the inputs that it has in the network: both modes, values and gradients."""
    torch.manual_seed(0)
    model, inputs = quantised(family, "4/4"), samples(family, seed=2)
    seen: dict[str, tuple[Any, ...]] = {}
    hooks = []
    for name, layer in gemms(model).items():
        hooks.append(layer.register_forward_pre_hook(lambda m, given, n=name: seen.__setitem__(n, given)))
    model(**inputs)
    for hook in hooks:
        hook.remove()
    assert len(seen) == len(gemms(model))
    for name, layer in gemms(model).items():
        results = []
        for training in (True, False):
            layer.train(training)
            leaves = [x.detach().requires_grad_() if isinstance(x, Tensor) else x for x in seen[name]]
            result = layer(*leaves)
            result.square().sum().backward()
            results.append([result.detach(), *(x.grad for x in leaves if isinstance(x, Tensor))])
        for floats, exact in zip(*results, strict=True):
            torch.testing.assert_close(floats, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheme", [Scheme(4, 1), Scheme(1, 1), Scheme(1, 1, granularity="tensor")])
@pytest.mark.parametrize("family", FAMILIES)
def test_sums_that_lie_on_the_threshold_are_the_lower_code_in_every_path(family: str, scheme: Scheme) -> None:
    """As after calibration: thresholds of 0, sums of exactly 0 in numbers, and float noise around them."""
    torch.manual_seed(5)
    model, inputs = tiny(family), samples(family, seed=2)
    quantize_model(model, scheme)
    calibrate(model, [samples(family)])
    binary = [q for q in quantizers(model).values() if isinstance(q, ElasticBinarizer) and not q.of_weight]
    assert binary
    assert not any(q.threshold.any() for q in binary)
    exported = IntegerModel.from_quantized(model, scheme, {})
    zeros = 0

    def count(wanted: Product) -> Tensor:
        nonlocal zeros
        found = exact_product(wanted)
        zeros += int((found == 0).sum()) if wanted.name.endswith("context") else 0
        return found

    integers = exported.logits(inputs, count)
    assert zeros > 10
    found = compare_paths(model, exported, [inputs])
    assert (found.ties, found.largest_difference) == (0, 0.0)
    assert torch.equal(fake_logits(model.eval(), inputs), integers)


def test_training_decides_ties_as_the_integers_do() -> None:
    """Codes of a whole forward pass in training mode (no dropout here), which multiplies floats elsewhere."""
    torch.manual_seed(5)
    scheme, inputs = Scheme(4, 1), samples("vit", seed=2)
    model = quantize_model(tiny("vit"), scheme)
    calibrate(model, [samples("vit")])
    exported = IntegerModel.from_quantized(model, scheme, {})
    feeding = {name.rpartition(".")[2] for name, layer in gemms(model).items() if layer.feeds_one_bit}
    assert feeding == {"q_proj", "k_proj", "v_proj", "context"}
    codes: dict[bool, list[Tensor]] = {True: [], False: []}
    for training, network in ((True, model.train()), (False, exported.network)):
        for name, quantizer in quantizers(network).items():
            if ".scores." in name or ".context." in name or "o_proj.input" in name:
                quantizer.observer = codes[training].append
    model(**inputs)
    exported.logits(inputs)
    assert len(codes[True]) == len(codes[False]) == 5
    for ours, theirs in zip(codes[True], codes[False], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("family", "scheme"), [("vit", "mixed"), ("bert", "1/1"), ("swin", "2/2"), ("sret", "4/4")])
def test_accumulators_are_those_of_an_int64_computation(family: str, scheme: str) -> None:
    """Every product of a whole network, with codes inside the range that it names."""
    seen: list[Product] = []

    def engine(wanted: Product) -> Tensor:
        seen.append(wanted)
        return torch.from_numpy(
            np.einsum(
                "...mk,...nk->...mn", wanted.left.numpy(), np.broadcast_to(wanted.right.numpy(), wanted.right.shape)
            )
        )

    model = integer(family, scheme)
    inputs = samples(family, seed=2)
    assert torch.equal(model.logits(inputs, engine), model.logits(inputs))
    assert {p.name for p in seen} == {g.name for g in model.gemms()}
    for wanted in seen:
        assert torch.equal(exact_product(wanted), (wanted.left.unsqueeze(-2) * wanted.right.unsqueeze(-3)).sum(-1)), (
            wanted.name
        )
        for codes, bits, signed in (
            (wanted.left, wanted.left_bits, wanted.left_signed),
            (wanted.right, wanted.right_bits, wanted.right_signed),
        ):
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            if bits == 1:
                assert set(codes.unique().tolist()) <= ({-1, 1} if signed else {0, 1}), wanted.name
            else:
                assert low <= codes.min() <= codes.max() <= high, wanted.name


def test_products_of_heads_arrive_separately_where_they_must() -> None:
    seen: list[Product] = []

    def engine(wanted: Product) -> Tensor:
        seen.append(wanted)
        return exact_product(wanted)

    integer("vit", "mixed").logits(samples("vit"), engine)
    attention = "vit.layers.0.attention"
    found = {
        name: [
            (p.part, tuple(p.left.shape), tuple(p.right.shape), p.left_bits, p.right_bits)
            for p in seen
            if p.name == name
        ]
        for name in {p.name for p in seen}
    }
    # 4 samples of 5 tokens, width 16, 2 heads of 8.
    assert found[f"{attention}.q_proj"] == [(None, (4, 5, 16), (16, 16), 4, 3)]
    assert found[f"{attention}.v_proj"] == [(0, (4, 5, 16), (8, 16), 6, 2), (1, (4, 5, 16), (8, 16), 6, 6)]
    assert found[f"{attention}.scores"] == [(0, (4, 5, 8), (4, 5, 8), 2, 2), (1, (4, 5, 8), (4, 5, 8), 8, 8)]
    assert found[f"{attention}.context"] == [(0, (4, 5, 5), (4, 8, 5), 5, 5), (1, (4, 5, 5), (4, 8, 5), 3, 3)]
    assert found[f"{attention}.o_proj"] == [(0, (4, 5, 8), (16, 8), 6, 3), (1, (4, 5, 8), (16, 8), 2, 5)]
    assert found["vit.layers.0.mlp.fc1"] == [(None, (4, 5, 16), (32, 16), 2, 1)]
    seen.clear()
    integer("vit", "one output scale").logits(samples("vit"), engine)
    assert [p.part for p in seen] == [None] * len(seen)


def test_heads_read_the_copies_of_the_input_that_have_their_widths() -> None:
    """A head's codes are those of a quantiser of its width and scale; what is saved says which copy is whose."""
    model = integer("vit", "by head")
    seen: dict[str, list[Product]] = {}

    def engine(wanted: Product) -> Tensor:
        seen.setdefault(wanted.name.rpartition(".")[2], []).append(wanted)
        return exact_product(wanted)

    model.logits(samples("vit"), engine)
    widths = {name: [(p.part, p.left_bits, p.right_bits) for p in products] for name, products in seen.items()}
    assert widths["q_proj"] == [(0, 2, 2), (1, 5, 5)]
    assert widths["k_proj"] == [(0, 4, 3), (1, 2, 3)]
    assert widths["v_proj"] == [(0, 6, 6), (1, 6, 3)]
    assert widths["scores"] == [(0, 5, 5), (1, 2, 2)]
    assert widths["context"] == [(0, 2, 2), (1, 4, 4)]
    assert widths["o_proj"] == [(None, 4, 3)], "one width, whatever the heads have"
    told = {gemm.name.rpartition(".")[2]: gemm for gemm in model.gemms()}
    inputs = {name: (g.left.bits, g.left.axis, g.left.copy_of_head) for name, g in told.items()}
    assert inputs["q_proj"] == ((2, 5), -2, (0, 1))
    assert inputs["k_proj"] == ((2, 4), -2, (1, 0))
    assert inputs["v_proj"] == ((6,), None, ())
    coarse, fine = seen["q_proj"]
    scales = told["q_proj"].left.scales
    ratio = (coarse.left * scales[0] - fine.left * scales[1]).abs()  # of one tensor, where neither was clipped
    inside = (coarse.left > -2) & (coarse.left < 1) & (fine.left > -16) & (fine.left < 15)
    assert inside.any()
    assert bool((ratio[inside] <= (scales[0] + scales[1]) / 2 * (1 + 1e-6)).all())


def test_outputs_follow_from_accumulators_by_the_documented_formula() -> None:
    """fc2 and the output projection of a saved model, from nothing but its GEMM descriptions and the products."""
    model = integer("vit", "4/4")
    inputs_of: dict[str, list[Product]] = {}
    outputs: dict[str, Tensor] = {}

    def engine(wanted: Product) -> Tensor:
        inputs_of.setdefault(wanted.name, []).append(wanted)
        return exact_product(wanted)

    for name, layer in gemms(model.network).items():
        layer.register_forward_hook(lambda m, i, o, n=name: outputs.__setitem__(n, o))
    model.logits(samples("vit"), engine)
    for gemm in model.gemms():
        if gemm.kind != "linear":
            continue
        assert gemm.weight is not None
        assert gemm.bias is not None
        rows = len(gemm.weight)
        result = np.zeros((*inputs_of[gemm.name][0].left.shape[:-1], rows))
        size = gemm.weight.shape[1] // gemm.partial_sums
        for part, wanted in enumerate(inputs_of[gemm.name]):
            codes = gemm.weight[:, part * size : (part + 1) * size]
            np.testing.assert_array_equal(wanted.right.numpy(), codes)
            left = gemm.left.scales.double().numpy()[part % len(gemm.left.scales)]
            right = gemm.right.scales.double().numpy()
            right = right[part] if gemm.partial_sums > 1 else np.repeat(right, rows // len(right))
            result += np.einsum("...mk,nk->...mn", wanted.left.numpy(), codes) * left * right
            if gemm.left.offset is not None:
                result += float(gemm.left.offset[0]) * codes.sum(1) * right
        result += gemm.bias.double().numpy()
        np.testing.assert_allclose(outputs[gemm.name].numpy(), result, rtol=1e-6, atol=1e-6)
    fc2 = next(gemm for gemm in model.gemms() if gemm.name.endswith("fc2"))
    assert fc2.left.offset is not None
    assert fc2.left.offset.item() < 0


def test_the_quantised_model_is_left_as_it_is() -> None:
    model = quantised("vit", "4/4")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = IntegerModel.from_quantized(model, SCHEMES["4/4"], {})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(p.requires_grad for p in made.network.parameters())
    assert any(p.requires_grad for p in model.parameters())
    assert not {id(p) for p in model.parameters()} & {id(p) for p in made.network.parameters()}


def test_biases_and_all_else_that_is_float_comes_along() -> None:
    model = quantised("sret", "4/4")
    network = integer("sret", "4/4").network
    quantised_parts = {f"{name}.weight" for name in weight_quantizers(model)}
    owned = tuple(f"{name}." for name in quantizers(model))
    compared = 0
    for name, tensor in model.state_dict().items():
        if name not in quantised_parts and not name.startswith(owned):
            assert torch.equal(network.state_dict()[name], tensor), name
            compared += 1
    assert compared > 50


def test_statistical_scales_are_those_of_the_weights_as_they_are_now() -> None:
    """After a step of the optimiser no forward pass has brought the scales up to date yet."""
    model = quantised("sret", "statistical")
    with torch.no_grad():
        for weight, _ in weight_quantizers(model).values():
            weight.mul_(1.3)
    made = IntegerModel.from_quantized(model, SCHEMES["statistical"], {})
    assert made.scheme.weight_scale == "learned"
    found = compare_paths(model, made, [samples("sret", seed=2)])
    assert (found.ties, found.untouched) == (0, 4)


def test_a_model_that_is_not_quantised_has_no_integers() -> None:
    with pytest.raises(ValueError, match=r"^the model must be quantised to have integers$"):
        IntegerModel.from_quantized(tiny("vit"), Scheme(), {})


def same(ours: Any, theirs: Any) -> None:
    """Two Operands or Gemms field by field, tensors bit for bit."""
    for field, value in vars(ours).items():
        other = vars(theirs)[field]
        if isinstance(value, Tensor):
            assert value.dtype == other.dtype == torch.float32
            assert torch.equal(value, other), field
        elif isinstance(value, np.ndarray):
            assert value.dtype == other.dtype == np.int64
            np.testing.assert_array_equal(value, other)
        elif field in ("left", "right"):
            same(value, other)
        elif field == "threshold" and value is None:
            assert other is None or not other.any()
        else:
            assert value == other, field


@pytest.mark.parametrize(("family", "scheme"), CASES)
def test_saving_and_loading_loses_nothing(family: str, scheme: str, tmp_path: Path) -> None:
    model, inputs = integer(family, scheme), samples(family, seed=2)
    model.save(tmp_path / "one")
    loaded = IntegerModel.load(tmp_path / "one")
    assert len(loaded.gemms()) == len(model.gemms()) == len(gemms(model.network))
    for ours, read in zip(model.gemms(), loaded.gemms(), strict=True):
        same(ours, read)
    assert loaded.scheme == model.scheme
    assert loaded.origin == {"data": {"name": family}}
    assert torch.equal(loaded.logits(inputs), model.logits(inputs))
    theirs = loaded.network.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.network.state_dict().items())
    loaded.save(tmp_path / "two")
    for name in ("integer.json", "integer.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["integer.json", "integer.safetensors"]


def test_weights_take_their_bits_and_no_more(tmp_path: Path) -> None:
    sizes = {}
    for scheme in ("4/4", "2/2", "1/1"):
        integer("bert", scheme).save(tmp_path)
        tensors = safetensors.torch.load_file(tmp_path / "integer.safetensors")
        sizes[scheme] = {
            name: t.numel() for name, t in tensors.items() if name.endswith(".weight") and t.dtype == torch.uint8
        }
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert [sizes[scheme][name] for scheme in sizes] == [32 * 16 * bits // 8 for bits in (4, 2, 1)]
    assert sizes["2/2"]["classifier.weight"] == 3 * 16


def test_codes_are_those_of_the_quantised_model() -> None:
    for scheme in ("mixed", "1/1"):
        theirs = gemms(quantised("vit", scheme))
        for gemm in integer("vit", scheme).gemms():
            layer = theirs[gemm.name]
            for operand, quantizer in zip((gemm.left, gemm.right), layer.operands(), strict=True):
                assert (operand.bits, operand.signed) == (quantizer.bits, quantizer.signed)
                assert torch.equal(operand.scales, quantizer.scale)
            if isinstance(layer, QuantLinear):
                assert gemm.weight is not None
                np.testing.assert_array_equal(gemm.weight, layer.weight_codes().numpy())
                assert gemm.partial_sums == layer.partial_sums


def test_the_geometry_of_convolutions_is_told() -> None:
    found = {g.name: g for g in integer("sret", "4/4").gemms() if g.kind == "convolution"}
    stem, down = found["sret.embeddings.stem.3"], found["sret.downsamples.0"]
    assert stem.geometry == {
        "stride": [1, 1],
        "padding": [1, 1],
        "dilation": [1, 1],
        "kernel_size": [3, 3],
        "groups": 1,
    }
    assert stem.weight is not None
    assert stem.weight.shape == (8, 4 * 9)
    assert down.weight is not None
    assert down.geometry["groups"] == 8
    assert down.weight.shape[1] == 9


def test_one_changed_weight_code_is_seen() -> None:
    model, inputs = quantised("vit", "4/4"), samples("vit", seed=2)
    changed = integer("vit", "4/4")
    layer = gemms(changed.network)["vit.layers.0.mlp.fc1"]
    assert isinstance(layer, QuantLinear)
    codes = layer.weight_codes()
    with torch.no_grad():
        step = -1 if codes[3, 5] > 0 else 1
        layer.weight[3, 5] += 2 * step * layer.weight_quantizer.scale[0]
    assert int((layer.weight_codes() != codes).sum()) == 1
    found = compare_paths(model, changed, [inputs])
    assert found.ties > 0
    assert found.untouched < 4


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    integer("vit", "2/2").save(tmp_path)
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any], dict[str, Tensor]], None]) -> None:
    """Changes both files and makes the checksum fit again."""
    path = folder / "integer.safetensors"
    data, tensors = json.loads((folder / "integer.json").read_text()), safetensors.torch.load_file(path)
    change(data, tensors)
    path.write_bytes(safetensors.torch.save(tensors))
    data["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest() if "sha256" in data else None
    (folder / "integer.json").write_text(json.dumps({k: v for k, v in data.items() if v is not None}))


def refusal(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        IntegerModel.load(folder)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_an_edit_that_changes_nothing_loads(saved: Path) -> None:
    edit(saved, lambda data, tensors: None)
    IntegerModel.load(saved)


@pytest.mark.parametrize("name", ["integer.json", "integer.safetensors"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    assert refusal(saved) == f"{saved} must hold {name}, as qat.export writes it"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no") == f"{tmp_path / 'no'} must hold integer.json, as qat.export writes it"


@pytest.mark.parametrize("place", [9, -1])
def test_a_changed_byte_is_seen(saved: Path, place: int) -> None:
    path = saved / "integer.safetensors"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    text = "must be an integer model: integer.safetensors is not the file that was written with it"
    assert refusal(saved) == f"{saved / 'integer.json'} {text}"


Q = "vit.layers.0.attention.q_proj"
FC1 = "vit.layers.0.mlp.fc1"
FC2 = "vit.layers.0.mlp.fc2"


def entry(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(e for e in data["gemms"] if e["name"] == name)


def cut(tensors: dict[str, Tensor], name: str) -> None:
    tensors[name] = tensors[name][:1].clone()


def planted_code(data: dict[str, Any], tensors: dict[str, Any]) -> None:
    """Three-bit codes for a layer of two bits: 3 is beyond it."""
    entry(data, FC1)["weight"]["bits"] = 3
    tensors[f"{FC1}.weight"] = torch.full((32 * 16 * 3 // 8,), 0b11011011, dtype=torch.uint8)


REFUSALS: dict[str, tuple[Callable[[dict[str, Any], dict[str, Any]], Any], str]] = {
    "another format": (
        lambda data, tensors: data.update(format="onnx"),
        ": format must be siliquant-integer 1, not onnx 1",
    ),
    "another version": (
        lambda data, tensors: data.update(version=2),
        ": format must be siliquant-integer 1, not siliquant-integer 2",
    ),
    "no checksum": (lambda data, tensors: data.pop("sha256"), ", but has no sha256"),
    "no origin": (lambda data, tensors: data.pop("origin"), ", but has no origin"),
    "unknown scheme field": (
        lambda data, tensors: data["scheme"].update(colour="red"),
        f": a scheme has no field colour; it has {', '.join(sorted(vars(Scheme())))}",
    ),
    "a bad width": (
        lambda data, tensors: data["scheme"].update(weight_bits=9),
        ": weight_bits must be an integer from 1 to 8, not 9",
    ),
    "another architecture": (
        lambda data, tensors: data["model"].update(model_type="bert"),
        ": architecture of a bert must be one of BertForSequenceClassification, not 'ViTForImageClassification'",
    ),
    "a missing GEMM": (
        lambda data, tensors: data["gemms"].pop(3),
        ": the GEMMs must be those of the model in its configuration, in their order",
    ),
    "GEMMs in another order": (
        lambda data, tensors: data["gemms"].reverse(),
        ": the GEMMs must be those of the model in its configuration, in their order",
    ),
    "another shape": (
        lambda data, tensors: entry(data, FC1)["weight"].update(shape=[16, 32]),
        f": the weight of {FC1} must be [32, 16] codes, not [16, 32]",
    ),
    "too few bytes": (
        lambda data, tensors: cut(tensors, f"{FC1}.weight"),
        ": 512 codes of 2 bits must take 128 bytes, not 1",
    ),
    "another width of a weight": (
        lambda data, tensors: planted_code(data, tensors),
        f": the weight of {FC1} must have no code beyond its own width",
    ),
    "another width of an operand": (
        lambda data, tensors: entry(data, FC1)["left"].update(bits=[4]),
        f": {FC1}.left.bits must be [2], not [4]",
    ),
    "another sign": (
        lambda data, tensors: entry(data, FC2)["left"].update(signed=True),
        f": {FC2}.left.signed must be false, not true",
    ),
    "another axis": (
        lambda data, tensors: entry(data, Q)["right"].update(axis=1),
        f": {Q}.right.axis must be 0, not 1",
    ),
    "other partial sums": (
        lambda data, tensors: entry(data, Q).update(partial_sums=2),
        f": {Q}.partial_sums must be 1, not 2",
    ),
    "another kind": (
        lambda data, tensors: entry(data, Q).update(kind="scores"),
        f': {Q}.kind must be "linear", not "scores"',
    ),
    "other geometry": (
        lambda data, tensors: data["gemms"][0]["geometry"].update(stride=[2, 2]),
        ": vit.embeddings.patch_embeddings.projection.geometry.stride must be [4, 4], not [2, 2]",
    ),
    "the bias of another layer": (
        lambda data, tensors: entry(data, FC1).update(bias=f"{FC2}.bias"),
        f": integer.safetensors, {FC2}.bias must have shape [32], not [16]",
    ),
    "no bias": (
        lambda data, tensors: entry(data, FC1).update(bias=None),
        f': {FC1}.bias must be "{FC1}.bias", not null',
    ),
    "a short bias": (
        lambda data, tensors: cut(tensors, f"{FC1}.bias"),
        f": integer.safetensors, {FC1}.bias must have shape [32], not [1]",
    ),
    "too few scales": (
        lambda data, tensors: tensors.update({f"{Q}.right_scales": torch.ones(1)}),
        f": integer.safetensors, {Q}.right_scales must have shape [2], not [1]",
    ),
    "a scale of zero": (
        lambda data, tensors: tensors.update({f"{Q}.right_scales": torch.tensor([1.0, 0.0])}),
        f": integer.safetensors, {Q}.right_scales must be 2 positive finite numbers, but one is 0.0",
    ),
    "an offset too many": (
        lambda data, tensors: tensors.update({f"{FC2}.left_offset": torch.zeros(2)}),
        f": integer.safetensors, {FC2}.left_offset must have shape [1], not [2]",
    ),
    "no scales": (lambda data, tensors: tensors.pop(f"{Q}.right_scales"), f", but has no {Q}.right_scales"),
    "a missing float": (
        lambda data, tensors: tensors.pop("float.vit.layernorm.weight"),
        ": integer.safetensors lacks float.vit.layernorm.weight",
    ),
    "a float that would replace codes": (
        lambda data, tensors: tensors.update({f"float.{FC1}.weight": torch.ones(32, 16)}),
        f": integer.safetensors must not have float.{FC1}.weight",
    ),
    "a scale that is NaN": (
        lambda data, tensors: tensors.update({f"{Q}.right_scales": torch.tensor([1.0, math.nan])}),
        f": integer.safetensors, {Q}.right_scales must be 2 positive finite numbers, but one is nan",
    ),
    "an infinite scale": (
        lambda data, tensors: tensors.update({f"{Q}.right_scales": torch.tensor([math.inf, 1.0])}),
        f": integer.safetensors, {Q}.right_scales must be 2 positive finite numbers, but one is inf",
    ),
    "a bias that is NaN": (
        lambda data, tensors: tensors[f"{FC1}.bias"].__setitem__(3, math.nan),
        f": integer.safetensors, {FC1}.bias must be 32 finite numbers, but one is nan",
    ),
    "an infinite offset": (
        lambda data, tensors: tensors[f"{FC2}.left_offset"].fill_(-math.inf),
        f": integer.safetensors, {FC2}.left_offset must be 1 finite numbers, but one is -inf",
    ),
    "a float that is NaN": (
        lambda data, tensors: tensors["float.vit.layernorm.weight"].__setitem__(0, math.nan),
        ": integer.safetensors, float.vit.layernorm.weight must be finite numbers, but holds NaN or infinity",
    ),
    "scales in float64": (
        lambda data, tensors: tensors.update({f"{Q}.right_scales": torch.ones(2, dtype=torch.float64)}),
        f": integer.safetensors, {Q}.right_scales must be of torch.float32, not torch.float64",
    ),
    "a bias in float16": (
        lambda data, tensors: tensors.update({f"{FC1}.bias": torch.ones(32, dtype=torch.float16)}),
        f": integer.safetensors, {FC1}.bias must be of torch.float32, not torch.float16",
    ),
    "codes as floats": (
        lambda data, tensors: tensors.update({f"{FC1}.weight": torch.ones(128)}),
        f": integer.safetensors, {FC1}.weight must be of torch.uint8, not torch.float32",
    ),
    "codes of two axes": (
        lambda data, tensors: tensors.update({f"{FC1}.weight": torch.zeros(64, 2, dtype=torch.uint8)}),
        f": integer.safetensors, {FC1}.weight must have one axis, not shape [64, 2]",
    ),
    "a float as integers": (
        lambda data, tensors: tensors.update({"float.vit.layernorm.weight": torch.ones(16, dtype=torch.int32)}),
        ": integer.safetensors, float.vit.layernorm.weight must be of torch.float32, not torch.int32",
    ),
    "a float of another shape": (
        lambda data, tensors: tensors.update({"float.vit.layernorm.weight": torch.ones(3)}),
        ": integer.safetensors, float.vit.layernorm.weight must have shape [16], not [3]",
    ),
    "a tensor that nothing names": (
        lambda data, tensors: tensors.update({"more": torch.ones(2)}),
        ": integer.safetensors must not have more",
    ),
    "a name that is no text": (
        lambda data, tensors: entry(data, Q)["right"].update(scales=3),
        ": the name of a tensor must be text, not 3",
    ),
    "a width that is none": (
        lambda data, tensors: entry(data, FC1)["weight"].update(bits=64),
        f": weight.bits of {FC1} must be an integer from 1 to 8, not 64",
    ),
    "a GEMM that is no object": (
        lambda data, tensors: data["gemms"].__setitem__(0, [1]),
        ": an entry of gemms must be a JSON object, not [1]",
    ),
    "a side that is no object": (
        lambda data, tensors: entry(data, Q).update(left=None),
        ": left must be a JSON object, not None",
    ),
    "GEMMs that are no list": (
        lambda data, tensors: data.update(gemms={"a": 1}),
        ": gemms must be a JSON list, not {'a': 1}",
    ),
    "an architecture that is no object": (
        lambda data, tensors: data.update(model="vit"),
        ": model must be a JSON object, not 'vit'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_does_not_fit_is_refused(saved: Path, case: str) -> None:
    change, text = REFUSALS[case]
    edit(saved, change)
    assert refusal(saved) == f"{saved / 'integer.json'} must be an integer model{text}"


def test_of_many_wrong_tensors_the_first_five_are_named_by_their_first_80_characters() -> None:
    names = [letter * 90 for letter in "abcdefg"]
    stored = StoredTensors({name: torch.ones(1) for name in names}, "file")
    with pytest.raises(InputError) as caught:
        stored.check_all_used()
    assert str(caught.value) == f"file must not have {', '.join(name[:80] for name in names[:5])}"
    listed = ", ".join(f"float.{name}"[:80] for name in names[:5])
    stored = StoredTensors({f"float.{name}": torch.ones(1) for name in names}, "file")
    for network, wanted, said in ((nn.Identity(), [], "must not have"), (nn.Identity(), names, "lacks")):
        with pytest.raises(InputError) as caught:
            (stored if said != "lacks" else StoredTensors({}, "file")).plain(network, wanted)
        assert str(caught.value) == f"file {said} {listed}"


def test_bits_behind_the_last_code_are_zeros(tmp_path: Path) -> None:
    """A classifier of 3 x 6 codes at 3 bits takes 6 bits of its last byte."""
    scheme = Scheme(4, 4, first_last_bits=3)
    model = quantize_model(ViTForImageClassification(ViTConfig(**_IMAGES | {"hidden_size": 6})), scheme)
    calibrate(model, [samples("vit")])
    IntegerModel.from_quantized(model, scheme, {}).save(tmp_path)
    IntegerModel.load(tmp_path)
    edit(tmp_path, lambda data, tensors: tensors["classifier.weight"][-1].bitwise_or_(0b01000000))
    text = "integer.safetensors, classifier.weight must end in bits of 0 behind the last code"
    assert refusal(tmp_path) == f"{tmp_path / 'integer.json'} must be an integer model: {text}"


def test_variances_and_counts_of_batch_norms_are_looked_at(tmp_path: Path) -> None:
    for field, value, text in (
        ("running_var", -1.0, "must be variances of 0 or more, but the least is -1.0"),
        ("num_batches_tracked", -3, "must be 0 or more, not -3"),
    ):
        integer("sret", "4/4").save(tmp_path)
        name = f"float.sret.embeddings.stem.1.{field}"
        edit(tmp_path, lambda data, tensors, name=name, value=value: tensors[name].fill_(value))  # type: ignore[misc]
        assert refusal(tmp_path).endswith(f"integer.safetensors, {name} {text}")


def test_numbers_of_json_are_finite_and_keys_there_once(saved: Path) -> None:
    path = saved / "integer.json"
    text = path.read_text()
    for changed in (text.replace('"version": 1', '"version": NaN'), text.replace("{", '{"version": 1,', 1)):
        path.write_text(changed)
        assert refusal(saved).startswith(f"{path} must be an integer model: ")


@pytest.mark.parametrize("content", ["", "[]", "3", '{"format": "siliquant-integer"}', "{", "\xff"])
def test_what_is_no_description_is_refused(saved: Path, content: str) -> None:
    (saved / "integer.json").write_bytes(content.encode("latin-1"))
    assert refusal(saved).startswith(f"{saved / 'integer.json'} must be an integer model")


def test_a_tensor_file_that_is_none_is_refused(saved: Path) -> None:
    data = json.loads((saved / "integer.json").read_text())
    (saved / "integer.safetensors").write_bytes(b"no tensors")
    data["sha256"] = hashlib.sha256(b"no tensors").hexdigest()
    (saved / "integer.json").write_text(json.dumps(data))
    assert refusal(saved).startswith(f"{saved / 'integer.json'} must be an integer model: ")
