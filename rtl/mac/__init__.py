"""The MAC designs, one file each. A new one is added to :data:`DESIGNS` and nowhere else."""

from __future__ import annotations

from ..spec import MacSpec
from .bitblade import BitBladeSpec
from .bitfusion import BitFusionSpec
from .bitserial import BitSerialSpec
from .loom import LoomSpec
from .padded import PaddedSpec
from .subword import SubwordSpec
from .uniform import UniformSpec
from .xnor import XnorSpec

__all__ = [
    "DESIGNS",
    "BitBladeSpec",
    "BitFusionSpec",
    "BitSerialSpec",
    "LoomSpec",
    "PaddedSpec",
    "SubwordSpec",
    "UniformSpec",
    "XnorSpec",
]

DESIGNS: tuple[type[MacSpec], ...] = (
    UniformSpec,
    PaddedSpec,
    SubwordSpec,
    BitFusionSpec,
    BitBladeSpec,
    BitSerialSpec,
    LoomSpec,
    XnorSpec,
)
