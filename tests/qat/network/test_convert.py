"""qat.network.convert: what becomes a GEMM of which precision, calibration, training and copies of quantised models."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    PreTrainedModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from qat.models.fresh import build
from qat.models.sret import SReTConfig, SReTForImageClassification
from qat.network.convert import calibrate, gemms, integer_engine, quantize_model, quantizers, weight_quantizers
from qat.network.gemm import exact_product
from qat.network.layers import QuantContext, QuantConv2d, QuantLinear, QuantScores
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import PER_TENSOR, PerChannel, PerHead
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer
from qat.settings.scheme import Override, Scheme

FAMILIES = ("vit", "deit", "swin", "bert", "sret")
LABELS: dict[str, Any] = {"num_labels": 3, "initializer_range": 0.3}
_IMAGES: dict[str, Any] = {
    "image_size": 8, "patch_size": 4, "num_channels": 1, "num_labels": 3, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 32, "initializer_range": 0.3,
}  # fmt: skip


def tiny(family: str) -> PreTrainedModel:
    """A model with nothing at zero, in training mode."""
    torch.manual_seed(0)
    model: PreTrainedModel
    if family == "vit":
        model = ViTForImageClassification(ViTConfig(**_IMAGES))
    elif family == "deit":
        model = DeiTForImageClassificationWithTeacher(DeiTConfig(**_IMAGES))
    elif family == "swin":
        model = SwinForImageClassification(
            SwinConfig(
                image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=(2, 1), num_heads=(2, 4),
                window_size=4, mlp_ratio=2.0, drop_path_rate=0.0, **LABELS,
            )
        )  # fmt: skip
    elif family == "bert":
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                max_position_embeddings=16, **LABELS,
            )
        )  # fmt: skip
    else:
        model = SReTForImageClassification(
            SReTConfig(
                image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1), num_heads=(2, 4),
                groups=((4, 2), (1, 1)), mlp_ratio=1.5, drop_path_rate=0.0, **LABELS,
            )
        )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "table", "token", "embeddings")):
                parameter.normal_(std=0.3)
    return model.train()


def samples(family: str, count: int = 4, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if family == "bert":
        mask = torch.ones(count, 7, dtype=torch.int64)
        mask[0, 5:] = 0
        return {"input_ids": torch.randint(0, 50, (count, 7), generator=generator), "attention_mask": mask}
    side = 16 if family == "swin" else 8
    return {"pixel_values": torch.randn(count, 1, side, side, generator=generator)}


def quantised(family: str, scheme: Scheme) -> PreTrainedModel:
    """Quantised, calibrated, in training mode."""
    return copy.deepcopy(_quantised(family, scheme))


@functools.cache
def _quantised(family: str, scheme: Scheme) -> PreTrainedModel:
    model = quantize_model(tiny(family), scheme)
    calibrate(model, [samples(family)])
    return model


def logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """In evaluation."""
    model.eval()
    with torch.no_grad():
        result: Tensor = model(**inputs).logits
    return result


def attention_names(prefix: str) -> list[str]:
    parts = ("q_proj", "k_proj", "v_proj", "o_proj", "scores", "context")
    return [f"{prefix}.attention.{part}" for part in parts]


def mlp_names(prefix: str) -> list[str]:
    return [f"{prefix}.mlp.fc1", f"{prefix}.mlp.fc2"]


def block_names(prefix: str) -> list[str]:
    return attention_names(prefix) + mlp_names(prefix)


def expected_names(family: str) -> list[str]:
    """GEMMs of the presets vit-mnist, swin-mnist and sret-mnist and of the tiny DeiT and BERT."""
    if family == "vit":
        blocks = [name for layer in range(6) for name in block_names(f"vit.layers.{layer}")]
        return ["vit.embeddings.patch_embeddings.projection", *blocks, "classifier"]
    if family == "deit":
        blocks = [name for layer in range(2) for name in block_names(f"deit.layers.{layer}")]
        heads = ["cls_classifier", "distillation_classifier"]
        return ["deit.embeddings.patch_embeddings.projection", *blocks, *heads]
    if family == "swin":
        stages = [f"swin.encoder.layers.{stage}" for stage in range(2)]
        first, second = ([n for block in range(2) for n in block_names(f"{s}.blocks.{block}")] for s in stages)
        merging = ["swin.encoder.layers.0.downsample.reduction"]
        return ["swin.embeddings.patch_embeddings.projection", *first, *merging, *second, "classifier"]
    if family == "bert":
        found = []
        for layer in range(2):
            prefix = f"bert.encoder.layer.{layer}"
            found += [f"{prefix}.attention.self.{p}" for p in ("query", "key", "value", "scores", "context")]
            found += [f"{prefix}.attention.output.dense", f"{prefix}.intermediate.dense", f"{prefix}.output.dense"]
        return [*found, "bert.pooler.dense", "classifier"]
    stages = []
    for stage in range(2):
        stages += block_names(f"sret.stages.{stage}.blocks.0")
        stages += [name for p in range(2) for name in mlp_names(f"sret.stages.{stage}.projections.{p}")]
    stem = [f"sret.embeddings.stem.{i}" for i in (0, 3, 6)]
    return [*stem, *stages, "sret.downsamples.0", "classifier"]


def preset_model(family: str) -> PreTrainedModel:
    if family in ("deit", "bert"):
        return tiny(family)
    torch.manual_seed(0)
    return build(f"{family}-mnist", num_labels=3)


FIRST_OR_LAST = ("projection", "classifier", "pooler.dense", "stem.0", "stem.3", "stem.6", "downsamples.0")


def has_wide_ends(name: str) -> bool:
    return name.endswith(FIRST_OR_LAST)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_product_of_the_model_is_a_gemm(family: str) -> None:
    model = quantize_model(preset_model(family), Scheme(), fit_weights=False)
    assert list(gemms(model)) == expected_names(family)
    left = [name for name, m in model.named_modules() if type(m) in (nn.Linear, nn.Conv2d)]
    assert left == []
    assert model.config._attn_implementation == "siliquant"


@pytest.mark.parametrize("family", FAMILIES)
def test_precision_and_granularity_are_what_the_scheme_says(family: str) -> None:
    """Weights 3 bits, activations 5, ends 7: no two agree by chance."""
    model = quantize_model(preset_model(family), Scheme(3, 5, first_last_bits=7), fit_weights=False)
    for name, layer in gemms(model).items():
        left, right = layer.operands()
        kind = name.rpartition(".")[2]
        owner = model.get_submodule(name.rpartition(".")[0])
        heads = getattr(owner, "num_attention_heads", None)
        if name.endswith("attention.output.dense"):
            kind, heads = "o_proj", 2
        elif name.endswith("output.dense"):
            kind = "fc2"
        weight_bits, activation_bits = (7, 7) if has_wide_ends(name) else (3, 5)
        assert right.signed, name
        if kind in ("scores", "context"):
            assert heads
            assert left.bits == right.bits == (5,) * heads
            assert right.granularity == PerHead(heads, 2)
            assert left.granularity == PerHead(heads, 1 if kind == "context" else 2)
            assert left.signed == (kind == "scores")
            assert isinstance(layer, QuantContext if kind == "context" else QuantScores)
        elif kind in ("q_proj", "k_proj", "v_proj", "query", "key", "value"):
            assert heads
            assert (right.bits, right.granularity) == ((3,) * heads, PerHead(heads, 0))
            assert (left.bits, left.granularity, left.signed) == ((5,), PER_TENSOR, True)
        elif kind == "o_proj":
            assert heads
            assert (right.bits, right.granularity) == ((3,) * heads, PerHead(heads, 1))
            assert (left.bits, left.granularity, left.signed) == ((5,) * heads, PerHead(heads, -1), True)
            assert isinstance(layer, QuantLinear)
            assert layer.partial_sums == heads
        else:
            assert (right.bits, right.granularity) == ((weight_bits,), PER_TENSOR), name
            assert (left.bits, left.granularity) == ((activation_bits,), PER_TENSOR), name
        rectified = kind == "fc2"
        assert (left.offset is not None) == rectified, name
        assert left.signed == (not rectified and kind != "context"), name


@pytest.mark.parametrize("family", FAMILIES)
def test_one_quantiser_for_the_inputs_of_query_key_and_value(family: str) -> None:
    model = quantize_model(tiny(family), Scheme(), fit_weights=False)
    layers = gemms(model)
    shared = [layer for layer in layers.values() if isinstance(layer, QuantLinear) and layer.shared_input]
    attentions = sum(isinstance(layer, QuantScores) for layer in layers.values())
    assert len(shared) == 3 * attentions
    assert len({id(layer.activations) for layer in shared}) == attentions
    # Two a GEMM, but for two of the three inputs that are one.
    assert len(quantizers(model)) == 2 * len(layers) - 2 * attentions
    assert len({id(q) for layer in layers.values() for q in layer.operands()}) == len(quantizers(model))
    names = [name for name, layer in layers.items() if isinstance(layer, QuantLinear | QuantConv2d)]
    assert list(weight_quantizers(model)) == names


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_about_widths_is_trained(family: str) -> None:
    model = quantised(family, Scheme(4, 4))
    names = {name.rpartition(".")[2] for owner, q in quantizers(model).items() for name, _ in q.named_parameters()}
    assert names == {"relative", "offset"}
    for quantizer in quantizers(model).values():
        assert not any(isinstance(b, Tensor) for b in quantizer.bits)
        assert not quantizer.low.requires_grad
        assert not quantizer.high.requires_grad


def test_the_input_of_patch_merging_is_quantised_at_the_fixed_width() -> None:
    model = quantised("swin", Scheme(4, 4))
    layer = gemms(model)["swin.encoder.layers.0.downsample.reduction"]
    assert isinstance(layer, QuantLinear)
    assert (layer.activations.bits, layer.weight_quantizer.bits) == ((4,), (4,))
    seen: list[Tensor] = []
    layer.activations.observer = seen.append
    logits(model, samples("swin"))
    assert len(seen) == 1
    assert seen[0].shape == (4, 16, 32)
    assert len(seen[0].unique()) > 8


@pytest.mark.parametrize("family", FAMILIES)
def test_every_head_has_a_scale_of_its_own(family: str) -> None:
    """A head whose weights are ten times as large has a scale about ten times as large; the others keep theirs."""
    scales: list[dict[str, list[Tensor]]] = []
    for factor in (1.0, 10.0):
        model = tiny(family)
        projections = ("q_proj", "k_proj", "v_proj", "query", "key", "value")
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) and name.endswith(projections):
                heads = model.get_submodule(name.rpartition(".")[0]).num_attention_heads
                with torch.no_grad():
                    module.weight[-(module.out_features // int(heads)) :] *= factor  # type: ignore[arg-type]
            elif isinstance(module, nn.Linear) and name.endswith(("o_proj", "attention.output.dense")):
                owner = model.get_submodule(name.removesuffix(".o_proj").replace("output.dense", "self"))
                with torch.no_grad():
                    module.weight[:, -(module.in_features // int(owner.num_attention_heads)) :] *= factor  # type: ignore[arg-type]
        quantize_model(model, Scheme(4, 4))
        scales.append({name: [q.scale for q in layer.operands()] for name, layer in gemms(model).items()})
    plain, larger = scales
    checked = 0
    for name, (_, right) in plain.items():
        if len(right) > 1 and not name.endswith(("scores", "context")):
            torch.testing.assert_close(larger[name][1][:-1], right[:-1], rtol=1e-6, atol=0)
            torch.testing.assert_close(larger[name][1][-1], 10 * right[-1], rtol=1e-4, atol=0)
            assert len(right.unique()) == len(right)
            checked += 1
    assert checked == 4 * sum(name.endswith("scores") for name in plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_activation_scales_of_heads_differ(family: str) -> None:
    model = quantised(family, Scheme(4, 4))
    found = [q.scale for q in quantizers(model).values() if isinstance(q.granularity, PerHead)]
    assert len(found) == 9 * sum(isinstance(layer, QuantScores) for layer in gemms(model).values())
    signed = [q.scale for q in quantizers(model).values() if isinstance(q.granularity, PerHead) and q.signed]
    assert all(len(scale.unique()) > 1 for scale in signed)


@pytest.mark.parametrize("family", FAMILIES)
def test_at_8_bits_the_model_is_close_to_the_float_one(family: str) -> None:
    inputs = samples(family)
    wanted = logits(tiny(family), inputs)
    fine, coarse = (
        float((logits(quantised(family, Scheme(bits, bits)), inputs) - wanted).abs().mean() / wanted.std())
        for bits in (8, 2)
    )
    assert fine < 0.25  # random weights in narrow layers: much of each code is noise
    assert coarse > 2 * fine


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_activations_are_quantised_in_head_mode(family: str) -> None:
    model = quantised(family, Scheme(2, 2))
    outputs: dict[str, list[Tensor]] = {}
    attention = [
        q for layer in gemms(model).values() if isinstance(layer, QuantScores | QuantContext) for q in layer.operands()
    ]
    for number, quantizer in enumerate(attention):
        quantizer.register_forward_hook(lambda m, i, o, n=number: outputs.setdefault(str(n), []).append(o.detach()))
    logits(model, samples(family))
    for number, quantizer in enumerate(attention):
        for values in outputs[str(number)]:
            layout = quantizer.layout(values)
            for head, of_head in enumerate(values.reshape(layout).unbind(1)):
                codes = of_head / quantizer.scale[head]
                assert torch.equal(codes.round(), codes) or (codes - codes.round()).abs().max() < 1e-5
                assert len(codes.round().unique()) <= 4
        assert len(torch.cat([v.flatten() for v in outputs[str(number)]]).unique()) > 1


def sizes(module: nn.Module) -> int:
    """Numbers in all tensors that hang on the quantisers, their searches too."""
    total = 0
    for quantizer in quantizers(module).values():
        for owner in (quantizer, quantizer.search):
            if owner is not None:
                total += sum(v.numel() for v in vars(owner).values() if isinstance(v, Tensor))
                total += sum(len(v) for v in vars(owner).values() if isinstance(v, list | dict))
        total += sum(v.numel() for v in [*quantizer.parameters(), *quantizer.buffers()])
    return total


@pytest.mark.parametrize("family", ["bert", "swin"])
def test_calibration_stores_nothing_that_grows_with_the_samples(family: str) -> None:
    model = quantize_model(tiny(family), Scheme(4, 4))
    found = []

    def batches() -> Iterator[dict[str, Tensor]]:
        for number in range(4):
            yield samples(family, 2, seed=number)
            found.append(sizes(model))

    calibrate(model, batches())
    assert len(found) == 4
    assert len(set(found)) == 1
    before = sizes(model)
    model(**samples(family))
    assert sizes(model) == before


@pytest.mark.parametrize(("family", "training"), [("vit", False), ("bert", True), ("sret", True)])
def test_calibration_keeps_mode_generator_weights_and_statistics(family: str, training: bool) -> None:
    model = quantize_model(tiny(family), Scheme(4, 4)).train(training)
    owned = tuple(f"{name}." for name in quantizers(model))
    before = {name: t.clone() for name, t in model.state_dict().items() if not name.startswith(owned)}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    drawn = []

    def batches() -> Iterator[dict[str, Tensor]]:
        for number in range(2):
            drawn.append(number)
            yield samples(family, seed=number)

    calibrate(model, batches())
    assert drawn == [0, 1]
    assert torch.equal(torch.get_rng_state(), state)
    assert {module.training for module in model.modules()} == {training}
    for name, tensor in before.items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert all(q.search is None for q in quantizers(model).values())


def test_calibration_is_a_function_of_its_batches() -> None:
    first, second, other = (quantize_model(tiny("vit"), Scheme(4, 4)) for _ in range(3))
    calibrate(first, [samples("vit", seed=1), samples("vit", seed=2)])
    calibrate(second, [samples("vit", seed=1), samples("vit", seed=2)])
    calibrate(other, [samples("vit", seed=1), {"pixel_values": 3 * samples("vit", seed=2)["pixel_values"]}])
    ours, same, theirs = (torch.cat([q.scale for q in quantizers(m).values()]) for m in (first, second, other))
    assert torch.equal(ours, same)
    assert not torch.equal(ours, theirs)
    # Each call starts anew.
    calibrate(other, [samples("vit", seed=1), samples("vit", seed=2)])
    assert torch.equal(torch.cat([q.scale for q in quantizers(other).values()]), ours)


def test_weights_are_quantised_while_activations_are_calibrated() -> None:
    """The scale of the second layer's input is that for the output of the quantised first layers."""
    model = quantised("vit", Scheme(2, 8))
    layer = gemms(model)["vit.layers.0.attention.scores"]
    reference = tiny("vit").eval()
    with torch.no_grad():
        for name, (weight, quantizer) in weight_quantizers(model).items():
            reference.get_submodule(name).weight.copy_(quantizer(weight))
    seen: list[Tensor] = []
    reference.get_submodule("vit.layers.0.attention.q_proj").register_forward_hook(lambda m, i, o: seen.append(o))
    logits(reference, samples("vit"))
    by_head = seen[0].unflatten(-1, (2, 8))
    twin = Quantizer(8, signed=True, granularity=PerHead(2, 2), groups=2)
    twin.begin_search()
    twin(by_head)
    twin.end_search()
    torch.testing.assert_close(layer.operands()[0].scale, twin.scale, rtol=1e-5, atol=0)


