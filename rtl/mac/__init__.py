"""The MAC designs, one file each. A new one is added to :data:`DESIGNS` and nowhere else."""

from __future__ import annotations

from rtl.mac.bitblade import BitBladeSpec
from rtl.mac.bitfusion import BitFusionSpec
from rtl.mac.bitserial import BitSerialSpec
from rtl.mac.loom import LoomSpec
from rtl.mac.padded import PaddedSpec
from rtl.mac.subword import SubwordSpec
from rtl.mac.uniform import UniformSpec
from rtl.mac.xnor import XnorSpec
from rtl.spec.mac import MacSpec

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
