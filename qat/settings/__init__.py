"""What a run is: names, bit-widths, scales, options. No torch is loaded, so that command lines answer at once.

Read ``names``, ``imagestats``, ``ranges``, ``scheme`` (what is quantised to how many bits), ``recipes``, ``policies``,
``options``.
"""

from __future__ import annotations

from .imagestats import IMAGE_STATS_HELP, IMAGENET_STATS, Stats, read_image_stats
from .names import AUGMENTATIONS, DATA, METRIC_NAMES, PRESET_NAMES, ROTATIONS, check_metrics
from .options import Options, add_arguments, merge, read_config, recorded, typed, values_of_recipe
from .policies import policy_overrides, with_policy
from .ranges import GradientScale, check_bits, check_samples, code_range
from .scheme import Bits, Override, Scheme

__all__ = [
    "AUGMENTATIONS",
    "DATA",
    "IMAGENET_STATS",
    "IMAGE_STATS_HELP",
    "METRIC_NAMES",
    "PRESET_NAMES",
    "ROTATIONS",
    "Bits",
    "GradientScale",
    "Options",
    "Override",
    "Scheme",
    "Stats",
    "add_arguments",
    "check_bits",
    "check_metrics",
    "check_samples",
    "code_range",
    "merge",
    "policy_overrides",
    "read_config",
    "read_image_stats",
    "recorded",
    "typed",
    "values_of_recipe",
    "with_policy",
]
