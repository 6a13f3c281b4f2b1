"""quantize_model and what it must leave alone: families that it does not know, shared configurations, saved models."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat.models.classes import model_classes
from qat.models.sret import SReTConfig, SReTForImageClassification
from qat.network.convert import calibrate, gemms, quantize_model
from qat.settings.scheme import Override, Scheme

_IMAGES: dict[str, Any] = {
    "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32,
}  # fmt: skip
_TEXTS: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
_SWIN: dict[str, Any] = {
    "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4,
}  # fmt: skip
_STAGES: dict[str, Any] = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 8, 8]}

FOREIGN: dict[str, Callable[[], PreTrainedModel]] = {
    "Swinv2": lambda: hf.Swinv2ForImageClassification(hf.Swinv2Config(**_SWIN)),
    "BEiT": lambda: hf.BeitForImageClassification(hf.BeitConfig(**_IMAGES)),
    "Dinov2": lambda: hf.Dinov2ForImageClassification(
        hf.Dinov2Config(
            image_size=32, patch_size=8, hidden_size=24, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1
        )
    ),
    "CLIP": lambda: hf.CLIPVisionModel(hf.CLIPVisionConfig(**_IMAGES)),
    "Segformer": lambda: hf.SegformerForImageClassification(
        hf.SegformerConfig(num_attention_heads=[1, 1, 1, 1], **_STAGES)
    ),
    "MobileViT": lambda: hf.MobileViTForImageClassification(
        hf.MobileViTConfig(image_size=32, hidden_sizes=[8, 8, 8], neck_hidden_sizes=[8] * 7, num_attention_heads=2)
    ),
    "ConvNeXt": lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig(**_STAGES)),
    "ResNet": lambda: hf.ResNetForImageClassification(hf.ResNetConfig(embedding_size=8, **_STAGES)),
    "ELECTRA": lambda: hf.ElectraForSequenceClassification(hf.ElectraConfig(**_TEXTS)),
    "ALBERT": lambda: hf.AlbertForSequenceClassification(hf.AlbertConfig(**_TEXTS)),
    "GPT-2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=64, n_embd=24, n_layer=1, n_head=2)),
    "Qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(num_key_value_heads=2, **_TEXTS)),
    "Mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(num_key_value_heads=2, **_TEXTS)),
}  # fmt: skip


def vit(config: hf.ViTConfig | None = None, **changes: Any) -> hf.ViTForImageClassification:
    torch.manual_seed(0)
    return hf.ViTForImageClassification(config or hf.ViTConfig(**_IMAGES | changes)).eval()


def pixels() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def picture(model: nn.Module) -> tuple[Any, ...]:
    """All that quantize_model could change: modules, parameters, hooks, attributes, configuration."""
    modules = {name: (id(module), type(module)) for name, module in model.named_modules()}
    hooks = {name: len(module._forward_pre_hooks) for name, module in model.named_modules()}
    attributes = {name: sorted(vars(module)) for name, module in model.named_modules()}
    tensors = {name: (id(t), t.detach().clone().tolist()) for name, t in model.named_parameters()}
    return modules, hooks, attributes, tensors, model.config.to_dict(), id(model.config)  # type: ignore[union-attr]


@pytest.mark.parametrize("family", FOREIGN)
def test_a_family_that_is_not_known_is_refused_at_once_and_left_as_it_is(family: str) -> None:
    model = FOREIGN[family]()
    before = picture(model)
    with pytest.raises(TypeError) as caught:
        quantize_model(model, Scheme(2, 2))
    text = str(caught.value)
    assert text.startswith(f"a model of class {type(model).__name__} cannot be quantised; it must be of one of ")
    assert all(name in text for name in model_classes())
    assert len(text) < 500
    assert picture(model) == before


def with_adapter() -> PreTrainedModel:
    model = vit()
    layer = model.vit.layers[0]
    layer.adapter = nn.Linear(24, 24)
    return model


def with_cross_attention() -> PreTrainedModel:
    return hf.BertLMHeadModel(hf.BertConfig(is_decoder=True, add_cross_attention=True, **_TEXTS))


def not_finite() -> PreTrainedModel:
    model = vit()
    with torch.no_grad():
        model.classifier.weight[0, 3] = float("nan")
    return model


def not_there() -> PreTrainedModel:
    with torch.device("meta"):
        return vit()


REFUSED: dict[str, tuple[Callable[[], PreTrainedModel], Scheme, str]] = {
    "an adapter": (with_adapter, Scheme(), "adapter belongs to none"),
    "cross-attention": (with_cross_attention, Scheme(), "crossattention"),
    "a weight that is NaN": (not_finite, Scheme(), "the weight of classifier must be finite numbers"),
    "weights on meta": (not_there, Scheme(), "and is on meta"),
    "a pattern that matches nothing": (vit, Scheme(overrides=(Override("*.fc9", 2),)), "*.fc9 match none"),
    "heads that there are not": (
        vit,
        Scheme(overrides=(Override("*attention.o_proj", (2, 3, 4)),)),
        "must be one number or 2, one a head, not 3",
    ),
    "one bit that is padded": (
        lambda: SReTForImageClassification(
            SReTConfig(
                image_size=8, num_channels=1, stem_strides=(2, 1, 1), widths=(8, 16), depths=(1, 1), num_heads=(2, 4),
                groups=((4, 2), (1, 1)),
            )
        ),
        Scheme(overrides=(Override("*downsamples.0", activation_bits=1),)),
        "its padding is a code of 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_quantised_whole_is_left_whole(case: str) -> None:
    make, scheme, text = REFUSED[case]
    model = make()
    on_meta = case == "weights on meta"
    before = None if on_meta else picture(model)
    with pytest.raises(ValueError, match=re.escape(text)):
        quantize_model(model, scheme)
    assert not gemms(model)
    if not on_meta:
        assert str(picture(model)) == str(before)  # as text: NaN is not equal to itself
    assert model.config._attn_implementation != "siliquant"


def test_other_classes_with_a_known_encoder_are_quantised() -> None:
    for model in (hf.ViTModel(hf.ViTConfig(**_IMAGES)), hf.BertForMaskedLM(hf.BertConfig(**_TEXTS))):
        names = gemms(quantize_model(model, Scheme(2, 2)))
        assert any(name.endswith("scores") for name in names)
        assert any(name.endswith("context") for name in names)


def test_a_model_of_the_same_configuration_object_stays_as_it_is() -> None:
    config = hf.ViTConfig(**_IMAGES)
    teacher, student = vit(config), vit(config)
    with torch.no_grad():
        wanted = teacher(pixels()).logits
    quantize_model(student, Scheme(4, 4))
    calibrate(student, [{"pixel_values": pixels()}])
    with torch.no_grad():
        assert torch.equal(teacher(pixels()).logits, wanted)
        assert not torch.equal(student(pixels()).logits, wanted)
    assert teacher.config is config
    assert config._attn_implementation != "siliquant"
    held = {id(module.config) for module in student.modules() if hasattr(module, "config")}
    assert held == {id(student.config)}
    assert student.config is not config


def test_a_model_built_from_the_configuration_of_a_quantised_one_computes_in_floats() -> None:
    student = quantize_model(vit(), Scheme(4, 4))
    wanted = vit()
    wanted.set_attn_implementation("eager")
    teacher = vit(student.config)
    with torch.no_grad():
        torch.testing.assert_close(teacher(pixels()).logits, wanted(pixels()).logits)


def test_save_pretrained_of_a_quantised_model_and_its_copies_is_ours(tmp_path: Path) -> None:
    plain = vit()
    plain.save_pretrained(tmp_path / "plain")
    model = quantize_model(vit(), Scheme(4, 4))
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with pytest.raises(ValueError, match=r"must have a scale to be saved: calibrate the model first$"):
            each.save_pretrained(tmp_path / "quantised")
    assert not (tmp_path / "quantised").exists()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_in_another_dtype_is_quantised_in_it(dtype: torch.dtype) -> None:
    """Quantised first and cast then, or the other way round."""
    wanted = quantize_model(vit(), Scheme(8, 8))
    calibrate(wanted, [{"pixel_values": pixels()}])
    cast = copy.deepcopy(wanted).to(dtype)
    made = quantize_model(vit().to(dtype), Scheme(8, 8))
    calibrate(made, [{"pixel_values": pixels().to(dtype)}])
    with torch.no_grad():
        expected = wanted(pixels()).logits.double()
        for model in (cast, made):
            found = model(pixels().to(dtype)).logits
            assert found.dtype == dtype
            bound = 1e-3 if dtype is torch.float64 else 0.1
            assert (found.double() - expected).abs().max() < bound * expected.abs().max()
    made.train()
    made(pixels().to(dtype)).logits.square().sum().backward()
    gradients = [p.grad for p in made.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_a_state_is_assigned_to_a_model_made_on_the_meta_device() -> None:
    wanted = quantize_model(vit(), Scheme(2, 3))
    calibrate(wanted, [{"pixel_values": pixels()}])
    with torch.device("meta"):
        made = quantize_model(vit(), Scheme(2, 3), fit_weights=False)
    made.load_state_dict(wanted.state_dict(), assign=True)
    with torch.no_grad():
        assert torch.equal(made.eval()(pixels()).logits, wanted(pixels()).logits)


def test_gradients_of_a_model_called_with_plain_tensors_are_those_of_its_parameters() -> None:
    model = quantize_model(vit(), Scheme(4, 4))
    calibrate(model, [{"pixel_values": pixels()}])
    model.train()
    model(pixels()).logits.square().sum().backward()
    given = {name: parameter.detach().clone().requires_grad_() for name, parameter in model.named_parameters()}
    torch.func.functional_call(model, given, (pixels(),)).logits.square().sum().backward()
    compared = 0
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(given[name].grad, parameter.grad, msg=name)
            compared += name.endswith("weight_quantizer.relative")
    assert compared == len([g for g in gemms(model).values() if hasattr(g, "weight_quantizer")])
