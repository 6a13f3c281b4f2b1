"""What must be seen on the outputs of a module, and the first difference from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Want", "first_difference"]


@dataclass(frozen=True)
class Want:
    """Bits ``low`` and up of a port have this value, ``width`` of them (0: all of the port). label: what they are."""

    port: str
    value: int
    low: int = 0
    width: int = 0
    label: str = ""


def first_difference(wanted: Sequence[Sequence[Want]], seen: Sequence[Mapping[str, str]]) -> str | None:
    """A sentence on the first cycle in which something is not as it is wanted; None where there is none.

    seen: the bits of each port in each cycle, the highest first, x where they are unknown.
    """
    for cycle, (wants, outputs) in enumerate(zip(wanted, seen, strict=True)):
        for want in wants:
            bits = outputs[want.port]
            width = want.width or len(bits)
            found = bits[len(bits) - want.low - width : len(bits) - want.low]
            if found != format(want.value, f"0{width}b"):
                return f"cycle {cycle}: {want.label or want.port} is {_shown(found)}, not {want.value}"
    return None


def _shown(word: str) -> str:
    return str(int(word, 2)) if set(word) <= {"0", "1"} else word
