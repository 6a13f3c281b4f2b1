"""The networks that are trained: presets of the Hugging Face models, and our own SReT.

In: a preset, a folder that describes a network, or a checkpoint. Out: a model in float32. Read ``classes``, ``folders``
(config.json), ``presets`` (what ``--model`` means), ``checkpoints``, ``fresh``; ``recognition`` (which network a folder
holds), ``limits`` (what a configuration may ask for), ``decoders`` (what a decoder may be), ``timm_names`` (names of
weights).
"""

from __future__ import annotations

from .checkpoints import STRUCTURE, load_pretrained
from .classes import described, from_config, model_classes, model_config
from .decoders import check_decoder, is_decoder
from .folders import read_config
from .fresh import build, shapes_alone, untrained
from .limits import QUANT_METHOD, SIZES, check_scores, most_tokens, own_quantisation
from .presets import is_preset, preset
from .recognition import recognise, says_its_network
from .sret import SReTAttention, SReTForImageClassification, SReTMLP

__all__ = [
    "QUANT_METHOD",
    "SIZES",
    "STRUCTURE",
    "SReTAttention",
    "SReTForImageClassification",
    "SReTMLP",
    "build",
    "check_decoder",
    "check_scores",
    "described",
    "from_config",
    "is_decoder",
    "is_preset",
    "load_pretrained",
    "model_classes",
    "model_config",
    "most_tokens",
    "own_quantisation",
    "preset",
    "read_config",
    "recognise",
    "says_its_network",
    "shapes_alone",
    "untrained",
]
