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
from siliquant.inputs.errors import InputError

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
    "design_named",
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


def design_named(name: str) -> type[MacSpec]:
    """The design of that name. Raises ValueError where there is none."""
    for design in DESIGNS:
        if design.design == name:
            return design
    raise InputError(f"design must be one of {', '.join(design.design for design in DESIGNS)}, not {name!r}")
