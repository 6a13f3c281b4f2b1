"""A path of netlists of one design, each faster than the last: full-adder cells where there is time, gates elsewhere.

Each round maps the design again for a period somewhat shorter than the one before. OpenSTA's times at the registers and
full adders of the last netlist tell ABC where speed is wanted; the inputs of full adders are put in the order in which
they arrive; and each netlist is sized. Where it still misses the period, the full adders of least slack are dissolved
into gates, a few at a time, and the round is repeated. So area grows in small steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hwmodel.library import Library

from .selection import Netlist
from .sizing import Sizing, meet_clock
from .sta import OpenSta, PinTimes

__all__ = ["Plan", "Step", "follow"]

_FASTER = 0.96  # the period of a round over that of the last one that was met
_LITTLE_FASTER = 0.985  # the same from where a larger step is not met
_MOST_ROUNDS = 64
_PATIENCE = 6  # rounds that miss their period before the steps get smaller, and before the path ends
_SHARE = 1 / 16  # of the full adders, dissolved in a round
_FEWEST = 4

_PINS = ("a", "b", "c")


@dataclass(frozen=True)
class Plan:
    """What a round is told: adders to dissolve, pins of the others in the order of a, b and c, times in ns by instance
    and pin, and the period for pins without a time.
    """

    dissolved: Sequence[str]
    orders: Mapping[str, Sequence[str]]
    arrival_ns: Mapping[str, Mapping[str, float]]
    required_ns: Mapping[str, Mapping[str, float]]
    period_ns: float


@dataclass(frozen=True)
class Step:
    """One netlist of the path: as mapped with its minimum period, and what sizing for its round's period gave."""

    netlist: Netlist
    period_ns: float
    sizing: Sizing
    sized_period_ns: float

    def sized(self, period_ns: float) -> Netlist:
        """The netlist as sized, with its slack at a clock of this period."""
        sizing = replace(self.sizing, slack_ns=period_ns - self.sized_period_ns)
        return replace(self.netlist, slack_ns=period_ns - self.period_ns, sizing=sizing)


@dataclass(frozen=True)
class _State:
    """What the next round starts from."""

    dissolved: tuple[str, ...] = ()
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def plan(self, times: PinTimes, here_ns: float, wanted_ns: float) -> Plan:
        """For a period, from times of a netlist that was timed at another."""
        shift = wanted_ns - here_ns
        required = {name: {pin: due + shift for pin, due in pins.items()} for name, pins in times.required_ns.items()}
        gone = set(self.dissolved)
        kept = {name: order for name, order in self.orders.items() if name not in gone}
        return Plan(sorted(gone), kept, times.arrival_ns, required, wanted_ns)


def follow(
    opensta: OpenSta,
    library: Library,
    top: str,
    clock: str,
    start: Netlist,
    map_by: Callable[[Plan, int], Netlist],
) -> Iterator[Step]:
    """The path from a netlist of full-adder cells to the fastest that is found.

    start: its slack is not looked at. map_by: maps the design by a plan, the number of the round beside it. OpenSTA
    may be used for something else between two steps. The same start gives the same path. Raises what its tools raise.
    """
    adder = library.full_adder
    assert adder is not None  # the path is for libraries with such a cell
    pins = adder.a, adder.b, adder.carry_in  # the last is the fastest
    state = _State()
    met_ns, faster = _period_ns(opensta, start, top, clock), _FASTER
    wanted_ns = met_ns * faster
    opensta.load(start.path, top, wanted_ns, clock)
    times, here_ns = opensta.pin_times(), wanted_ns
    names = _adders(start, top, adder.cell)
    share = max(_FEWEST, round(len(names) * _SHARE))
    missed, met = 0, (state, times, here_ns, names)
    for number in range(_MOST_ROUNDS):
        state = _ordered(state, names, times, pins)
        netlist = map_by(state.plan(times, here_ns, wanted_ns), number)
        opensta.load(netlist.path, top, wanted_ns, clock)
        period_ns = wanted_ns - opensta.slack_ns()
        sizing = meet_clock(opensta, library)
        sized_ns = wanted_ns - sizing.slack_ns
        times, here_ns = opensta.pin_times(), wanted_ns
        yield Step(netlist, period_ns, sizing, sized_ns)
        names = _adders(netlist, top, adder.cell)
        if sizing.slack_ns >= 0:
            missed, met, met_ns = 0, (state, times, here_ns, names), sized_ns
            wanted_ns = met_ns * faster
            continue
        missed += 1
        worst = _worst(names, times)[:share]
        if missed < _PATIENCE and worst:
            state = replace(state, dissolved=(*state.dissolved, *worst))
        elif faster == _FASTER:
            faster, missed, (state, times, here_ns, names) = _LITTLE_FASTER, 0, met
            wanted_ns = met_ns * faster
        else:
            return


def _period_ns(opensta: OpenSta, netlist: Netlist, top: str, clock: str) -> float:
    opensta.load(netlist.path, top, 1.0, clock)
    return 1.0 - opensta.slack_ns()


def _adders(netlist: Netlist, top: str, kind: str) -> list[str]:
    """The instances of the full-adder cell."""
    cells = json.loads(netlist.path.with_suffix(".json").read_text())["modules"][top]["cells"]
    return sorted(name for name, cell in cells.items() if cell["type"] == kind)


def _ordered(state: _State, names: Sequence[str], times: PinTimes, pins: Sequence[str]) -> _State:
    """The latest input of each adder at the last of the pins, and the others before it."""
    orders = dict(state.orders)
    for name in names:
        arrivals = times.arrival_ns.get(name, {})
        late = [arrivals.get(pin, 0.0) for pin in pins]
        before = orders.get(name, _PINS)
        orders[name] = tuple(before[place] for place in sorted(range(len(late)), key=late.__getitem__))
    return replace(state, orders=orders)


def _worst(names: Sequence[str], times: PinTimes) -> list[str]:
    """Those that miss their times, the worst first."""
    slacks = []
    for name in names:
        due = times.required_ns.get(name, {})
        slack = min((due[pin] - at for pin, at in times.arrival_ns.get(name, {}).items() if pin in due), default=0.0)
        if slack < 0:
            slacks.append((slack, name))
    return [name for _, name in sorted(slacks)]
