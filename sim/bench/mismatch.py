"""What a simulation raises where the hardware does not answer as its model."""

from __future__ import annotations

__all__ = ["MismatchError"]


class MismatchError(AssertionError):
    """The hardware does not answer as its model."""
