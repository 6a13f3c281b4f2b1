"""How much memory the keys and values of a decoder's tokens take, which a token to come reads again."""

from __future__ import annotations

from collections.abc import Mapping

from siliquant.inputs import InputError

from .assignment import Assignment
from .widths import parts_of
from .workload import Role

__all__ = ["PHASES", "cache_bits"]

PHASES = ("prefill", "decode")
"""Of a decoder: all tokens of a text at once, or one with a cache of those before."""


def cache_bits(assignment: Assignment) -> Mapping[Role, int]:
    """Bits of the keys (SCORES) and of the values (CONTEXT) of all tokens and layers, as those products read them:
    packed codes, one a feature of each head of keys and values. Empty for a network without a cache, which is one whose
    workload says no phase of PHASES.

    Raises ValueError where a layer has scores or a context, and no key or value.
    """
    workload = assignment.workload
    if workload.provenance.get("phase") not in PHASES:
        return {}
    features: dict[tuple[Role, int | None], int] = {
        (gemm.role, gemm.layer): gemm.n for gemm in workload.gemms if gemm.role in (Role.KEY, Role.VALUE)
    }
    found = {Role.SCORES: 0, Role.CONTEXT: 0}
    for gemm in workload.gemms:
        if gemm.role not in found:
            continue
        kept, tokens = (Role.KEY, gemm.n) if gemm.role is Role.SCORES else (Role.VALUE, gemm.k)
        if (kept, gemm.layer) not in features:
            raise InputError(f"{gemm.name} must have a {kept.value} in its layer, whose outputs are in the cache")
        found[gemm.role] += tokens * features[kept, gemm.layer] * parts_of(assignment.of(gemm))[1]
    return found
