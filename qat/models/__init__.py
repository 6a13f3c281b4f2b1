"""The networks that are trained: presets of the Hugging Face models, and our own SReT."""

from __future__ import annotations

from .build import build
from .checkpoints import load_pretrained
from .limits import SIZES
from .presets import from_config, model_classes, preset
from .sret import SReTAttention, SReTForImageClassification, SReTMLP

__all__ = [
    "SIZES",
    "SReTAttention",
    "SReTForImageClassification",
    "SReTMLP",
    "build",
    "from_config",
    "load_pretrained",
    "model_classes",
    "preset",
]
