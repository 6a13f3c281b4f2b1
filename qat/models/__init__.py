"""The networks that are trained: presets of the Hugging Face models, and our own SReT.

In: a preset or a checkpoint. Out: a model in float32. Read ``presets``, ``checkpoints``, ``fresh``; ``recognition``
(which preset a folder holds), ``limits`` (what a configuration may ask for), ``timm_names`` (names of weights).
"""

from __future__ import annotations

from .checkpoints import load_pretrained
from .fresh import build
from .limits import SIZES
from .presets import from_config, model_classes, preset
from .recognition import recognise, says_its_network
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
    "recognise",
    "says_its_network",
]
