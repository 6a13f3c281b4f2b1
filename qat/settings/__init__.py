"""TODO"""

from __future__ import annotations

from .names import DATA, PRESET_NAMES
from .options import Options, add_arguments, merge, read_config, typed
from .ranges import GradientScale, check_bits, code_range
from .scheme import Bits, Scheme

__all__ = [
    "DATA",
    "PRESET_NAMES",
    "Bits",
    "GradientScale",
    "Options",
    "Scheme",
    "add_arguments",
    "check_bits",
    "code_range",
    "merge",
    "read_config",
    "typed",
]
