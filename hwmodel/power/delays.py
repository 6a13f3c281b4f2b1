"""The delays of a mapped netlist: from OpenSTA, merged to what a simulator with few delays a cell can take.

A library gives an arc for each state of the other inputs.  Here they are averaged over the states in
which the output follows an input, and over those in which it opposes it.  For gates that only do one
of the two that is one rise and one fall a pin pair.  For XORs, multiplexers and full adders it is two
of each: one average over all would take a third of the glitches out of a tree of full adders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwmodel.library import (
    ONE_NET,
    CellModel,
    CellPaths,
    Entry,
    Expression,
    Library,
    LibraryCells,
    PathDelay,
    delay_pairs,
    input_columns,
    read_sdf,
    senses,
)
from hwmodel.netlist import Instance, Netlist
from hwmodel.synthesis import OpenSta, TimingError
from siliquant.files import scratch
from siliquant.inputs import InputError, positive_number, tcl_word

__all__ = ["SHORTEST_NS", "NetlistDelays", "Pair", "netlist_delays", "path_delays"]

SHORTEST_NS = 0.001

Pair = tuple[str, str]
"""An input and an output pin of a cell."""

_Weights = tuple[Sequence[float], Sequence[float]]  # of the entries of a pair, where it follows and where it opposes


@dataclass(frozen=True, slots=True)
class NetlistDelays:
    """paths[i]: the delays of instance i.  minimum_period_ns: what the slowest path takes, as OpenSTA sees it."""

    paths: tuple[Mapping[Pair, PathDelay], ...]
    minimum_period_ns: float


def netlist_delays(
    verilog: str,
    netlist: Netlist,
    top: str,
    library: Library,
    cells: LibraryCells,
    *,
    period_ns: float,
    clock: str = "clk",
    spef: str | None = None,
) -> NetlistDelays:
    """The delays OpenSTA finds in mapped Verilog, for the instances of the same netlist.

    spef: its wires, as loads of the cells that drive them; what a signal takes along a wire is left out.
    Raises ToolMissing, TimingError, ValueError as path_delays does.
    """
    period_ns = positive_number("period_ns", period_ns)
    with scratch("sdf") as folder, OpenSta(library) as opensta:
        source, target = folder / "netlist.v", folder / "netlist.sdf"
        source.write_text(verilog)
        opensta.load(source, top, period_ns, clock)
        if spef is not None:
            opensta.annotate(spef)
        slack_ns = opensta.slack_ns()
        opensta.write_sdf(target)
        sdf = read_sdf(target.read_text())
        paths = path_delays(netlist, cells, sdf, _ask_senses(opensta, netlist, cells, sdf))
    return NetlistDelays(paths, period_ns - slack_ns)


def path_delays(
    netlist: Netlist,
    cells: LibraryCells,
    sdf: Mapping[str, CellPaths],
    entry_senses: Mapping[tuple[str, Pair], Sequence[str]],
) -> tuple[Mapping[Pair, PathDelay], ...]:
    """The delays of every instance: exactly one for each pin pair of hwmodel.library.verilog.delay_pairs.

    Pairs of inputs tied to a constant are left out, and those of clock gates, since the clock is ideal; clear and
    preset take as long as the clock.
    ``entry_senses``: for a cell and pair the Liberty sense of each SDF entry, for those where conditions
    do not tell.  Negative delays (a slow edge into a fast gate) become SHORTEST_NS.  ValueError where
    the SDF lacks a pair or has zero for both edges, has one too many, or is of another cell.
    """
    plans: dict[str, _Plan] = {}
    found = []
    for instance in netlist.instances:
        if instance.cell not in plans:
            plans[instance.cell] = _Plan(cells[instance.cell], entry_senses)
        plan = plans[instance.cell]
        found.append({pair: plan.merge(instance, pair, entries) for pair, entries in _entries(instance, plan, sdf)})
    return tuple(found)


class _Plan:
    """How the entries of one cell are merged: the same for all its instances."""

    def __init__(self, model: CellModel, entry_senses: Mapping[tuple[str, Pair], Sequence[str]]) -> None:
        self.pairs = delay_pairs(model)
        self.flip_flop = model.flip_flop
        self.is_clock_gate = model.clock_gate is not None
        self._model = model
        self._senses = entry_senses
        self._known: dict[Pair, tuple[list[Expression | None], _Weights]] = {}

    def merge(self, instance: Instance, pair: Pair, entries: Sequence[Entry]) -> PathDelay:
        """The delays of one pair of an instance.  ValueError where OpenSTA timed nothing, which it writes as 0."""
        follow, oppose = (_mean(entries, weights) for weights in self._weights(pair, entries))
        follow, oppose = follow or oppose, oppose or follow
        if follow is None or oppose is None or not (any(follow) and any(oppose)):
            raise InputError(f"SDF must have a delay from {' to '.join(pair)} of {_label(instance)}, not zero")
        return PathDelay(_not_negative((follow[0], oppose[1])), _not_negative((oppose[0], follow[1])))

    def _weights(self, pair: Pair, entries: Sequence[Entry]) -> _Weights:
        if len(entries) == 1:
            return (1.0,), (1.0,)
        conditions = [entry.condition for entry in entries]
        if pair not in self._known or self._known[pair][0] != conditions:
            senses_of_entries = self._senses.get((self._model.name, pair))
            self._known[pair] = conditions, _weights(self._model, pair, conditions, senses_of_entries)
        return self._known[pair][1]


def _label(instance: Instance) -> str:
    return f"{instance.name} ({instance.cell})"


def _entries(instance: Instance, plan: _Plan, sdf: Mapping[str, CellPaths]) -> Iterator[tuple[Pair, tuple[Entry, ...]]]:
    """The pairs of an instance that can switch, with their entries; those of the clock for clear and preset."""
    paths = sdf.get(instance.name, CellPaths(instance.cell, {}))
    if paths.cell != instance.cell:
        raise InputError(f"SDF must be of the same netlist, but it has {instance.name} as {paths.cell}")
    if plan.is_clock_gate:
        return
    strange = sorted(paths.entries.keys() - plan.pairs.keys())
    if strange:
        path = " to ".join(strange[0])
        raise InputError(f"SDF must have paths of the cell only, and {path} of {_label(instance)} is none")
    for pair in plan.pairs:
        if instance.pins[pair[0]] > ONE_NET:
            timed = pair
            if plan.flip_flop is not None and pair[0] not in plan.flip_flop.clock_pins:
                timed = (min(plan.flip_flop.clock_pins), pair[1])  # OpenSTA does not time clear and preset
            if timed not in paths.entries:
                raise InputError(f"SDF must have every path, and {' to '.join(timed)} of {_label(instance)} is missing")
            yield pair, paths.entries[timed]


def _weights(
    model: CellModel, pair: Pair, conditions: Sequence[Expression | None], known: Sequence[str] | None
) -> _Weights:
    """The share of each entry in the mean over the states where the output follows, and where it opposes.

    An entry without condition stands for the states no other names.  No entry has a share where the
    output never does so.
    """
    source, output = pair
    count = len(conditions)
    if model.flip_flop is not None:
        return [1.0] * count, [1.0] * count
    columns = input_columns([pin for pin in model.inputs if pin != source])
    ones = (1 << (1 << len(columns))) - 1
    follows, opposes = senses(model.outputs[output], source, columns)
    try:
        states = [None if condition is None else condition.evaluate(columns, ones) for condition in conditions]
    except KeyError as pin:
        raise InputError(
            f"a condition of {' to '.join(pair)} of {model.name} must be of its other inputs, not {pin}"
        ) from None
    named = 0
    for state in states:
        named |= state or 0
    kinds = {"positive_unate": follows, "negative_unate": opposes}
    for index, state in enumerate(states):
        if state is None:
            states[index] = ~named & (kinds.get(known[index], ones) if known else ones)
    shares = []
    for wanted in (follows, opposes):
        share = [0.0] * count
        for row in range(1 << len(columns)):
            holding = [index for index, state in enumerate(states) if (state or 0) & wanted & 1 << row]
            for index in holding:
                share[index] += 1 / len(holding)
        shares.append(share)
    if not any(shares[0]) and not any(shares[1]):  # entries of states in which the function does not switch
        return [1.0] * count, [1.0] * count
    return shares[0], shares[1]


def _mean(entries: Sequence[Entry], weights: Sequence[float]) -> tuple[float, float] | None:
    """Mean rise and fall; the one for both where the other has no value, None where both have not."""
    if len(entries) == 1:
        found = [entries[0].rise_ns, entries[0].fall_ns]
    else:
        found = [
            _weighted([entry.rise_ns for entry in entries], weights),
            _weighted([entry.fall_ns for entry in entries], weights),
        ]
    rise, fall = found
    if rise is None or fall is None:
        either = rise if fall is None else fall
        return None if either is None else (either, either)
    return rise, fall


def _weighted(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted mean of the values there are; None where they have no weight."""
    pairs = [(weight, value) for weight, value in zip(weights, values, strict=True) if value is not None]
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if total else None


