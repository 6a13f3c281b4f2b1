"""Which netlist to keep: the smallest that meets the clock, sized up where that is smaller than another recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwmodel.library import Library

from .sizing import Sizing, meet_clock
from .sta import OpenSta

_SIZED = 4  # candidates that get larger drive strengths
_SIZABLE = 1.4  # of the clock period: what larger cells may still bring below it
_NEARLY_FASTEST = 1.02  # of the fastest netlist's period
_AREA_OF_SPEED = 0.15  # area a netlist is expected to gain for the share of the period it is too slow


@dataclass
class Netlist:
    """A recipe's netlist while it is looked at: slack as synthesised, and what sizing made of it."""

    recipe: str
    path: Path
    area_um2: float
    slack_ns: float | None = None
    sizing: Sizing | None = None

    @property
    def replaced(self) -> Mapping[str, str]:
        """Instances that sizing gave another cell."""
        return self.sizing.replaced if self.sizing else {}

    @property
    def slack_or_worst_ns(self) -> float:
        """Slack as synthesised; minus infinity when it is not known."""
        return -math.inf if self.slack_ns is None else self.slack_ns

    def within(self, share: float, period_ns: float) -> bool:
        """Whether its minimum period is at most so many times that of the clock."""
        return self.slack_or_worst_ns >= -(share - 1) * period_ns

    @property
    def final_slack_ns(self) -> float:
        """Worst slack after sizing; minus infinity when it is not known."""
        if self.sizing:
            return self.sizing.slack_ns
        return self.slack_or_worst_ns

    @property
    def final_area_um2(self) -> float:
        """Area after sizing."""
        return self.area_um2 + (self.sizing.added_um2 if self.sizing else 0.0)


def select(
    opensta: OpenSta, found: Sequence[Netlist], top: str, library: Library, period_ns: float, clock: str
) -> Netlist:
    """The netlist to keep: the smallest that meets the clock; when none does, :func:`nearly_fastest`.

    Netlists somewhat too slow are sized up, first those that promise to end smallest, and only while
    they may still become the smallest that meets the clock.
    """
    near = [n for n in found if n.sizing is None and n.within(_SIZABLE, period_ns) and n.final_slack_ns < 0]
    for netlist in sorted(near, key=lambda n: n.area_um2 * (1 - _AREA_OF_SPEED * n.final_slack_ns / period_ns))[
        :_SIZED
    ]:
        limit = min((n.final_area_um2 for n in found if n.final_slack_ns >= 0), default=math.inf)
        if netlist.area_um2 >= limit:
            continue
        opensta.load(netlist.path, top, period_ns, clock)
        netlist.sizing = meet_clock(opensta, library, limit - netlist.area_um2)
    meeting = [n for n in found if n.final_slack_ns >= 0]
    if meeting:
        return min(meeting, key=lambda n: n.final_area_um2)
    return nearly_fastest(found, period_ns)


def nearly_fastest(found: Sequence[Netlist], period_ns: float) -> Netlist:
    """Of netlists that miss the clock the smallest of those nearly as fast as the fastest: gates alone may be 1 %
    faster and 20 % larger.
    """
    fastest_ns = period_ns - max(n.final_slack_ns for n in found)
    near = [n for n in found if period_ns - n.final_slack_ns <= _NEARLY_FASTEST * fastest_ns]
    return min(near, key=lambda n: n.final_area_um2)
