"""GEMM lists of whole networks: what one inference multiplies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from rtl.spec import check_integer
from siliquant.inputs import InputError, InputTypeError, short

__all__ = [
    "MOST",
    "Gemm",
    "Module",
    "PrecisionClass",
    "Requantisation",
    "Role",
    "Scales",
    "Workload",
]

MOST = 1 << 31
"""Of a dimension, a count, a layer's number."""
_MOST_NAME = 1000
_MOST_MACS = 1 << 50  # of an inference: what is counted of it fits 64 bits


class Module(Enum):
    """The part of a network that a GEMM belongs to."""

    MHSA = "MHSA"
    FFN = "FFN"
    OTHER = "other"


class Role(Enum):
    """What a GEMM does in its network.

    PROJECTION_FC1, PROJECTION_FC2: the non-linear projection of SReT after each application of a block. GATE, UP, DOWN:
    the FFN of a decoder, LM_HEAD its last layer. UNKNOWN: not said, in a list of one's own.
    """

    PATCH_EMBEDDING = "patch_embedding"
    STEM = "stem"
    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    SCORES = "scores"
    CONTEXT = "context"
    PROJECTION = "projection"
    FC1 = "fc1"
    FC2 = "fc2"
    PROJECTION_FC1 = "projection_fc1"
    PROJECTION_FC2 = "projection_fc2"
    GATE = "gate"
    UP = "up"
    DOWN = "down"
    DOWNSAMPLING = "downsampling"
    POOLER = "pooler"
    CLASSIFIER = "classifier"
    LM_HEAD = "lm_head"
    UNKNOWN = "unknown"

    @property
    def module(self) -> Module:
        """The part of the network it belongs to."""
        if self in _MHSA:
            return Module.MHSA
        return Module.FFN if self in _FFN else Module.OTHER


_MHSA = frozenset({Role.QUERY, Role.KEY, Role.VALUE, Role.SCORES, Role.CONTEXT, Role.PROJECTION})
_FFN = frozenset({
    Role.FC1, Role.FC2, Role.PROJECTION_FC1, Role.PROJECTION_FC2, Role.GATE, Role.UP, Role.DOWN
})  # fmt: skip


class PrecisionClass(Enum):
    """Whose width a GEMM has: ENDS are the first and last layers (patch embedding, stem and other convolutions,
    pooler, classifier, lm_head), which stay at 8 bits; BODY is everything between.
    """

    ENDS = "ends"
    BODY = "body"


class Scales(Enum):
    """How many scales activations and weights have.

    TENSOR: one a tensor. HEAD: one a head in attention, but one for the input of the output projection.
    HEAD_REDUCED: there one a head, too, along the sums: each head's part is then a GEMM of its own, and partial sums
    are rescaled and added.
    """

    TENSOR = "tensor"
    HEAD = "head"
    HEAD_REDUCED = "head-reduced"


@dataclass(frozen=True)
class Requantisation:
    """What follows a GEMM whose sums become codes of another with nothing between: ``outputs`` sums of all its
    matrices, with ``scales`` different scales; ``parameter_sets`` are those of one matrix, at a drain that folds bias
    and scale of each output channel into one set.
    """

    outputs: int
    scales: int
    parameter_sets: int


