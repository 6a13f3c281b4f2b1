"""Larger drive strengths where the clock needs them: a netlist just too slow becomes one that meets it.

OpenSTA times every trial.  On the worst path, the cell whose next larger drive strength gains most
slack for its area is replaced, again and again, until the clock is met or nothing helps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hwmodel.library import Library
from siliquant.inputs import InputError, verilog_name

from .sta import OpenSta, Stage

_MAXIMUM_MOVES = 40
_PATIENCE = 6  # moves before progress is asked for
_STAGES_TRIED = 6  # of the worst path, those of most delay; more only while none helps
_LEAST_GAIN_NS = 1e-5


@dataclass(frozen=True)
class Sizing:
    """Replacements (instance to cell) that were made, and the slack and added area they gave."""

    replaced: Mapping[str, str]
    slack_ns: float
    added_um2: float


def meet_clock(opensta: OpenSta, library: Library, area_limit_um2: float = math.inf) -> Sizing:
    """Size up the netlist loaded in `opensta` until it meets its clock, adding at most area_limit_um2.

    The result may still miss the clock; its slack says so.
    """
    larger = {small: large for family in library.families for small, large in pairwise(family)}
    replaced: dict[str, str] = {}
    added = 0.0
    slack = start = opensta.slack_ns()
    for moves in range(_MAXIMUM_MOVES):
        hopeless = moves >= _PATIENCE and slack < start * (1 - moves / _MAXIMUM_MOVES)
        if slack >= 0 or hopeless:
            break
        best: tuple[float, str, str, float] | None = None
        for position, stage in enumerate(_promising(opensta, larger)):
            if best is not None and position >= _STAGES_TRIED:
                break
            other = larger[stage.cell]
            before, after, worst = opensta.try_replace(stage.instance, stage.pin, stage.cell, other)
            gain, cost = after - before, library.areas[other] - library.areas[stage.cell]
            if gain < _LEAST_GAIN_NS or worst < slack - _LEAST_GAIN_NS or added + cost > area_limit_um2:
                continue
            worth = gain / max(cost, 1e-3)
            if best is None or worth > best[0]:
                best = (worth, stage.instance, other, cost)
        if best is None:
            break
        _, instance, other, cost = best
        opensta.replace(instance, other)
        replaced[instance] = other
        added += cost
        slack = opensta.slack_ns()
    return Sizing(replaced, slack, added)


def _promising(opensta: OpenSta, larger: Mapping[str, str]) -> list[Stage]:
    """The stages of the worst path that have a larger cell, those of most delay first."""
    able = [stage for stage in opensta.critical_stages() if stage.cell in larger]
    return sorted(able, key=lambda stage: -stage.delay_ns)


def apply(netlist: Path, replaced: Mapping[str, str]) -> None:
    """Write the replacements into a Verilog netlist of one instance a line, as Yosys writes it.

    Instances have the names that OpenSTA gives them: without the escapes of Verilog.
    """
    text = netlist.read_text()
    done = 0

    def change(match: re.Match[str]) -> str:
        nonlocal done
        if match[3] not in replaced:
            return match[0]
        done += 1
        return f"{match[1]}{verilog_name(replaced[match[3]])}{match[2]}"

    text = re.sub(r"^(\s*)(?:\w+|\\\S+ )( \\?(\S+) +\()$", change, text, flags=re.MULTILINE)
    if done != len(replaced):
        raise InputError(f"every replaced instance must be in {netlist.name}, but {len(replaced) - done} are not")
    netlist.write_text(text)
