"""What is said of a claim: whether it holds, by which rule, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Outcome", "Verdict", "outcome_of"]


class Outcome(Enum):
    """What the measurements say of a claim."""

    HOLDS = "holds"
    PARTLY = "holds in part"
    FAILS = "does not hold at this scale"
    OPEN = "not measured yet"


@dataclass(frozen=True)
class Verdict:
    """claim: in one sentence. rule: what must be so for it to hold. found: sentences with the numbers."""

    claim: str
    rule: str
    outcome: Outcome
    found: tuple[str, ...]


def outcome_of(shown: Sequence[bool]) -> Outcome:
    """Of the places where a claim was looked at, whether it was shown there.

    >>> outcome_of([True, False]).value, outcome_of([]).value
    ('holds in part', 'not measured yet')
    """
    if not shown:
        return Outcome.OPEN
    return Outcome.HOLDS if all(shown) else Outcome.PARTLY if any(shown) else Outcome.FAILS
