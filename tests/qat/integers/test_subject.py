"""Random subjects: how many samples, of which size, and that the first of them alone finds the scales."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertConfig

from qat.integers import random_subject
from qat.network import quantizers
from qat.settings import Scheme
from siliquant.inputs import InputError


def test_the_first_sample_alone_finds_the_scales() -> None:
    one, three = (random_subject("vit-mnist", Scheme(4, 4), samples) for samples in (1, 3))
    assert [len(subject.batches) for subject in (one, three)] == [1, 3]
    assert [tuple(batch["pixel_values"].shape) for batch in three.batches] == [(1, 1, 28, 28)] * 3
    assert torch.equal(one.batches[0]["pixel_values"], three.batches[0]["pixel_values"])
    scales = [
        {name: quantizer.scale for name, quantizer in quantizers(each.model.network).items()} for each in (one, three)
    ]
    assert scales[0].keys() == scales[1].keys()
    assert all(torch.equal(scales[0][name], scales[1][name]) for name in scales[0])
    assert (one.name, one.labels) == ("vit-mnist, random weights", None)


@pytest.mark.parametrize("samples", [0, -1])
def test_there_is_at_least_one_sample(samples: int) -> None:
    with pytest.raises(InputError, match=rf"^samples must be at least 1, not {samples}$"):
        random_subject("vit-mnist", Scheme(4, 4), samples)


def test_texts_are_as_long_as_asked_for_and_as_the_network_reads(tmp_path: Path) -> None:
    BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3,
        max_position_embeddings=40, architectures=["BertForSequenceClassification"],
    ).save_pretrained(tmp_path)  # fmt: skip
    for tokens, length in ((None, 40), (7, 7), (1, 1), (40, 40)):
        (batch,) = random_subject(str(tmp_path), Scheme(4, 4), 1, tokens=tokens).batches
        assert [tuple(each.shape) for each in batch.values()] == [(1, length)] * 2
    for wrong in (0, 41):
        with pytest.raises(InputError, match=rf"^tokens must be an integer from 1 to 40 for .*, not {wrong}$"):
            random_subject(str(tmp_path), Scheme(4, 4), 1, tokens=wrong)
