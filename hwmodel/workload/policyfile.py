"""Assignments in files: what ``siliquant policy --out`` writes, and ``--policy`` of training and latency reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from siliquant.inputs import InputError, belongs, policy_text, policy_widths, short

from .assignment import Assignment
from .widths import Mean, Pair, Width, mean_text, pair_or_one, parts_of
from .workload import Gemm, PrecisionClass, Workload

__all__ = ["assignment_text", "read_assignment"]


def assignment_text(found: Assignment, source: str) -> str:
    """The file of an assignment. source: where the sensitivities come from, in words."""
    about = {"network": found.workload.name, "mean_bits": mean_text(found.mean_bits), "sensitivity": source}
    return policy_text({name: parts_of(bits) for name, bits in found.bits}, about)


def read_assignment(path: Path, workload: Workload) -> Assignment:
    """The assignment in a file of :func:`assignment_text`, for all GEMMs of a workload; its mean is that of what lies
    between the first and last layers, and it has no harm.

    Raises ValueError, with the file and the GEMM, where the file is not one, or not of these GEMMs.
    """
    widths: dict[str, Width] = {name: pair_or_one(*bits) for name, bits in policy_widths(path).items()}
    names = list(dict.fromkeys(gemm.name for gemm in workload.gemms))
    with belongs(path, f"a policy for {workload.name}"):
        if missing := [name for name in names if name not in widths]:
            raise InputError(f"it must have the widths of all its GEMMs, and lacks {short(missing[0])}")
        if unknown := sorted(widths.keys() - set(names)):
            raise InputError(f"its GEMMs must be those of that network, which has no {short(unknown[0])}")
        for gemm in workload.gemms:
            width = widths[gemm.name]
            if isinstance(width, Pair) and not gemm.static:
                raise InputError(f"{short(gemm.name)} must have one width, not {width}: it multiplies two activations")
    return Assignment(workload, tuple((name, widths[name]) for name in names), _mean(workload, widths), None)


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
