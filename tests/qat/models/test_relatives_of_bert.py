"""RoBERTa and DistilBERT: from a checkpoint to integers that equal the fake-quantised network, and its GEMMs."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaModel,
)

import qat
from qat.integers import IntegerModel, compare_paths
from qat.models import build, load_pretrained, most_tokens, recognise
from qat.network import bin_regulariser, calibrate, gemms, load_quantised, quantize_model, rotate, weight_quantizers
from qat.settings import Scheme
from qat.trace import workload

CONFIGS: dict[str, Any] = {
    "roberta": RobertaConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                             intermediate_size=32, max_position_embeddings=20, num_labels=3),
    "distilbert": DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=32,
                                   max_position_embeddings=18, num_labels=3),
}  # fmt: skip
CLASSES: dict[str, type[PreTrainedModel]] = {
    "roberta": RobertaForSequenceClassification,
    "distilbert": DistilBertForSequenceClassification,
}
FAMILIES = ("roberta", "distilbert")


def made(family: str) -> PreTrainedModel:
    torch.manual_seed(7)
    model = CLASSES[family](CONFIGS[family])
    with torch.no_grad():  # so that no two tokens are alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def texts() -> dict[str, Tensor]:
    """Four texts, one of them padded."""
    tokens = torch.randint(2, 60, (4, 18), generator=torch.Generator().manual_seed(8))
    mask = torch.ones(4, 18, dtype=torch.int64)
    mask[1, 11:] = 0
    tokens[1, 11:] = 1
    return {"input_ids": tokens, "attention_mask": mask, "token_type_ids": torch.zeros_like(tokens)}


@pytest.mark.parametrize("scheme", [Scheme(4, 4), Scheme(1, 1), Scheme(3, 2, granularity="channel")])
@pytest.mark.parametrize("family", FAMILIES)
def test_after_a_step_its_integers_are_the_network(family: str, scheme: Scheme, tmp_path: Path) -> None:
    model = made(family)
    before = model(**texts()).logits
    quantize_model(model, scheme)
    calibrate(model, [texts()])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    loss = model.train()(**texts(), labels=torch.tensor([0, 1, 2, 0])).loss
    (loss + 0.01 * bin_regulariser(weight_quantizers(model).values())).backward()
    assert all(gemm.weight.grad is not None for gemm in gemms(model).values() if hasattr(gemm, "weight"))
    optimizer.step()
    model.eval()
    IntegerModel.from_quantized(model, scheme, {}).save(tmp_path / "integers")
    integers = IntegerModel.load(tmp_path / "integers")
    found = compare_paths(model, integers, [texts()])
    assert (found.predictions, found.ties, found.largest_difference) == (4, 0, 0.0)
    assert found.codes > 10_000
    assert not torch.equal(integers.logits(texts()), before)
    model.save_pretrained(tmp_path / "saved")
    assert torch.equal(load_quantised(tmp_path / "saved")(**texts()).logits, model(**texts()).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_at_eight_bits_it_is_close_to_full_precision(family: str) -> None:
    model = made(family)
    before = model(**texts()).logits.detach()
    quantize_model(model, Scheme(8, 8))
    calibrate(model, [texts()])
    assert float((model(**texts()).logits.detach() - before).abs().max()) < 0.05 * float(before.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_its_heads_can_be_rotated(family: str) -> None:
    model = made(family)
    before = model(**texts()).logits
    rotate(model, ("values", "queries"), 3)
    torch.testing.assert_close(model(**texts()).logits, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_workload_of_a_folder_has_all_gemms(family: str, tmp_path: Path) -> None:
    made(family).save_pretrained(tmp_path)
    found = workload(str(tmp_path))
    roles = Counter(gemm["role"] for gemm in found["gemms"])
    body = ("query", "key", "value", "scores", "context", "projection", "fc1", "fc2")
    assert roles == {**dict.fromkeys(body, 2), "pooler": 1, "classifier": 1}
    # 18 tokens: the sums of products of the paper's formulas, by hand.
    block = 18 * 16 * 16 * 4 + 2 * 18 * 18 * 16 + 2 * 18 * 16 * 32
    assert found["macs"] == 2 * block + 16 * 16 + 16 * 3
    assert {gemm["heads"] for gemm in found["gemms"] if gemm["role"] == "scores"} == {2}
    assert recognise(tmp_path) == (str(tmp_path), None)
    assert type(build(str(tmp_path), num_labels=2)) is CLASSES[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoints_with_a_classifier_without_and_of_pretraining_are_read(family: str, tmp_path: Path) -> None:
    model = made(family)
    model.save_pretrained(tmp_path / "classifier")
    loaded = load_pretrained(tmp_path / "classifier", num_labels=3)
    assert torch.equal(loaded(**texts()).logits, model(**texts()).logits)
    with pytest.raises(ValueError, match="is a checkpoint for 3 labels, but num_labels is 5"):
        load_pretrained(tmp_path / "classifier", num_labels=5)
    file = tmp_path / "classifier" / "model.safetensors"
    assert torch.equal(load_pretrained(file, config=CONFIGS[family])(**texts()).logits, model(**texts()).logits)
    bare, pretraining = {
        "roberta": (RobertaModel, RobertaForMaskedLM),
        "distilbert": (DistilBertModel, DistilBertForMaskedLM),
    }[family]
    for kind in (bare, pretraining):
        encoder = kind(CONFIGS[family])
        encoder.save_pretrained(tmp_path / kind.__name__)
        started = load_pretrained(tmp_path / kind.__name__, num_labels=5, new_head=True)
        assert started(**texts()).logits.shape == (4, 5)
        own = dict(getattr(encoder, encoder.base_model_prefix, encoder).named_parameters())
        read = dict(started.base_model.named_parameters())
        assert all(torch.equal(tensor, own[name]) for name, tensor in read.items())
    torch.manual_seed(1)
    first = load_pretrained(tmp_path / "classifier", num_labels=3, new_head=True)
    assert not any(
        torch.equal(tensor, model.state_dict()[name])
        for name, tensor in first.state_dict().items()
        if "classifier" in name and name.endswith("weight")
    )


def test_texts_are_as_long_as_there_are_positions(tmp_path: Path) -> None:
    assert {family: most_tokens(CONFIGS[family]) for family in FAMILIES} == {"roberta": 18, "distilbert": 18}
    made("roberta").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"tokens must be an integer from 1 to 18"):
        workload(str(tmp_path), tokens=19)
    for field, value in (("n_layers", 1000), ("dropout", 2.0)):
        made("distilbert").save_pretrained(tmp_path / "damaged")
        path = tmp_path / "damaged" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
        with pytest.raises(ValueError, match=f"{field} must be from"):
            load_pretrained(tmp_path / "damaged")


def changed(family: str, **fields: Any) -> PreTrainedModel:
    """A network of one layer with other values in its configuration."""
    torch.manual_seed(7)
    config = copy.deepcopy(CONFIGS[family])
    for name, value in {"num_hidden_layers": 1, **fields}.items():
        setattr(config, config.attribute_map.get(name, name), value)
    return CLASSES[family](config).eval()


def check(model: PreTrainedModel, folder: Path, inputs: dict[str, Tensor], scheme: Scheme) -> None:
    """Its folder and its integers give its logits, bit for bit, and the same codes."""
    quantize_model(model, scheme)
    calibrate(model, [inputs])
    wanted = model(**inputs).logits
    assert bool(wanted.isfinite().all())
    model.save_pretrained(folder)
    loaded = qat.load(folder)
    assert torch.equal(loaded(**inputs).logits, wanted)
    integers = qat.export_integers(loaded, folder / "integers")
    assert torch.equal(integers.logits(inputs), wanted)
    assert compare_paths(model, integers, [inputs]).largest_difference == 0


DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "dropout", "attention_dropout",
    "seq_classif_dropout",
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "scheme"),
    [
        ({"num_attention_heads": 1}, Scheme(4, 4)),
        ({"num_attention_heads": 16}, Scheme(2, 3, query_key="reparameterised")),
        ({"num_labels": 1, "pad_token_id": 0}, Scheme(1, 1, granularity="channel")),
        ({"pad_token_id": 5, **dict.fromkeys(DROPOUTS, 0.0)}, Scheme(3, 3, output_by_head=False)),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_other_heads_labels_pads_and_dropouts(
    family: str, fields: dict[str, Any], scheme: Scheme, tmp_path: Path
) -> None:
    inputs = {name: tensor[:2, :12] for name, tensor in texts().items() if name != "token_type_ids"}
    inputs["input_ids"][1, 11:] = fields.get("pad_token_id", 1)
    check(changed(family, **fields), tmp_path, inputs, scheme)


@pytest.mark.parametrize("family", FAMILIES)
def test_masks_of_any_kind_are_those_of_full_precision(family: str) -> None:
    """What is masked changes nothing, and a text of which all is masked has numbers."""
    full, inputs = changed(family), {name: texts()[name][:3] for name in ("input_ids", "attention_mask")}
    model = quantize_model(copy.deepcopy(full), Scheme(8, 8))
    calibrate(model, [inputs])
    wanted = model(**inputs).logits
    mask = inputs["attention_mask"]
    added = torch.zeros(3, 1, 1, 18).masked_fill(mask[:, None, None, :] == 0, torch.finfo(torch.float32).min)
    for form in (mask.bool(), mask.float(), added):
        if family == "distilbert" or form is not added:
            assert torch.equal(model(inputs["input_ids"], attention_mask=form).logits, wanted)
    other = inputs["input_ids"].where(mask == 1, 9)
    if family == "distilbert":  # RoBERTa finds its positions by the token of padding
        assert torch.equal(model(other, attention_mask=mask).logits, wanted)
    nothing = {"input_ids": inputs["input_ids"], "attention_mask": mask * torch.tensor([[1], [0], [1]])}
    found, theirs = model(**nothing).logits.detach(), full(**nothing).logits.detach()
    assert bool(found.isfinite().all())
    assert torch.equal(found[[0, 2]], wanted[[0, 2]])
    assert float((found - theirs).abs().max()) < 0.3 * float(theirs.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_folders_of_other_dtypes_in_shards_and_with_unknown_members(family: str, tmp_path: Path) -> None:
    model, inputs = changed(family), texts()
    del inputs["token_type_ids"]
    for dtype in (torch.bfloat16, torch.float64):
        folder = tmp_path / str(dtype)
        model.to(dtype).save_pretrained(folder, max_shard_size="3KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 1
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "unknown": {"a": [1]}, "return_dict": False}))
        loaded = load_pretrained(folder)
        assert loaded.dtype is torch.float32
        assert torch.equal(loaded(**inputs).logits, model.float()(**inputs).logits)
    next(iter(folder.glob("model-*.safetensors"))).unlink()
    with pytest.raises(ValueError, match=r"model-\d+-of-\d+.safetensors: there is no such file$"):
        load_pretrained(folder)


FIELDS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("both", {"pad_token_id": 60}, "pad_token_id must be below vocab_size, 60, not 60"),
    ("both", {"pad_token_id": -1}, "pad_token_id must be from 0 to 4194304, not -1"),
    ("both", {"position_embedding_type": "relative_key"},
     "position_embedding_type must be absolute, not 'relative_key'"),
    ("roberta", {"pad_token_id": None},
     "pad_token_id must be a number for roberta, whose positions begin behind it, not None"),
    ("roberta", {"pad_token_id": 19}, "max_position_embeddings must be at least 21, with pad_token_id 19, not 20"),
    ("roberta", {"hidden_act": "nope"}, "hidden_act must be one that transformers has, as gelu or relu, not 'nope'"),
    ("distilbert", {"activation": "nope"}, "activation must be one that transformers has, as gelu or relu, not 'nope'"),
    ("roberta", {"num_attention_heads": 3},
     "the configuration makes no roberta: The hidden size (16) is not a multiple of the number of attention heads (3)"),
)  # fmt: skip


@pytest.mark.parametrize(("families", "fields", "must"), FIELDS)
def test_a_configuration_of_another_network_names_its_field(
    families: str, fields: dict[str, Any], must: str, tmp_path: Path
) -> None:
    for family in FAMILIES if families == "both" else (families,):
        model = changed(family)
        for name in ("full", "quantised"):
            if name == "quantised":
                quantize_model(model, Scheme(4, 4))
                calibrate(model, [{"input_ids": texts()["input_ids"]}])
            path = tmp_path / family / name / "config.json"
            model.save_pretrained(path.parent)
            path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
            where = "cannot be used" if name == "full" else "must be the configuration of a quantised network"
            with pytest.raises(ValueError, match=rf"^{re.escape(f'{path} {where}: {must}')}$"):
                (load_pretrained if name == "full" else qat.load)(path.parent)


def test_batches_without_samples_are_refused(tmp_path: Path) -> None:
    model = quantize_model(changed("distilbert"), Scheme(4, 4))
    some, none = ({"input_ids": texts()["input_ids"][:count]} for count in (2, 0))
    with pytest.raises(ValueError, match=r"^a batch to calibrate on must have samples, but that of number 1 is empty$"):
        calibrate(model, [some, none])
    calibrate(model, [some])
    integers = qat.export_integers(model, tmp_path)
    for inputs in (none, {"input_ids": some["input_ids"][:, :0]}):
        with pytest.raises(ValueError, match=r"^inputs must have samples and tokens, and have none$"):
            integers.logits(inputs)