def test_calibration_needs_a_batch_and_finite_activations() -> None:
    model = quantize_model(tiny("vit"), Scheme(4, 4))
    with pytest.raises(ValueError, match=r"^calibration needs at least one batch of training samples, not 0$"):
        calibrate(model, [])
    assert model.training
    bad = samples("vit")
    bad["pixel_values"][0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^activations must be finite to calibrate a quantiser on them$"):
        calibrate(model, [bad])
    assert model.training
    assert all(q.search is None for q in quantizers(model).values())
    with pytest.raises(RuntimeError, match="has no scale yet"):
        model(**samples("vit"))


def test_overrides_choose_modules_and_the_last_one_wins() -> None:
    scheme = Scheme(
        4,
        4,
        overrides=(
            Override("*.mlp.*", 2, 3),
            Override("*layers.1.mlp.fc2", activation_bits=6),
            Override("classifier", 5),
            Override("*layers.0.attention.context", activation_bits=7),
            Override("*layers.0.attention.q_proj", activation_bits=5),
        ),
    )
    model = quantised("vit", scheme)
    widths = {name: tuple(q.bits[0] for q in layer.operands()) for name, layer in gemms(model).items()}
    assert widths["vit.layers.0.mlp.fc2"] == (3, 2)
    assert widths["vit.layers.1.mlp.fc1"] == (3, 2)
    assert widths["vit.layers.1.mlp.fc2"] == (6, 2)
    assert widths["classifier"] == (8, 5)
    assert widths["vit.layers.0.attention.context"] == (7, 7)
    assert widths["vit.layers.1.attention.context"] == (4, 4)
    # One tensor feeds query, key and value: it is quantised for each where they ask for several widths.
    assert [widths[f"vit.layers.0.attention.{p}_proj"] for p in "qkv"] == [(5, 4), (4, 4), (4, 4)]
    inputs = {name for name in quantizers(model) if name.startswith("vit.layers.") and name.endswith("input_quantizer")}
    assert {name for name in inputs if "proj" in name and "o_proj" not in name} == {
        f"vit.layers.0.attention.{p}_proj.input_quantizer" for p in "qkv"
    }
    assert "vit.layers.0.attention.input_quantizer" not in inputs
    assert "vit.layers.1.attention.input_quantizer" in inputs
    assert widths["vit.layers.1.attention.q_proj"] == (4, 4)
    assert logits(model, samples("vit")).isfinite().all()


def test_overrides_give_each_head_its_width() -> None:
    scheme = Scheme(
        4,
        4,
        overrides=(
            Override("*layers.0.attention.v_proj", (2, 6)),
            Override("*layers.0.attention.o_proj", (3, 5), (6, 2)),
            Override("*layers.0.attention.scores", activation_bits=(2, 8)),
        ),
    )
    layers = gemms(quantised("vit", scheme))
    bits = {name.removeprefix("vit.layers.0.attention."): [q.bits for q in g.operands()] for name, g in layers.items()}
    assert bits["v_proj"] == [(4,), (2, 6)]
    assert bits["o_proj"] == [(6, 2), (3, 5)]
    assert bits["scores"] == [(2, 8), (2, 8)]
    assert bits["context"] == [(4, 4), (4, 4)]
    value = layers["vit.layers.0.attention.v_proj"]
    assert isinstance(value, QuantLinear)
    codes = value.weight_codes()
    assert (int(codes[:8].min()), int(codes[:8].max())) == (-2, 1)
    assert codes[8:].abs().max() > 8
    output = layers["vit.layers.0.attention.o_proj"]
    assert isinstance(output, QuantLinear)
    codes = output.weight_codes()
    assert -4 <= codes[:, :8].min() <= codes[:, :8].max() <= 3
    assert codes[:, 8:].abs().max() > 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            Override("*layers.0.attention.v_proj", (2, 4, 6)),
            "weight_bits of vit.layers.0.attention.v_proj must be one number or 2, one a head, not 3",
        ),
        (
            Override("*layers.1.mlp.fc1", (2, 4)),
            "weight_bits of vit.layers.1.mlp.fc1 must be one number or 1, one a head, not 2",
        ),
        (
            Override("*layers.0.attention.q_proj", None, (2, 4, 4)),
            "activation_bits of vit.layers.0.attention.q_proj must be one number or 2, one a head, not 3",
        ),
        (
            Override("*.attention.?_proj", None, (4, 4, 4)),
            "activation_bits of vit.layers.0.attention.q_proj must be one number or 2, one a head, not 3",
        ),
        (
            Override("*layers.0.mlp.fc1", None, (4, 4)),
            "activation_bits of vit.layers.0.mlp.fc1 must be one number or 1, one a head, not 2",
        ),
        (Override("*.mlp.fc3", 2), "overrides must match a GEMM of the model, but *.mlp.fc3 match none"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(override: Override, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quantize_model(tiny("vit"), Scheme(overrides=(override,)))


def test_a_model_is_quantised_once_only() -> None:
    model = quantize_model(tiny("vit"), Scheme())
    with pytest.raises(ValueError, match=r"^the model must not be quantised yet$"):
        quantize_model(model, Scheme())


def test_models_without_layers_are_refused() -> None:
    class Empty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(4)

    message = "a model of class Empty has no layer that can be quantised"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quantize_model(Empty(), Scheme())  # type: ignore[arg-type]
    with (
        pytest.raises(ValueError, match=r"^the model must be quantised to be computed with integers$"),
        integer_engine(tiny("vit"), exact_product),
    ):
        pass


def test_both_heads_of_a_distilled_model_and_the_one_of_a_plain_model() -> None:
    model = quantised("deit", Scheme(2, 2))
    layers = gemms(model)
    for name in ("cls_classifier", "distillation_classifier"):
        assert [q.bits for q in layers[name].operands()] == [(8,), (8,)]
    plain = quantize_model(DeiTForImageClassification(DeiTConfig(**_IMAGES)), Scheme(2, 2))
    assert [name for name in gemms(plain) if "classifier" in name] == ["classifier"]


@pytest.mark.parametrize("family", FAMILIES)
def test_granularity_tensor_has_one_scale_a_tensor(family: str) -> None:
    model = quantize_model(tiny(family), Scheme(4, 4, granularity="tensor"), fit_weights=False)
    assert {(q.groups, q.granularity) for q in quantizers(model).values()} == {(1, PER_TENSOR)}
    assert all(layer.partial_sums == 1 for layer in gemms(model).values() if isinstance(layer, QuantLinear))


@pytest.mark.parametrize("family", FAMILIES)
def test_granularity_channel_has_a_weight_scale_for_each_output(family: str) -> None:
    model = quantised(family, Scheme(4, 4, granularity="channel"))
    for weight, quantizer in weight_quantizers(model).values():
        assert (quantizer.granularity, quantizer.groups) == (PerChannel(0), weight.shape[0])
    weights = {id(q) for _, q in weight_quantizers(model).values()}
    assert {q.granularity for q in quantizers(model).values() if id(q) not in weights} == {PER_TENSOR}
    assert logits(model, samples(family)).isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
def test_without_output_by_head_the_output_projection_has_one_scale(family: str) -> None:
    model = quantize_model(tiny(family), Scheme(4, 4, output_by_head=False), fit_weights=False)
    found = 0
    for name, layer in gemms(model).items():
        if name.endswith(("o_proj", "attention.output.dense")):
            assert isinstance(layer, QuantLinear)
            assert [q.granularity for q in layer.operands()] == [PER_TENSOR, PER_TENSOR]
            assert layer.partial_sums == 1
            found += 1
        elif name.endswith(("q_proj", "query")):
            assert isinstance(layer.operands()[1].granularity, PerHead)
    assert found == sum(isinstance(layer, QuantScores) for layer in gemms(model).values())


@pytest.mark.parametrize("bits", [4, 2, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_one_step_reaches_every_parameter(family: str, bits: int) -> None:
    model = quantised(family, Scheme(bits, bits)).train()
    F.cross_entropy(model(**samples(family, seed=2)).logits, torch.tensor([0, 1, 2, 0])).backward()
    silent = []
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad, name
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if not parameter.grad.any():
            silent.append(name)
    # An offset moves where values are clipped only; with few samples there may be none.
    assert [name for name in silent if not name.endswith("offset")] == []
    if bits > 1:
        assert sum(name.endswith("offset") for name in silent) < sum("offset" in n for n, _ in model.named_parameters())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.optim.AdamW(model.parameters(), lr=1e-3).step()
    moved = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert len(moved) > 0.9 * len(before)
    assert logits(model, samples(family)).isfinite().all()
    assert all((q.scale > 0).all() for q in quantizers(model).values())


@pytest.mark.parametrize("bits", [4, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_computes_the_same_and_is_its_own(family: str, bits: int) -> None:
    model = quantised(family, Scheme(bits, bits))
    twin = copy.deepcopy(model)
    inputs = samples(family, seed=3)
    wanted = logits(model, inputs)
    assert torch.equal(logits(twin, inputs), wanted)
    assert not {id(p) for p in model.parameters()} & {id(p) for p in twin.parameters()}
    ours, theirs = ({id(q) for layer in gemms(m).values() for q in layer.operands()} for m in (model, twin))
    assert not ours & theirs
    assert theirs == {id(q) for q in quantizers(twin).values()}
    with torch.no_grad():
        for quantizer in quantizers(twin).values():
            quantizer.start.mul_(1.7)
    assert not torch.equal(logits(twin, inputs), wanted)
    assert torch.equal(logits(model, inputs), wanted)


@pytest.mark.parametrize("scheme", [Scheme(4, 4), Scheme(1, 1), Scheme(3, 3, weight_scale="statistical")])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_dict_carries_the_whole_model(family: str, scheme: Scheme) -> None:
    model = quantised(family, scheme)
    with torch.no_grad():
        for quantizer in quantizers(model).values():
            quantizer.relative.mul_(0.9)
    torch.manual_seed(9)
    fresh = quantize_model(type(model)(model.config), scheme, fit_weights=False)
    fresh.load_state_dict(model.state_dict())
    inputs = samples(family, seed=3)
    assert torch.equal(logits(fresh, inputs), logits(model, inputs))


def test_statistical_weight_scales_follow_the_weights() -> None:
    model = quantised("vit", Scheme(3, 4, weight_scale="statistical"))
    for name, (_, quantizer) in weight_quantizers(model).items():
        assert isinstance(quantizer, StatisticalQuantizer), name
        assert not quantizer.relative.requires_grad
    weight, quantizer = weight_quantizers(model)["vit.layers.0.attention.q_proj"]
    wanted = [2 * float(half.detach().abs().mean()) / 3**0.5 for half in weight.chunk(2, 0)]
    torch.testing.assert_close(quantizer.scale, torch.tensor(wanted), rtol=1e-5, atol=0)
    with torch.no_grad():
        weight[:8] *= 2
    logits(model, samples("vit"))
    torch.testing.assert_close(quantizer.scale, torch.tensor([2 * wanted[0], wanted[1]]), rtol=1e-5, atol=0)
    activations = [q for q in quantizers(model).values() if not isinstance(q, StatisticalQuantizer)]
    assert len(activations) == len(quantizers(model)) - len(weight_quantizers(model))


def test_one_bit_is_elastic_binarisation() -> None:
    model = quantised("bert", Scheme(1, 1))
    for name, layer in gemms(model).items():
        kinds = {type(q) for q in layer.operands()}
        assert kinds == ({Quantizer} if has_wide_ends(name) else {ElasticBinarizer}), name
    mixed = quantised("bert", Scheme(1, 4))
    kinds_of = [type(q) for q in gemms(mixed)["bert.encoder.layer.0.intermediate.dense"].operands()]
    assert kinds_of == [Quantizer, ElasticBinarizer]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_engine_is_gone_and_the_mode_back_after_the_integer_path(family: str) -> None:
    model = quantised(family, Scheme(4, 4))
    calls: list[str] = []

    def engine(product: Any) -> Tensor:
        calls.append(product.name)
        return exact_product(product)

    with integer_engine(model, engine):
        assert not model.training
        assert not model(**samples(family)).logits.requires_grad
    assert model.training
    assert all(layer.engine is None for layer in gemms(model).values())
    assert set(calls) == set(gemms(model))
    with pytest.raises(ZeroDivisionError), integer_engine(model, engine):
        raise ZeroDivisionError
    assert all(layer.engine is None for layer in gemms(model).values())


@pytest.mark.parametrize("weight_scale", ["statistical", "statsq"])
def test_scales_that_follow_weights_are_trained_where_a_layer_is_applied_twice(weight_scale: Any) -> None:
    model = quantised("sret", Scheme(3, 4, weight_scale=weight_scale))
    for _ in range(2):
        model(**samples("sret")).logits.square().sum().backward()
    weights = weight_quantizers(model)
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight, _ in weights.values())
