"""Assignments in files: what ``siliquant policy --out`` writes, and ``--policy`` of training and latency reads.

A file names whole GEMMs. Where the heads of one have different widths, it has a list of these, one a head, for weights
and for activations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from siliquant.inputs import Bits, InputError, belongs, policy_text, policy_widths, short

from .assignment import Assignment
from .heads import joined, of_whole
from .widths import Mean, Pair, Width, mean_text, pair_or_one, parts_of
from .workload import Gemm, PrecisionClass, Workload

__all__ = ["assignment_text", "read_assignment"]


def assignment_text(found: Assignment, source: str) -> str:
    """The file of an assignment. source: where the sensitivities come from, in words."""
    about = {"network": found.workload.name, "mean_bits": mean_text(found.mean_bits), "sensitivity": source}
    return policy_text({name: _operands(widths) for name, widths in of_whole(found).items()}, about)


def _operands(widths: Sequence[Width]) -> tuple[Bits, Bits]:
    """Of weights and of activations: one number where there is one."""
    if len(widths) == 1:
        return parts_of(widths[0])
    weights, activations = zip(*map(parts_of, widths), strict=True)
    return weights, activations


def read_assignment(path: Path, workload: Workload) -> Assignment:
    """The assignment in a file of :func:`assignment_text`, for all GEMMs of a workload; its mean is that of what lies
    between the first and last layers, and it has no harm. Where the heads of a GEMM have different widths, they are
    GEMMs of their own in the assignment's workload (:mod:`hwmodel.workload.heads`).

    Raises ValueError, with the file and the GEMM, where the file is not one, or not of these GEMMs.
    """
    widths = {name: _width(*bits) for name, bits in policy_widths(path).items()}
    names = list(dict.fromkeys(gemm.name for gemm in workload.gemms))
    with belongs(path, f"a policy for {workload.name}"):
        if missing := [name for name in names if name not in widths]:
            raise InputError(f"it must have the widths of all its GEMMs, and lacks {short(missing[0])}")
        if unknown := sorted(widths.keys() - set(names)):
            raise InputError(f"its GEMMs must be those of that network, which has no {short(unknown[0])}")
        for gemm in workload.gemms:
            given = widths[gemm.name]
            for width in given if isinstance(given, tuple) else (given,):
                if isinstance(width, Pair) and not gemm.static:
                    raise InputError(
                        f"{short(gemm.name)} must have one width, not {width}: it multiplies two activations"
                    )
        cut, bits = joined(workload, widths)
    return Assignment(cut, bits, _mean(cut, dict(bits)), None)


def _width(weights: Bits, activations: Bits) -> Width | tuple[Width, ...]:
    if isinstance(weights, tuple) and isinstance(activations, tuple):
        return tuple(map(pair_or_one, weights, activations))
    assert isinstance(weights, int)  # a file has both or none by head
    assert isinstance(activations, int)
    return pair_or_one(weights, activations)


def _mean(workload: Workload, widths: Mapping[str, Width]) -> Mean:
    """One mean where each GEMM has one width; else that of weights, where there are some, and that of activations."""
    body = [gemm for gemm in workload.gemms if gemm.precision_class is PrecisionClass.BODY]

    def mean(operand: int, gemms: Sequence[Gemm]) -> Fraction:
        total = sum(gemm.macs for gemm in gemms)
        return Fraction(sum(gemm.macs * parts_of(widths[gemm.name])[operand] for gemm in gemms), total)

    activations = mean(1, body)
    if not any(isinstance(widths[gemm.name], Pair) for gemm in body):
        return activations
    return pair_or_one(mean(0, [gemm for gemm in body if gemm.static]), activations)