def _not_negative(rise_and_fall_ns: tuple[float, float]) -> tuple[float, float]:
    return max(rise_and_fall_ns[0], SHORTEST_NS), max(rise_and_fall_ns[1], SHORTEST_NS)


def _ask_senses(
    opensta: OpenSta, netlist: Netlist, cells: LibraryCells, sdf: Mapping[str, CellPaths]
) -> dict[tuple[str, Pair], list[str]]:
    """The senses of entries without condition, of one instance of each cell where it matters.

    OpenSTA writes the entries of a pair in the order in which it lists their timing edges.
    """
    found: dict[tuple[str, Pair], list[str]] = {}
    for instance in {one.cell: one for one in netlist.instances}.values():
        binate = [pair for pair, both in delay_pairs(cells[instance.cell]).items() if both]
        entries = sdf[instance.name].entries if instance.name in sdf else {}
        wanted = [pair for pair in binate if sum(e.condition is None for e in entries.get(pair, ())) > 1]
        if not wanted:
            continue
        for line in opensta.ask(_SENSES % tcl_word(instance.name)).splitlines():
            source, output, sense = line.replace("\\", "").removeprefix("@sense ").split(" ")
            pair = source.rpartition("/")[2], output.rpartition("/")[2]
            if pair in wanted:
                found.setdefault((instance.cell, pair), []).append(sense)
        for pair in wanted:
            if len(found.get((instance.cell, pair), ())) != len(entries[pair]):
                raise TimingError(f"OpenSTA must list the edges of {' to '.join(pair)} of {_label(instance)} as in SDF")
    return found


_SENSES = (
    "foreach edge [join [get_timing_edges -of_objects [get_cells %s]]] "
    '{puts "@sense [get_full_name [$edge from_pin]] [get_full_name [$edge to_pin]] [$edge sense]"}'
)
