"""The integer matrix products of a quantised network, one call at a time.

Every product of a quantised layer can be handed to an engine: integers in, accumulators out.  `exact_product` is the
reference; a simulation of hardware can take its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from siliquant.errors import InputError

__all__ = ["Engine", "Product", "exact_product"]


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
    """The accumulators, int64, exact.

    Computed by the float64 matrix product, which is exact as long as no sum of magnitudes reaches 2**53: at 8 x 8 bits
    that is a reduction of 2**37 terms.
    """
    bound = product.left.shape[-1] * 2 ** (product.left_bits + product.right_bits)
    if bound >= 2**53:
        raise InputError(f"{product.name} must have sums below 2**53 to be exact, not up to {bound}")
    result = torch.matmul(product.left.double(), product.right.double().transpose(-1, -2))
    return result.to(torch.int64)
