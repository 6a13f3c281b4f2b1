"""save_pretrained and load of quantised models: the same bits, and never a network at full precision elsewhere."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers import (
    AutoModelForImageClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from qat.models import build, load_pretrained, preset
from qat.network import calibrate, load_quantised, quantize_model, quantizers, scheme_of
from qat.settings import Override, Scheme
from qat.training import load_start, load_teacher, network_of

SCHEMES = {
    "vit": Scheme(4, 3, overrides=(Override("*.q_proj", (2, 4), None),)),
    "swin": Scheme(2, 2, granularity="channel", scale_start="mean"),
    "sret": Scheme(3, 3, output_by_head=False),
    "bert": Scheme(1, 1),
}


def plain(family: str) -> PreTrainedModel:
    torch.manual_seed(5)
    if family == "vit":
        return ViTForImageClassification(
            ViTConfig(image_size=8, patch_size=4, num_channels=1, hidden_size=16, num_hidden_layers=2,
                      num_attention_heads=2, intermediate_size=32, num_labels=3)
        )  # fmt: skip
    if family == "swin":
        return SwinForImageClassification(
            SwinConfig(image_size=16, patch_size=2, num_channels=1, embed_dim=8, depths=(1, 1), num_heads=(1, 2),
                       window_size=4, num_labels=3)
        )  # fmt: skip
    if family == "sret":
        return build("sret-mnist", num_labels=3)
    return BertForSequenceClassification(
        BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                   max_position_embeddings=16, num_labels=3)
    )  # fmt: skip


def inputs(model: PreTrainedModel) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(6)
    size = getattr(model.config, "image_size", None)
    if size:
        return {"pixel_values": torch.randn(3, 1, size, size, generator=draw)}
    return {"input_ids": torch.randint(0, 50, (3, 9), generator=draw), "attention_mask": torch.ones(3, 9).long()}


def quantised(family: str) -> PreTrainedModel:
    model = plain(family)
    quantize_model(model, SCHEMES[family])
    calibrate(model, [inputs(model)])
    with torch.no_grad():  # as training leaves it
        for quantizer in quantizers(model).values():
            quantizer.relative.mul_(1.1)
    return model.eval()


@pytest.mark.parametrize("family", SCHEMES)
def test_a_saved_model_is_loaded_with_the_same_bits(family: str, tmp_path: Path) -> None:
    model = quantised(family)
    model.save_pretrained(tmp_path / "one")
    found = load_quantised(tmp_path / "one")
    assert not found.training
    assert type(found) is type(model)
    assert scheme_of(found) == SCHEMES[family]
    assert found.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    assert torch.equal(found(**inputs(model)).logits, model(**inputs(model)).logits)
    found.save_pretrained(tmp_path / "two")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "siliquant"
    assert config["model_type"] == model.config.model_type
    copy.deepcopy(model).save_pretrained(tmp_path / "copy")
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (tmp_path / "one/model.safetensors").read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_elsewhere_it_is_no_network_at_full_precision(tmp_path: Path) -> None:
    model = quantised("vit")
    model.save_pretrained(tmp_path)
    for kind in (ViTForImageClassification, AutoModelForImageClassification):
        with pytest.raises(RuntimeError, match=r"(?s)mismatch"):
            kind.from_pretrained(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    known = {name: tensor for name, tensor in tensors.items() if "quantizer" not in name}
    with pytest.raises(RuntimeError, match="size mismatch"):
        plain("vit").load_state_dict(known, strict=False)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(tmp_path))} holds a quantised network, which qat.load"):
        load_pretrained(tmp_path)


def test_a_start_is_its_latent_weights_and_a_teacher_the_network_itself(tmp_path: Path) -> None:
    model = quantised("vit")
    model.save_pretrained(tmp_path)
    start = load_start(tmp_path)
    assert not quantizers(start)
    own = model.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in start.state_dict().items())
    with pytest.raises(ValueError, match=r"must have 5 classes, not 3; a new head would replace them$"):
        load_start(tmp_path, num_labels=5)
    with pytest.raises(ValueError, match="is a quantised network with 3 classes: a new head is for other checkpoints"):
        load_start(tmp_path, num_labels=5, new_head=True)
    teacher = load_teacher(tmp_path)
    assert torch.equal(teacher(**inputs(model)).logits, model(**inputs(model)).logits)
    assert network_of(tmp_path) == (str(tmp_path), None)
    assert preset(str(tmp_path)).config.hidden_size == 16


def changed(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_folder_that_was_changed_is_refused(tmp_path: Path) -> None:
    model = quantised("vit")
    model.save_pretrained(tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())["quantization_config"]
    changed(tmp_path, quantization_config={**about, "version": 2})
    with pytest.raises(ValueError, match=r"version must be 1, not 2"):
        load_quantised(tmp_path)
    changed(tmp_path, quantization_config={**about, "scheme": {**about["scheme"], "weight_bits": 9}})
    with pytest.raises(ValueError, match=r"weight_bits must be .*9"):
        load_quantised(tmp_path)
    changed(tmp_path, quantization_config={**about, "scheme": {**about["scheme"], "gradient_scale": "none"}})
    with pytest.raises(ValueError, match=r"of which scheme.gradient_scale is 'l1', not 'none'"):
        load_quantised(tmp_path)
    changed(tmp_path, quantization_config={**about, "bits": 4})
    with pytest.raises(ValueError, match=r"quantization_config has quant_method, version and scheme, and no 'bits'$"):
        load_quantised(tmp_path)
    changed(tmp_path, quantization_config=about, layer_norm_eps=1e-5)
    with pytest.raises(ValueError, match=r"model.safetensors was written with, of which model.layer_norm_eps is"):
        load_quantised(tmp_path)
    changed(tmp_path, layer_norm_eps=model.config.layer_norm_eps, transformers_version="9.9", dtype="float32")
    load_quantised(tmp_path)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    safetensors.torch.save_file({n: t for n, t in tensors.items() if "o_proj" not in n}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"must fit the model, but it lacks vit"):
        load_quantised(tmp_path)
    safetensors.torch.save_file({n: t.squeeze(0) for n, t in tensors.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"must have a leading axis of length one"):
        load_quantised(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model.safetensors.index.json")
    with pytest.raises(
        ValueError, match=r"index.json: a quantised network has its tensors in model.safetensors, not in"
    ):
        load_quantised(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(ValueError, match=r"model.safetensors must be there beside config.json$"):
        load_quantised(tmp_path)
    changed(tmp_path, quantization_config={"quant_method": "gptq"})
    with pytest.raises(ValueError, match=r"must hold a quantised network"):
        load_quantised(tmp_path)


def test_what_cannot_be_saved_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    model = plain("vit")
    quantize_model(model, Scheme())
    with pytest.raises(ValueError, match=r"must have a scale to be saved: calibrate the model first$"):
        model.save_pretrained(tmp_path / "uncalibrated")
    model = quantised("vit")
    with pytest.raises(TypeError, match=r"takes a folder alone, not push_to_hub$"):
        model.save_pretrained(tmp_path / "options", push_to_hub=True)
    with pytest.raises(ValueError, match=r"must be of float32 to be saved, not torch.bfloat16$"):
        model.bfloat16().save_pretrained(tmp_path / "half")
    assert list(tmp_path.iterdir()) == []
