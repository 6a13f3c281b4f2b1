"""Hadamard matrices: entries of one size, +1 or -1, and orthogonal rows."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor

from siliquant.inputs import InputError

__all__ = ["hadamard", "mean_keeping_rotation", "rotation"]


def hadamard(size: int) -> Tensor:
    """float64 [size, size] of +1 and -1, with rows orthogonal to each other; all of the first row is +1.

    Of the powers of two by Sylvester's construction, and of these times q + 1 by Paley's first one, with a prime q = 3
    mod 4: 12, 20, 24, 40, 44, 48, 60, 68, 72, 80, 84, 88 and 96 below 100.  InputError for every other size: 28, 36,
    52, 56, 76 and 92 have matrices too, by constructions that are not made here.

    >>> hadamard(4).int().tolist()
    [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    twos, rest = 1, size
    while rest > 1 and rest % 2 == 0 and not _of_paley(rest):
        twos, rest = twos * 2, rest // 2
    if rest != 1 and not _of_paley(rest):
        raise InputError(
            f"there must be a Hadamard matrix of a size that is rotated, but none is known here for {size}"
        )
    made = _paley(rest) if rest > 1 else torch.ones(1, 1, dtype=torch.float64)
    two = torch.tensor([[1, 1], [1, -1]], dtype=torch.float64)
    while twos > 1:
        made, twos = torch.kron(two, made), twos // 2
    return made


def rotation(size: int, generator: torch.Generator) -> Tensor:
    """float64 [size, size], orthogonal: a Hadamard matrix over sqrt(size) with random signs of its columns, as QuaRot's
    (Ashkboos et al., NeurIPS 2024).
    """
    return hadamard(size) * _signs(size, generator) / size**0.5


def mean_keeping_rotation(size: int, generator: torch.Generator) -> Tensor:
    """float64 [size, size], orthogonal, with Q 1 = 1: it changes neither mean nor variance of a vector.

    Q = H^T diag(1, random signs) H / size: H takes the ones to the first axis, which keeps its sign.
    """
    made = hadamard(size)
    signs = _signs(size, generator)
    signs[0] = 1.0
    return made.T @ (signs.view(-1, 1) * made) / size


def _signs(size: int, generator: torch.Generator) -> Tensor:
    return 2.0 * torch.randint(0, 2, (size,), generator=generator, dtype=torch.int64).double() - 1.0


def _of_paley(size: int) -> bool:
    """Whether size - 1 is a prime that is 3 mod 4. Not of powers of two (4, 8, 32: 3, 7 and 31 are such primes), which
    are Sylvester's.
    """
    q = size - 1
    return size % 4 == 0 and size & q != 0 and all(q % d for d in range(2, isqrt(q) + 1))


def _paley(size: int) -> Tensor:
    """I + S, with S of the squares modulo the prime size - 1 (Paley's first construction)."""
    q = size - 1
    squares = {i * i % q for i in range(1, q)}
    character = torch.tensor([0.0] + [1.0 if i in squares else -1.0 for i in range(1, q)], dtype=torch.float64)
    index = torch.arange(q)
    made = torch.ones(size, size, dtype=torch.float64)
    made[1:, 0] = -1.0
    made[1:, 1:] = character[(index.view(-1, 1) - index) % q] + torch.eye(q, dtype=torch.float64)
    return made
