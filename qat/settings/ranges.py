"""Bit-widths and ranges of codes, and the rules for gradients of scales: what quantisers and command lines share."""

from __future__ import annotations

from enum import Enum

from siliquant.inputs import InputError, InputTypeError, short

__all__ = ["GradientScale", "check_bits", "check_samples", "code_range"]

_MOST_SAMPLES = 1 << 16
"""Samples of a verification, which are all in memory, at most."""


class GradientScale(Enum):
    """What the gradient of a scale is multiplied by.

    LSQ: 1 / sqrt(N * Qp), N elements in the group (Esser et al., section 2.2).
    L1: 1 / sqrt(Qp * ||x||_1) of the group's own elements (module-dependent quantisation; the released code).
    NONE: 1.
    For activations N and the norm are those of one sample, measured when the scales are calibrated.
    AdamW divides a constant factor out again; what stays of it is its part in the clipped gradient norm.
    """

    NONE = "none"
    LSQ = "lsq"
    L1 = "l1"


def check_bits(bits: int, name: str = "bits", lowest: int = 2) -> int:
    """`bits`, if it is an integer from `lowest` to 8; else TypeError or ValueError."""
    if isinstance(bits, bool) or not isinstance(bits, int):
        raise InputTypeError(f"{name} must be an integer from {lowest} to 8, not {bits!r}")
    if not lowest <= bits <= 8:
        raise InputError(f"{name} must be an integer from {lowest} to 8, not {bits}")
    return bits


def check_samples(samples: int) -> None:
    """Raises InputError where there are no samples, or more than fit into memory."""
    if samples < 1:
        raise InputError(f"samples must be at least 1, not {samples}")
    if samples > _MOST_SAMPLES:
        raise InputError(f"samples must be at most {_MOST_SAMPLES}, not {short(samples)}")


def code_range(bits: int, signed: bool) -> tuple[int, int]:
    """Qn and Qp: -2^(b-1) .. 2^(b-1)-1 (two's complement), or 0 .. 2^b-1; at one bit {-1, +1} or {0, 1}.

    >>> code_range(3, signed=True), code_range(3, signed=False)
    ((-4, 3), (0, 7))
    """
    check_bits(bits, lowest=1)
    if bits == 1:
        return (-1, 1) if signed else (0, 1)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
