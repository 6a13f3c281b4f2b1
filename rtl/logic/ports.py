"""Ports of generated modules."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Port"]


@dataclass(frozen=True)
class Port:
    """One port of a generated module: an unsigned vector whose bits ``packing`` explains."""

    name: str
    width: int
    is_input: bool
    packing: str
