"""What networks and data sets are called. Nothing heavy is imported here: command lines show the names."""

from __future__ import annotations

__all__ = ["AUGMENTATIONS", "DATA", "PRESET_NAMES", "ROTATIONS"]

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
)
"""Networks; qat.models.presets has their configurations."""
DATA = ("mnist5k", "digits", "mr", "imagefolder:DIR", "glue:TASK:DIR")
"""Data sets; qat.data.datasets opens them."""
ROTATIONS = ("values", "queries", "residual")
"""What can be rotated before a network is quantised; qat.network.rotate does it."""
AUGMENTATIONS = ("crop", "shift", "none")
"""How training images are seen; qat.data.augmented has what each is."""
