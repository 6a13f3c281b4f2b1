"""Larger drive strengths where the clock needs them: a netlist just too slow becomes one that meets it.

OpenSTA times every trial.  On the worst path, the cells whose next larger drive strength gains most slack for its area
are replaced, again and again, until the clock is met or nothing helps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hwmodel.library import Library
from siliquant.inputs import InputError, verilog_name

from .sta import OpenSta, Stage

__all__ = ["Move", "Sizing", "apply", "meet_clock", "together"]

_MAXIMUM_MOVES = 120
_PATIENCE = 6  # moves before progress is asked for
_STAGES_TRIED = 6  # of the worst path, those of most delay; more only while none helps
_LEAST_GAIN_NS = 1e-5
_NEARLY = 0.3  # of the best move's gain for its area, for others that are made with it


@dataclass(frozen=True)
class Sizing:
    """Replacements (instance to cell) that were made, and the slack and added area they gave."""

    replaced: Mapping[str, str]
    slack_ns: float
    added_um2: float


def meet_clock(opensta: OpenSta, library: Library, area_limit_um2: float = math.inf) -> Sizing:
    """Size up the netlist loaded in `opensta` until it meets its clock, adding at most area_limit_um2.

    Of the worst path, the cells whose larger ones gain most for their area are replaced, several at a time. The result
    may still miss the clock; its slack says so.
    """
    larger = {small: large for family in library.families for small, large in pairwise(family)}
    replaced: dict[str, str] = {}
    added = 0.0
    slack = start = opensta.slack_ns()
    while slack < 0 and len(replaced) < _MAXIMUM_MOVES:
        if len(replaced) >= _PATIENCE and slack < start * (1 - len(replaced) / _MAXIMUM_MOVES):
            break
        moves = _moves(opensta, library, larger, slack, area_limit_um2 - added)
        if not moves:
            break
        for move in together(moves, -slack, area_limit_um2 - added):
            opensta.replace(move.instance, move.cell)
            replaced[move.instance] = move.cell
            added += move.cost_um2
        slack = opensta.slack_ns()
    return Sizing(replaced, slack, added)


@dataclass(frozen=True)
class Move:
    """A replacement that was tried: the place of its instance on the path, and what it gains there and costs."""

    place: int
    instance: str
    cell: str
    gain_ns: float
    cost_um2: float

    @property
    def worth(self) -> float:
        """Slack for area, ns/um2."""
        return self.gain_ns / max(self.cost_um2, 1e-3)


def _moves(
    opensta: OpenSta, library: Library, larger: Mapping[str, str], slack_ns: float, area_um2: float
) -> list[Move]:
    """The replacements on the worst path that gain, the best first."""
    found: list[Move] = []
    for tried, (place, stage) in enumerate(_promising(opensta, larger)):
        if found and tried >= _STAGES_TRIED:
            break
        other = larger[stage.cell]
        after, worst = opensta.try_replace(stage.instance, stage.pin, stage.cell, other)
        move = Move(place, stage.instance, other, after - slack_ns, library.areas[other] - library.areas[stage.cell])
        if move.gain_ns >= _LEAST_GAIN_NS and worst >= slack_ns - _LEAST_GAIN_NS and move.cost_um2 <= area_um2:
            found.append(move)
    return sorted(found, key=lambda move: -move.worth)


def together(moves: Sequence[Move], missing_ns: float, area_um2: float) -> list[Move]:
    """The best move and others nearly as good, of cells that do not drive one another, until they are enough."""
    made: list[Move] = []
    for move in moves:
        if sum(each.gain_ns for each in made) >= missing_ns or move.worth < _NEARLY * moves[0].worth:
            break
        apart = all(abs(move.place - each.place) > 1 for each in made)
        if apart and sum(each.cost_um2 for each in made) + move.cost_um2 <= area_um2:
            made.append(move)
    return made


def _promising(opensta: OpenSta, larger: Mapping[str, str]) -> list[tuple[int, Stage]]:
    """The stages of the worst path that have a larger cell, with their places on it, those of most delay first."""
    able = [(place, stage) for place, stage in enumerate(opensta.critical_stages()) if stage.cell in larger]
    return sorted(able, key=lambda each: -each[1].delay_ns)


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
