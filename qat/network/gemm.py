"""The integer matrix products of a quantised network, one call at a time.

Every product of a quantised layer can be handed to an engine: integers in, accumulators out.  `exact_product` is the
reference; a simulation of hardware can take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from siliquant.inputs import InputError

__all__ = ["Engine", "Product", "exact_product", "exact_sums"]


@dataclass(frozen=True, eq=False)
class Product:
    """One integer product of `name`: accumulators[..., m, n] = sum over k of left[..., m, k] * right[..., n, k].

    Args:
        name: of the GEMM in the model.
        part: which head, where a GEMM is computed head by head (scales along the reduction, widths that differ);
            None where it is computed at once.
        left: activations (first operand), int64 [..., M, K].
        right: weights or second operand, int64 [..., N, K]; leading axes broadcast.
        left_bits, left_signed, right_bits, right_signed: their precision; 1 signed bit is {-1, +1}, 1 unsigned {0, 1}.
    """

    name: str
    part: int | None
    left: Tensor
    right: Tensor
    left_bits: int
    left_signed: bool
    right_bits: int
    right_signed: bool


Engine = Callable[[Product], Tensor]


def exact_product(product: Product) -> Tensor:
    """The accumulators, int64, exact as `exact_sums` computes them: at 8 x 8 bits up to a reduction of 2**37 terms."""
    bits = product.left_bits, product.right_bits
    return exact_sums(product.name, product.left, product.right, *bits).to(torch.int64)


def exact_sums(name: str, left: Tensor, right: Tensor, left_bits: int, right_bits: int) -> Tensor:
    """Sum over k of left[..., m, k] * right[..., n, k] for codes (of any dtype), exact whatever multiplies them.

    As floats: float32 where every sum of magnitudes is at most 2**24, else float64. Every partial sum is an integer
    that the type holds, so neither the order of the additions nor the processor can change a bit; and codes of at most
    8 bits are held by the short types that some processors round float32 operands to (bfloat16, TF32).
    Raises ValueError where a sum may reach 2**53.
    """
    bound = left.shape[-1] * 2 ** (left_bits + right_bits)
    if bound >= 2**53:
        raise InputError(f"{name} must have sums below 2**53 to be exact, not up to {bound}")
    single = bound <= 2**24 and max(left_bits, right_bits) <= 8
    kind = torch.float32 if single else torch.float64
    with torch.autocast(left.device.type, enabled=False):
        return torch.matmul(left.to(kind), right.to(kind).transpose(-1, -2))
