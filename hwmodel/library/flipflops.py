"""Whether the ff group of a cell is that of a register: something is stored at an edge of its clock.

Yosys makes registers of plain D flip-flops, whose expressions are a pin or its inversion each; others, with an enable
or scan input, may be in a library beside one. Of those it takes the smallest that gives what it stores, if there is
one, whatever one costs that gives the complement: :func:`outdone` says which not to take.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from hwmodel.liberty import Expression, Not, Variable, parse_function

from .verilog import input_columns, senses

__all__ = ["Storage", "is_plain", "literal", "no_register", "outdone"]

_MOST_NAMES = 12  # of a next state: its truth table has 2^12 rows


def literal(expression: Expression) -> tuple[str, bool] | None:
    """The name that an expression is, and whether it is inverted; None where it is more than a name."""
    match expression:
        case Variable():
            return expression.name, False
        case Not():
            found = literal(expression.operand)
            return found and (found[0], not found[1])
        case _:
            return None


class Storage(NamedTuple):
    """A flip-flop: its name, area, inputs and state as of :func:`no_register`, and the pins of its outputs or none."""

    name: str
    area: float
    inputs: tuple[str, ...]
    state: tuple[str, ...]
    q: str
    qn: str


def outdone(flip_flops: Iterable[Storage], inverter: float) -> tuple[str, ...]:
    """The plain flip-flops with a true output that are larger than one of the same function with a complement output
    alone and an inverter behind it; by name. The inverter mostly vanishes in the logic that follows.
    """
    areas: defaultdict[tuple[object, ...], dict[str, float]] = defaultdict(dict)
    complement: dict[tuple[object, ...], float] = {}
    for each in flip_flops:
        if not is_plain(each.state, frozenset(each.inputs)):
            continue
        clock, stored, *forced = (literal(parse_function(text)) if text else None for text in each.state)
        assert clock is not None
        assert stored is not None
        kind = (clock[1], *(None if pin is None else pin[1] for pin in forced))
        if each.qn if stored[1] else each.q:
            areas[kind][each.name] = each.area
        elif not any(forced):  # set and reset change places in one that holds the complement
            complement[kind] = min(each.area, complement.get(kind, each.area))
    return tuple(sorted(
        name for kind, least in complement.items() for name, area in areas[kind].items() if least + inverter <= area
    ))  # fmt: skip


def is_plain(state: tuple[str, ...], inputs: frozenset[str]) -> bool:
    """Whether each expression of a flip-flop is an input pin or its inversion, where it has one.

    state, inputs: as of :func:`no_register`.
    """
    found = [literal(parse_function(text)) for text in state if text]
    return all(each is not None and each[0] in inputs for each in found)


def no_register(state: tuple[str, ...], inputs: frozenset[str]) -> str:
    """Why a flip-flop is no register of its clock; empty where it is.

    state: its clocked_on, next_state, clear and preset, the last two maybe empty. inputs: its pins, not its states.

    Its clock must be a pin or the inversion of one; its next state must depend on another pin and not on the clock;
    clear and preset must depend on pins other than the clock.
    """
    clocked_on, next_state, clear, preset = state
    clock = literal(parse_function(clocked_on))
    if clock is None or clock[0] not in inputs:
        return "its clocked_on is not one pin"
    stored = _decisive(parse_function(next_state))
    if stored is None:
        return f"its next_state reads more than {_MOST_NAMES} names"
    if clock[0] in stored:
        return "its next_state depends on its clock"
    if not stored & inputs:
        return "its next_state depends on no pin"
    for name, text in (("clear", clear), ("preset", preset)):
        forced = _decisive(parse_function(text)) if text else None
        if text and (not forced or not forced <= inputs - {clock[0]}):
            return f"its {name} does not depend on pins alone"
    return ""


def _decisive(expression: Expression) -> frozenset[str] | None:
    """The names that change an expression's value in some row of its truth table; None where it reads too many."""
    names = expression.names
    if len(names) > _MOST_NAMES:
        return None
    return frozenset(name for name in names if any(senses(expression, name, input_columns(sorted(names - {name})))))
