"""RoBERTa and DistilBERT: from a checkpoint to integers that equal the fake-quantised network, and its GEMMs."""

from __future__ import annotations

import json
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
