"""What a larger drive strength gains on a path, by the library's own tables: an estimate without a timing run.

Looked at are the cell itself, the cell before it, which drives a larger input, and the slew at the cell after it. What
else the input pins of a larger cell load, a timing run must say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hwmodel.liberty import Arc, Table, Templates, cell_arcs
from hwmodel.library import Library, parse_liberty

from .sta import Stage

__all__ = ["Strengths", "strengths_of"]

_LOADS = ("total_output_net_capacitance",)
_SLEWS = ("input_net_transition", "input_transition_time")
_OPPOSITE = {"positive_unate": False, "negative_unate": True}


@dataclass(frozen=True, eq=False)
class Strengths:
    """Delays of the cells of families, all in the library's units.

    arcs: by cell, input and output pin. input_load: capacitance by cell and pin.
    """

    arcs: Mapping[tuple[str, str, str], Sequence[Arc]]
    input_load: Mapping[tuple[str, str], float]

    def gain(self, path: Sequence[Stage], place: int, larger: str) -> float:
        """By how much the path is earlier where the cell at a place is a larger one; negative where it is later.

        Minus infinity where the tables do not have a stage.
        """
        stage = path[place]
        before = [self._timed(stage, stage.cell, stage.slew, stage.load)]
        slew = stage.slew
        after = []
        if place > 0:
            driver = path[place - 1]
            more = self._load(larger, stage.source) - self._load(stage.cell, stage.source)
            before.append(self._timed(driver, driver.cell, driver.slew, driver.load))
            after.append(self._timed(driver, driver.cell, driver.slew, driver.load + more))
            if before[-1] is not None and after[-1] is not None:
                slew += after[-1][1] - before[-1][1]
        after.append(self._timed(stage, larger, slew, stage.load))
        if place + 1 < len(path) and before[0] is not None and after[-1] is not None:
            next_one = path[place + 1]
            change = after[-1][1] - before[0][1]
            before.append(self._timed(next_one, next_one.cell, next_one.slew, next_one.load))
            after.append(self._timed(next_one, next_one.cell, next_one.slew + change, next_one.load))
        known = [found[0] for found in (*before, *after) if found is not None]
        if len(known) < len(before) + len(after):
            return float("-inf")
        return sum(known[: len(before)]) - sum(known[len(before) :])

    def _load(self, cell: str, pin: str) -> float:
        return self.input_load.get((cell, pin), 0.0)

    def _timed(self, stage: Stage, cell: str, slew: float, load: float) -> tuple[float, float] | None:
        """Delay and output slew of the slowest arc of a cell between the pins and edges of a stage."""
        opposite = stage.source_edge != stage.edge
        found = []
        for arc in self.arcs.get((cell, stage.source, stage.pin), ()):
            delays, slews = (arc.tables.get(kind) for kind in (f"cell_{stage.edge}", f"{stage.edge}_transition"))
            fits = arc.kind.endswith("_edge") or _OPPOSITE.get(arc.sense, opposite) == opposite  # of a clock, any
            if fits and delays is not None and slews is not None:
                found.append((_value(delays, slew, load), _value(slews, slew, load)))
        return max(found, default=None)


@lru_cache(maxsize=4)
def _read(slim: Path, cells: frozenset[str]) -> dict[tuple[str, str, str], list[Arc]]:
    library = parse_liberty(slim.read_text())
    templates = Templates(library, "lu_table_template")
    found: dict[tuple[str, str, str], list[Arc]] = {}
    for group in library.group_iter("cell"):
        if group.name in cells:
            for arc in cell_arcs(group, templates):
                for source in arc.related if arc.delays else ():
                    found.setdefault((group.name, source, arc.pin), []).append(arc)
    return found


def strengths_of(library: Library) -> Strengths:
    """The delays of every cell of a library that is used; its file is read once."""
    return Strengths(
        _read(library.slim(), frozenset(library.areas)),
        {
            (cell, pin): load / library.capacitance_ff
            for cell, pins in library.input_ff.items()
            for pin, load in pins.items()
        },
    )


def _value(table: Table, slew: float, load: float) -> float:
    """Linear between the points of a table, and beyond them."""
    axes = [(axis, slew if name in _SLEWS else load if name in _LOADS else 0.0) for name, axis in table.axes.items()]
    values = list(table.values)
    for axis, at in reversed(axes):  # the last axis runs fastest
        count = len(axis)
        rows = [values[start : start + count] for start in range(0, len(values), count)]
        values = [_between(axis, row, at) for row in rows]
    return values[0]


def _between(axis: Sequence[float], values: Sequence[float], at: float) -> float:
    if len(axis) == 1:
        return values[0]
    low = min(max(bisect_right(axis, at) - 1, 0), len(axis) - 2)
    share = (at - axis[low]) / (axis[low + 1] - axis[low])
    return values[low] + share * (values[low + 1] - values[low])
