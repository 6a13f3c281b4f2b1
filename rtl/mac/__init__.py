"""The MAC designs, one file each. A new one is added to ``DESIGNS`` and nowhere else.

Read ``uniform`` and ``bitserial`` first; ``bricks`` and ``scalable`` are what several designs share.
"""

from __future__ import annotations

from rtl.spec import MacSpec
from siliquant.inputs import InputError

from .bitblade import BitBladeSpec
from .bitfusion import BitFusionSpec
from .bitserial import BitSerialSpec
from .dc1d import Dc1dSpec
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
    "Dc1dSpec",
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
    Dc1dSpec,
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
