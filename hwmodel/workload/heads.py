"""Widths by head: the GEMMs of attention cut into their heads, each of which is a GEMM with a width of its own.

Of query, key and value a head is a slice of the output features, with its rows of the weight; of scores and context it
is a matrix. The output projection reads all heads at once: what it reads is quantised to its own width, so it stays
whole. Hardware computes heads of different widths as products of their own, and heads of one width together, as the
simulated array does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from siliquant.inputs import InputError, short

from .assignment import Assignment, assign
from .cache import PHASES
from .sensitivity import SensitivityTable
from .widths import Mean, Width
from .workload import Gemm, Role, Workload

__all__ = ["HEAD_ROLES", "assign_by_head", "by_head", "heads_of", "joined", "of_whole"]

HEAD_ROLES = (Role.QUERY, Role.KEY, Role.VALUE, Role.SCORES, Role.CONTEXT)
"""Of the GEMMs that have heads."""
_LEAST = 2  # bits: codes of one bit of single heads are not trained


def by_head(workload: Workload) -> Workload:
    """The workload with a GEMM for each head of query, key, value, scores and context, called ``NAME, head H``.

    Raises ValueError where no GEMM has several heads, for a decoder, whose heads of queries share keys and values, and
    where heads do not cut a GEMM into equal parts.
    """
    _check(workload)
    gemms = [part for gemm in workload.gemms for part in _parts(gemm)]
    if len(gemms) == len(workload.gemms):
        raise InputError(f"{workload.name} must have a GEMM of several heads for widths by head, and has none")
    return replace(workload, gemms=tuple(gemms))


def _check(workload: Workload) -> None:
    if workload.provenance.get("phase") in PHASES:
        raise InputError(f"widths by head must be those of a network that is no decoder, as {workload.name} is")


def heads_of(gemm: Gemm) -> int:
    """How many parts with a width of their own a GEMM has; 1 where it has no heads."""
    return gemm.heads if gemm.role in HEAD_ROLES else 1


def _parts(gemm: Gemm) -> list[Gemm]:
    heads = heads_of(gemm)
    if heads == 1:
        return [gemm]
    cut = "n" if gemm.static else "count"
    size = getattr(gemm, cut)
    if size % heads:
        raise InputError(f"{cut} of {short(gemm.name)} must be a multiple of its {heads} heads, not {size}")
    return [
        replace(gemm, name=_name(gemm.name, head), heads=1, head=head, **{cut: size // heads}) for head in range(heads)
    ]


def _name(name: str, head: int) -> str:
    return f"{name}, head {head}"


def assign_by_head(
    workload: Workload,
    mean_bits: Mean | float,
    widths: Sequence[int],
    *,
    sensitivity: SensitivityTable,
    activation_widths: Sequence[int] | None = None,
    above: Fraction | float = 0,
    count_ends: bool = False,
) -> Assignment:
    """Widths as :func:`hwmodel.workload.assign` finds them, of each head of query, key, value, scores and context
    apart, and of all other GEMMs, over all of these at once: exact, or with the rounding said there where a network has
    many heads, as DeiT-B has. The workload of what is returned has the heads of a GEMM as GEMMs of their own where
    their widths differ.

    sensitivity: with rows of heads. Raises ValueError as `assign` and `by_head`, for a table without those rows, and
    for widths of 1 bit, which networks have for whole GEMMs only.
    """
    if least := [bits for bits in (*widths, *(activation_widths or ())) if bits == 1]:
        raise InputError(f"widths by head must be from {_LEAST} to 8 bits, not {least[0]}")
    found = assign(
        by_head(workload), mean_bits, widths, activation_widths=activation_widths, sensitivity=sensitivity, above=above,
        count_ends=count_ends,
    )  # fmt: skip
    parts: dict[str, Width | tuple[Width, ...]] = {}
    for gemm in workload.gemms:
        heads = heads_of(gemm)
        parts[gemm.name] = (
            found.by_name[gemm.name]
            if heads == 1
            else tuple(found.by_name[_name(gemm.name, head)] for head in range(heads))
        )
    cut, bits = joined(workload, parts)
    return Assignment(cut, bits, found.mean_bits, found.harm)


def joined(
    workload: Workload, widths: Mapping[str, Width | tuple[Width, ...]]
) -> tuple[Workload, tuple[tuple[str, Width], ...]]:
    """The workload, with a GEMM for each head where the widths of heads differ, and the width of each by name.

    widths: by name of the whole GEMM, of all of them; a tuple has one a head. Raises ValueError as `by_head`, and for a
    tuple of a GEMM that has another number of heads.
    """
    gemms: list[Gemm] = []
    bits: dict[str, Width] = {}
    for gemm in workload.gemms:
        width = widths[gemm.name]
        if isinstance(width, tuple):
            heads = heads_of(gemm)
            if heads == 1:
                raise InputError(f"{short(gemm.name)} must have one width, not one a head: it has no heads")
            if len(width) != heads:
                raise InputError(f"{short(gemm.name)} must have widths for its {heads} heads, not for {len(width)}")
            if len(set(width)) > 1:
                gemms += (parts := _parts(gemm))
                bits |= {part.name: each for part, each in zip(parts, width, strict=True)}
                continue
            width = width[0]
        gemms.append(gemm)
        bits[gemm.name] = width
    if len(gemms) > len(workload.gemms):
        _check(workload)
    return replace(workload, gemms=tuple(gemms)), tuple(bits.items())


def of_whole(assignment: Assignment) -> dict[str, tuple[Width, ...]]:
    """The widths by name of the whole GEMM: one, or one for each head, in order."""
    found: dict[str, list[Width]] = {}
    seen: set[str] = set()
    for gemm in assignment.workload.gemms:
        if gemm.name in seen:
            continue
        seen.add(gemm.name)
        whole = gemm.name if gemm.head is None else gemm.name.removesuffix(_name("", gemm.head))
        found.setdefault(whole, []).append(assignment.of(gemm))
    return {name: tuple(widths) for name, widths in found.items()}
