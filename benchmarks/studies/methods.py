"""What is compared: the paper's baseline, its remedies one by one and together, and ingredients of other methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["METHODS", "Method"]

_LSQ = ("--gradient-scale", "lsq")
_CROPS = ("--soft-labels", "{soft}")
_OBR = ("--obr", "0.01")
_OURS = (
    "--granularity",
    "tensor",
    *_LSQ,
)  # LSQ with our starts and relative steps of scales: what each ingredient is added to


@dataclass(frozen=True)
class Method:
    """A set of options. title: as tables call it. arguments: of qat.train; ``{soft}`` stands for the store of soft
    labels. remedy: whether it is of the paper: these are trained at all widths, others at 2 bits. module: what trains.
    """

    title: str
    arguments: tuple[str, ...]
    remedy: bool = True
    module: str = "qat.train"

    @property
    def distils(self) -> bool:
        """Whether it needs soft labels."""
        return "{soft}" in self.arguments


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "plain": Method("LSQ as published", ("--recipe", "lsq")),
        "lsq": Method("LSQ, our starts and steps", _OURS),
        "head": Method("+ a scale a head", _LSQ),
        "mdq": Method("+ a scale a head, gradient scaling (MDQ)", ()),
        "obr": Method("+ bin regulariser (OBR)", (*_OURS, *_OBR)),
        "mckd": Method("+ multi-crop distillation (MCKD)", (*_OURS, *_CROPS)),
        "all": Method("all three", (*_OBR, *_CROPS)),
        "statsq": Method("+ statistical weight scales", (*_OURS, "--weight-scale", "statsq"), remedy=False),
        "cga": Method("+ confidence-guided annealing", (*_OURS, "--cga", "2"), remedy=False),
        "fourier": Method("+ Fourier surrogate", (*_OURS, "--surrogate", "fourier"), remedy=False),
        "qkr": Method("+ product of query and key (QKR)", (*_OURS, "--query-key", "reparameterised"), remedy=False),
        "ofq": Method(
            "OFQ's three, integer codes",
            ("--weight-scale", "statsq", "--granularity", "channel", "--query-key", "reparameterised", "--cga", "2"),
            remedy=False,
        ),
        "rotate": Method(
            "+ Hadamard rotations",
            (*_OURS, "--rotate", "values", "--rotate", "queries", "--rotate", "residual"),
            remedy=False,
        ),
        "brevitas": Method("Brevitas, learned scales", _OURS, remedy=False, module="benchmarks.studies.brevitas"),
    }
)
"""By short name, in the order of tables; those with + are LSQ with our starts and steps and what is said."""
