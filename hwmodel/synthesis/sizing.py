"""Larger drive strengths where the clock needs them: a netlist just too slow becomes one that meets it.

On the worst path, the cells whose next larger drive strength gains most slack for its area are replaced, again and
again, until the clock is met or nothing helps.
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
from .strengths import Strengths, strengths_of

__all__ = ["Move", "Sizing", "apply", "meet_clock", "together"]

_MAXIMUM_MOVES = 160
_PATIENCE = 6  # moves before progress is asked for
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

    Of the worst path, the cells whose larger ones gain most for their area by the library's tables are replaced,
    several at a time. OpenSTA times what came of it, and what made another path worse is undone. The result may still
    miss the clock; its slack says so.
    """
    strengths = strengths_of(library)
    larger = {small: large for family in library.families for small, large in pairwise(family)}
    replaced: dict[str, str] = {}
    refused: set[tuple[str, str]] = set()
    added = 0.0
    slack = start = opensta.slack_ns()
    while slack < 0 and len(replaced) < _MAXIMUM_MOVES:
        if len(replaced) >= _PATIENCE and slack < start * (1 - len(replaced) / _MAXIMUM_MOVES):
            break
        path, left_um2 = opensta.critical_stages(), area_limit_um2 - added
        moves = [move for move in _moves(path, library, strengths, larger) if (move.instance, move.cell) not in refused]
        batch = together(moves, -slack, left_um2)
        if not batch:
            break
        made, found = _made(opensta, batch, slack)
        if not made:
            refused.add((batch[0].instance, batch[0].cell))
            continue
        replaced |= {move.instance: move.cell for move in made}
        added += sum(move.cost_um2 for move in made)
        slack = found
    return Sizing(replaced, slack, added)


@dataclass(frozen=True)
class Move:
    """A replacement: the place of its instance on the path, the cell before, and what it should gain and costs."""

    place: int
    instance: str
    before: str
    cell: str
    gain_ns: float
    cost_um2: float

    @property
    def worth(self) -> float:
        """Slack for area, ns/um2."""
        return self.gain_ns / max(self.cost_um2, 1e-3)


def _moves(path: Sequence[Stage], library: Library, strengths: Strengths, larger: Mapping[str, str]) -> list[Move]:
    """The replacements on a path that should gain, the best first."""
    found = []
    for place, stage in enumerate(path):
        if (other := larger.get(stage.cell)) is not None:
            gain_ns = strengths.gain(path, place, other) * library.time_ns
            cost_um2 = library.areas[other] - library.areas[stage.cell]
            if gain_ns >= _LEAST_GAIN_NS:
                found.append(Move(place, stage.instance, stage.cell, other, gain_ns, cost_um2))
    return sorted(found, key=lambda move: -move.worth)


def together(moves: Sequence[Move], missing_ns: float, area_um2: float) -> list[Move]:
    """The best move that fits the area and others nearly as good, of cells that do not drive one another, until they
    are enough.
    """
    made: list[Move] = []
    for move in moves:
        enough = sum(each.gain_ns for each in made) >= missing_ns
        if made and (enough or move.worth < _NEARLY * made[0].worth):
            break
        apart = all(abs(move.place - each.place) > 1 for each in made)
        if apart and sum(each.cost_um2 for each in made) + move.cost_um2 <= area_um2:
            made.append(move)
    return made


def _made(opensta: OpenSta, moves: Sequence[Move], slack_ns: float) -> tuple[Sequence[Move], float]:
    """Those of the moves that were made, and the slack: all of them, the first alone, or none, where the slack would
    be less than before.
    """
    found = opensta.replace({move.instance: move.cell for move in moves})
    while found < slack_ns and moves:
        kept = 1 if len(moves) > 1 else 0
        moves, undone = moves[:kept], moves[kept:]
        found = opensta.replace({move.instance: move.before for move in undone})
    return moves, found


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
