"""What networks and data sets are called. Nothing heavy is imported here: command lines show the names."""

from __future__ import annotations

from collections.abc import Sequence

from siliquant.inputs import InputError, short

__all__ = ["AUGMENTATIONS", "DATA", "METRIC_NAMES", "PRESET_NAMES", "ROTATIONS", "check_metrics"]

PRESET_NAMES = (
    "deit-tiny",
    "deit-small",
    "deit-base",
    "deit-tiny-distilled",
    "deit-small-distilled",
    "deit-base-distilled",
    "swin-tiny",
    "swin-small",
    "sret-tiny",
    "bert-base",
    "minilm",
    "vit-cifar",
    "vit-cifar-large",
    "vit-mnist",
    "swin-mnist",
    "sret-mnist",
    "llama-small",
    "smollm2-135m",
)
"""Networks; qat.models.presets has their configurations."""
DATA = ("mnist5k", "digits", "mr", "imagefolder:DIR", "glue:TASK:DIR")
"""Data sets; qat.data.datasets opens them."""
ROTATIONS = ("values", "queries", "residual")
"""What can be rotated before a network is quantised; qat.network.rotate does it."""
AUGMENTATIONS = ("crop", "shift", "none")
"""How training images are seen; qat.data.augmented has what each is."""
METRIC_NAMES = ("accuracy", "matthews", "f1", "pearson", "spearman")
"""What a test split is judged by; qat.training.metrics computes them."""


def check_metrics(names: Sequence[str]) -> None:
    """Raises InputError unless there is one at least, and all are metrics, each once."""
    if not names or len(set(names)) < len(names) or not set(names) <= set(METRIC_NAMES):
        raise InputError(f"metrics must be some of {', '.join(METRIC_NAMES)}, each once, not {short(tuple(names))}")