@dataclass(frozen=True, kw_only=True)
class Gemm:
    """One call of one GEMM: ``count`` products of M x K activations by K x N weights (or a second operand).

    name: in the network; calls of one name share their weights. layer: number of its block, None outside of blocks.
    call: 0 for the first use of the name. heads: of the attention it belongs to, else 1; of keys and values, which
    queries may share, their own. head: which of the heads it is the part of, where the parts of a GEMM are GEMMs of
    their own, whose name ends in it (:func:`hwmodel.workload.heads.by_head`); else None. activation_signed: of the
    first operand; the second is signed. static: the second operand is a weight. feeds_gemm: its sums become codes of
    another GEMM with nothing between; else layer norm, softmax, GELU or a residual comes first.
    """

    name: str
    role: Role
    layer: int | None
    call: int
    m: int
    k: int
    n: int
    count: int
    heads: int
    precision_class: PrecisionClass
    activation_signed: bool
    static: bool
    bias: bool
    feeds_gemm: bool
    head: int | None = None

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        for field, kind in (("role", Role), ("precision_class", PrecisionClass)):
            if not isinstance(getattr(self, field), kind):
                raise InputTypeError(f"{field} must be a {kind.__name__}, not {getattr(self, field)!r}")
        for field in ("layer", "head"):
            if getattr(self, field) is not None:
                check_integer(field, getattr(self, field), 0, MOST)
        check_integer("call", self.call, 0, MOST)
        for field in ("m", "k", "n", "count", "heads"):
            check_integer(field, getattr(self, field), 1, MOST)
        for field in ("activation_signed", "static", "bias", "feeds_gemm"):
            if not isinstance(getattr(self, field), bool):
                raise InputTypeError(f"{field} must be a bool, not {getattr(self, field)!r}")
        if self.role is Role.PROJECTION and self.k % self.heads:
            raise InputError(f"k must be a multiple of the {self.heads} heads of a projection, not {self.k}")

    @property
    def macs(self) -> int:
        """Products of the whole call."""
        return self.m * self.k * self.n * self.count

    @property
    def outputs(self) -> int:
        """Sums of the whole call."""
        return self.m * self.n * self.count

    def products(self, scales: Scales) -> tuple[int, int, int, int]:
        """(M, K, N, matrices) as the array gets them: with HEAD_REDUCED a projection is cut by head along its sums."""
        if scales is Scales.HEAD_REDUCED and self.role is Role.PROJECTION:
            return self.m, self.k // self.heads, self.n, self.count * self.heads
        return self.m, self.k, self.n, self.count

    def requantisation(self, scales: Scales) -> Requantisation | None:
        """What follows its sums, None where that is not the next GEMM."""
        if not self.feeds_gemm:
            return None
        # A context product is computed head by head and has no bias: one set a matrix.
        sets = self.n if self.static else 1
        return Requantisation(self.outputs, 1 if scales is Scales.TENSOR else self.heads, sets)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The GEMMs of one inference in order of execution, and where the list comes from (``provenance``)."""

    name: str
    gemms: tuple[Gemm, ...]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        if not self.gemms:
            raise InputError(f"a workload must have at least one GEMM, and {self.name} has none")
        calls: dict[str, list[Gemm]] = {}
        for gemm in self.gemms:
            earlier = calls.setdefault(gemm.name, [])
            if gemm.call != len(earlier):
                raise InputError(f"call of {gemm.name} must be {len(earlier)}, not {gemm.call}")
            if earlier:
                _check_again(gemm, earlier[0])
            earlier.append(gemm)
        if self.macs > _MOST_MACS:
            raise InputError(f"a workload must have at most {_MOST_MACS} MACs, and {self.name} has {short(self.macs)}")

    def __hash__(self) -> int:
        return hash((self.name, self.gemms))

    @cached_property
    def macs(self) -> int:
        """Products of one inference."""
        return sum(gemm.macs for gemm in self.gemms)

    @cached_property
    def weights(self) -> int:
        """Static weights, each name once."""
        return sum(gemm.n * gemm.k * gemm.count for gemm in self.gemms if gemm.static and gemm.call == 0)

    def longest_sum(self, scales: Scales = Scales.HEAD) -> int:
        """Products of the longest sums, as an array gets them."""
        return max(gemm.products(scales)[1] for gemm in self.gemms)

    def macs_by_role(self) -> dict[Role, int]:
        """Products by role, in order of execution."""
        found: dict[Role, int] = {}
        for gemm in self.gemms:
            found[gemm.role] = found.get(gemm.role, 0) + gemm.macs
        return found

    def macs_by_class(self) -> dict[PrecisionClass, int]:
        """Products by precision class."""
        return {kind: sum(gemm.macs for gemm in self.gemms if gemm.precision_class is kind) for kind in PrecisionClass}


def _check_again(gemm: Gemm, first: Gemm) -> None:
    """Calls of one name are of one layer: of one precision class and, where they have weights, with the same ones."""
    names = ["role", "precision_class", "static", *(("k", "n", "count") if first.static else ())]
    for name in names:
        found, wanted = getattr(gemm, name), getattr(first, name)
        if found != wanted:
            raise InputError(
                f"calls of {gemm.name} must be of one layer, but {name} of call {gemm.call} is {_shown(found)}, and "
                f"{_shown(wanted)} of the first"
            )


def _shown(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value or len(value) > _MOST_NAME:
        raise InputTypeError(f"{field} must be a text of at most {_MOST_NAME} characters, not {short(value)}")
    if not value.isprintable():
        raise InputError(f"{field} must have no control characters, as {short(value)} has")
