"""Integer codes packed densely into bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qat.settings import check_bits
from siliquant.inputs import InputError

__all__ = ["pack", "unpack"]


def pack(codes: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """`codes` in row-major order, `bits` (1 to 8) each, least significant bit first, the last byte filled with zeros.

    Two's complement for negative codes; at one bit -1 and 0 are stored as 0, +1 as 1.
    ValueError for a code that no quantiser of this width has.
    """
    check_bits(bits, lowest=1)
    flat = codes.reshape(-1)
    low, high = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << bits) - 1)
    if (outside := flat[(flat < low) | (flat > high)]).size:
        raise InputError(f"codes of {bits} bits must be from {low} to {high}, not {outside[0]}")
    fields = (flat > 0 if bits == 1 else flat & ((1 << bits) - 1)).astype(np.uint8)
    planes = (fields[:, None] >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little")


def unpack(packed: NDArray[np.uint8], bits: int, shape: tuple[int, ...], *, signed: bool) -> NDArray[np.int64]:
    """The codes that `pack` was given, in `shape`.  ValueError when there are too few or too many bytes."""
    check_bits(bits, lowest=1)
    count = int(np.prod(shape))
    if packed.size != -(-count * bits // 8):
        raise InputError(f"{count} codes of {bits} bits must take {-(-count * bits // 8)} bytes, not {packed.size}")
    planes = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    fields = (planes.astype(np.int64) << np.arange(bits)).sum(1)
    if bits == 1:
        codes = fields * 2 - 1 if signed else fields
    else:
        codes = fields - ((fields >> (bits - 1)) << bits) if signed else fields
    return codes.reshape(shape)
