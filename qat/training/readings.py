"""Numbers that training steps compute and the program looks at: losses, norms of gradients, right answers.

On the CPU a number is read as soon as it is there. On CUDA to read one is to wait for all that the GPU was told to do:
numbers stay there, and those of several steps are read at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["LATE_STEPS", "Readings"]

LATE_STEPS = 16
"""Steps on CUDA whose numbers are read together: a loss that is not finite ends a run at most so many steps later."""


class Readings:
    """Numbers that wait to be read, and what is done with them then, in the order of `take`."""

    def __init__(self, device: torch.device) -> None:
        self._late = LATE_STEPS if device.type == "cuda" else 0
        self._waiting: list[tuple[Tensor, Callable[[float], None]]] = []
        self._steps = 0

    def take(self, value: Tensor, use: Callable[[float], None]) -> None:
        """Calls `use` with the only element of `value`, now or with those of later steps; it may raise."""
        if self._late:
            self._waiting.append((value.detach().double(), use))
        else:
            use(float(value.detach()))

    def end_step(self) -> None:
        """Reads what waits, where that is of enough steps."""
        self._steps += 1
        if self._steps >= self._late:
            self.settle()

    def settle(self) -> None:
        """Reads all that waits: before anything is saved or reported as a result."""
        waiting, self._waiting, self._steps = self._waiting, [], 0
        if waiting:
            for number, (_, use) in zip(torch.stack([value for value, _ in waiting]).tolist(), waiting, strict=True):
                use(number)
