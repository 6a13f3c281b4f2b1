"""Whether the timing of a cell fits its function: every path through it takes a time, and none is there that is not.

A timing tool looks at arcs and not at functions. A path without an arc takes no time, a flip-flop without a setup time
takes its data at any moment, and an arc of the wrong edge starts or ends half a period off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from hwmodel.liberty import DELAYS, Arc, CellModel, Expression, FlipFlop, Group, parse_function
from siliquant.inputs import InputError

from .flipflops import literal
from .verilog import input_columns, senses

__all__ = ["check_arcs", "untimed"]

_OF_GATES = ("", "combinational", "combinational_rise", "combinational_fall")
_ONE_EDGE = {"combinational_rise": ("cell_rise",), "combinational_fall": ("cell_fall",)}
_CONSTRAINTS = ("rise_constraint", "fall_constraint")
_MOST_INPUTS = 12
_FOLLOWS, _OPPOSES = "follows", "opposes"
_SENSES = {"positive_unate": (_FOLLOWS,), "negative_unate": (_OPPOSES,)}


def check_arcs(model: CellModel, arcs: Sequence[Arc]) -> None:
    """Raises InputError, naming file and line, for timing that contradicts the cell's function.

    Such is a delay from an input on which the output does not depend, of a sense that it has not, at an edge that its
    flip-flop is not clocked on; delays none of which is above 0; and a setup time so negative that data would be out
    before it is in.
    """
    flop = model.flip_flop
    for arc in arcs:
        of = f"of pin {arc.pin} of cell {model.name}"
        for kind, table in arc.delays.items():
            if max(table.values) <= 0 and (flop is None or set(arc.related) & flop.clock_pins):
                raise table.group.fail(f"{of} must have a delay above 0, and its {kind} has none")
        if not arc.delays or arc.pin not in model.outputs:
            continue
        for pin in arc.related:
            if pin in model.capacitance_pf:  # an output may follow another one
                _check_one(model, arc, pin, of)
    if flop is not None:
        _check_setup(model, flop, arcs)


def untimed(model: CellModel, group: Group, arcs: Sequence[Arc]) -> Iterator[InputError]:
    """What a timing tool would take no time for: delays of paths through the cell, setup times of its data."""
    if model.flip_flop is not None:
        yield from _untimed_register(model, model.flip_flop, group, arcs)
        return
    stated: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for arc in arcs:
        if arc.kind in _OF_GATES:
            edges = set(arc.delays) & set(_ONE_EDGE.get(arc.kind, DELAYS))
            both = {(sense, edge) for sense in _SENSES.get(arc.sense, (_FOLLOWS, _OPPOSES)) for edge in edges}
            for pin in arc.related:
                stated[pin, arc.pin] |= both
    for output, function in model.outputs.items():
        for pin in sorted(function.names):
            wanted = {(sense, edge) for sense in _senses_of(function, pin, None) for edge in DELAYS}
            if wanted - stated[pin, output]:
                yield group.fail(f"must state the rising and falling delays from {pin} to {output}")


def _check_one(model: CellModel, arc: Arc, pin: str, of: str) -> None:
    flop, function = model.flip_flop, model.outputs[arc.pin]
    if flop is not None:
        clock = literal(flop.clocked_on)
        forced = frozenset().union(*(each.names for each in (flop.clear, flop.preset) if each is not None))
        if clock is not None and pin == clock[0]:
            wanted = f"{_edge(flop)}_edge"
            if arc.kind != wanted and pin not in forced:
                raise arc.group.fail(f"{of} must have the timing_type {wanted} for its clock {pin}, not {arc.kind!r}")
        elif pin not in forced:
            raise arc.group.fail(f"{of} must have no delay from {pin}, which does not change it at once")
        return
    if len(function.names | {pin}) > _MOST_INPUTS or arc.kind not in _OF_GATES:
        return
    if not _senses_of(function, pin, None):
        raise arc.group.fail(f"{of} must have no delay from {pin}, on which it does not depend")
    when = arc.group.text("when")
    has = _senses_of(function, pin, parse_function(when) if when else None)
    if arc.sense in _SENSES and has and not set(_SENSES[arc.sense]) & has:
        raise arc.group.fail(f"{of} must have the timing_sense of its function for {pin}, not {arc.sense}")


def _senses_of(function: Expression, pin: str, when: Expression | None) -> set[str]:
    """Whether an output follows or opposes a pin, or both, in the states of ``when``."""
    if pin not in function.names:
        return set()
    others = sorted((function.names | (when.names if when else frozenset())) - {pin})
    if len(others) > _MOST_INPUTS:
        return {_FOLLOWS, _OPPOSES}
    columns = input_columns(others)
    ones = (1 << (1 << len(others))) - 1
    holds = ones
    if when is not None:
        holds = 0
        for value in (0, ones):
            holds |= when.evaluate({**columns, pin: value}, ones)
    rows = dict(zip((_FOLLOWS, _OPPOSES), senses(function, pin, columns), strict=True))
    return {name for name, found in rows.items() if found & holds}


def _edge(flop: FlipFlop) -> str:
    clock = literal(flop.clocked_on)
    return "falling" if clock is not None and clock[1] else "rising"


def _untimed_register(model: CellModel, flop: FlipFlop, group: Group, arcs: Sequence[Arc]) -> Iterator[InputError]:
    stated: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for arc in arcs:
        for pin in arc.related:
            stated[pin, arc.pin] |= set(arc.delays)
    clocks = flop.clock_pins
    for output in model.outputs:
        for clock in sorted(clocks):
            if set(DELAYS) - stated[clock, output]:
                yield group.fail(f"must state the rising and falling delays from {clock} to {output}")
        for pin in sorted(_names(flop.clear) | _names(flop.preset)):
            if not stated[pin, output]:
                yield group.fail(f"must state the delay from {pin} to {output}")
    setups: defaultdict[str, set[str]] = defaultdict(set)
    for arc in _setups(flop, arcs):
        setups[arc.pin] |= set(arc.tables) & set(_CONSTRAINTS)
    clock, wanted = ", ".join(sorted(clocks)), f"timing_type setup_{_edge(flop)}"
    for pin in sorted(flop.next_state.names & set(model.inputs)):
        if set(_CONSTRAINTS) - setups[pin]:
            yield group.fail(
                f"must state the setup times of {pin} to {clock}: {wanted} with {' and '.join(_CONSTRAINTS)}"
            )


def _setups(flop: FlipFlop, arcs: Iterable[Arc]) -> list[Arc]:
    return [arc for arc in arcs if arc.kind == f"setup_{_edge(flop)}" and set(arc.related) & flop.clock_pins]


def _check_setup(model: CellModel, flop: FlipFlop, arcs: Sequence[Arc]) -> None:
    """At the lowest slews and load: data must not be out before it is in."""
    delays = [
        table.values[0]
        for arc in arcs
        if arc.pin in model.outputs and set(arc.related) & flop.clock_pins
        for table in arc.delays.values()
    ]
    for arc in _setups(flop, arcs):
        lowest = min((table.values[0] for kind, table in arc.tables.items() if kind in _CONSTRAINTS), default=0.0)
        if delays and lowest + max(delays) <= 0:
            raise arc.group.fail(
                f"of pin {arc.pin} of cell {model.name} must have setup times above -{max(delays):g}, the delay from "
                f"the clock to the output, not {lowest:g}"
            )


def _names(expression: Expression | None) -> frozenset[str]:
    return frozenset() if expression is None else expression.names
