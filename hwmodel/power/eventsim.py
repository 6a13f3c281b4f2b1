"""An event-driven simulation of a mapped netlist with delays, in Python: a check of the one in Icarus Verilog.

Shares nothing with it but the delays.  Truth tables instead of Verilog, whole femtoseconds in a heap, and
the textbook rule of inertial delay: an output has at most one change under way, and it is called off
when the inputs go back on it before its time.  (Icarus lets some of these through: at the time of any
change it takes whatever value its gate then has; that is the ``lenient`` rule.)  A change takes the
delay from the input that switched; of several at once, the shortest.

Slow (some microseconds an event) and plain: one clock, straight from its port or through clock gates that take no
time, and flip-flops without a clear or preset that could act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

from hwmodel.library import ONE_NET, Expression, FlipFlop, LibraryCells, PathDelay
from hwmodel.netlist import ClockNet, Instance, Netlist, clock_nets
from siliquant.inputs import InputError

__all__ = ["count_transitions"]

_FS_PER_NS = 1_000_000
_Paths = Mapping[tuple[str, str], PathDelay]


_Times = tuple[tuple[int, int], tuple[int, int]]  # by the new value of the input, then of the output


def count_transitions(
    netlist: Netlist,
    cells: LibraryCells,
    delays: Sequence[_Paths],
    stimulus: Mapping[str, Sequence[int]],
    *,
    first: int,
    cycles: int,
    launch_ns: float,
    clock: str = "clk",
    lenient: bool = False,
) -> dict[int, int]:
    """Transitions of every connected net that a cell drives, in ``cycles`` cycles from cycle ``first`` on.

    Registers start at 0 in cycle 0; inputs take their words launch_ns after the edge that starts a
    cycle; a cycle ends when nothing is left to happen.  delays[i]: those of instance i by (input, output).
    lenient: let pulses through as Icarus does.  ValueError for a netlist that is not plain (see above).
    """
    run = _Run(netlist.net_count, lenient)
    registers = []
    clocks = _clocks(netlist, cells, clock)
    for instance, paths in zip(netlist.instances, delays, strict=True):
        flop = cells[instance.cell].flip_flop
        if flop is not None:
            enables = _check_plain(instance, flop, clocks)
            registers.append(_Register(run, instance, flop, cells[instance.cell].outputs, paths, enables))
            continue
        if cells[instance.cell].clock_gate is not None:
            continue
        for pin, function in cells[instance.cell].outputs.items():
            if pin in instance.pins:
                run.add_gate(instance, pin, function, paths)
    inputs = {port: nets for port, nets in netlist.inputs.items() if port != clock}
    for cycle in range(first + cycles):
        if cycle == first:
            run.transitions = [0] * netlist.net_count
        for register, state in [(register, register.next_state(run)) for register in registers] if cycle else []:
            register.store(run, state)
        for port, nets in inputs.items():
            for bit, net in enumerate(nets):
                run.schedule(net, stimulus[port][cycle] >> bit & 1, round(launch_ns * _FS_PER_NS))
        run.settle()
    driven = {register_net for register in registers for register_net, _ in register.outputs} | run.gates.keys()
    return {net: run.transitions[net] for net in sorted(driven)}


def _fall_and_rise_fs(rise_and_fall_ns: tuple[float, float]) -> tuple[int, int]:
    rise_ns, fall_ns = rise_and_fall_ns
    return round(fall_ns * _FS_PER_NS), round(rise_ns * _FS_PER_NS)


class _Gate:
    """What drives a net: bit r of ``table`` is its value where the nets it reads have the bits of r."""

    __slots__ = ("net", "reads", "table")

    def __init__(self, net: int, function: Expression, pins: Mapping[str, int]) -> None:
        names = sorted(function.names)
        rows = range(1 << len(names))
        columns = {name: sum((row >> place & 1) << row for row in rows) for place, name in enumerate(names)}
        self.net = net
        self.reads = [pins[name] for name in names]
        self.table = function.evaluate(columns, (1 << len(rows)) - 1)

    def value(self, values: Sequence[int]) -> int:
        row = 0
        for place, net in enumerate(self.reads):
            row |= values[net] << place
        return self.table >> row & 1


class _Run:
    """The present values, and the changes to come, of which each net has at most one."""

    def __init__(self, net_count: int, lenient: bool) -> None:
        self._lenient = lenient
        self.values = [0] * net_count
        self.values[ONE_NET] = 1
        self.transitions = [0] * net_count
        self.gates: dict[int, _Gate] = {}
        self._readers: list[list[tuple[_Gate, _Times]]] = [[] for _ in range(net_count)]
        self._coming: dict[int, tuple[int, int]] = {}  # net to the number and the value of its change
        self._heap: list[tuple[int, int, int]] = []  # time, number, net
        self._number = 0
        self._new_gates: list[_Gate] = []

    def add_gate(self, instance: Instance, pin: str, function: Expression, paths: _Paths) -> None:
        gate = _Gate(instance.pins[pin], function, instance.pins)
        self.gates[gate.net] = gate
        for (source, output), delay in paths.items():
            if output == pin:
                times = _fall_and_rise_fs(delay.after_fall), _fall_and_rise_fs(delay.after_rise)
                self._readers[instance.pins[source]].append((gate, times))
        self._new_gates.append(gate)

    def schedule(self, net: int, value: int, time: int) -> None:
        """A change at a time, where it is not under way already.

        One under way to the other value is called off; when lenient, it will find the newer value.
        """
        if value == (self._coming[net][1] if net in self._coming else self.values[net]):
            return
        self._coming.pop(net, None)
        if value != self.values[net] or self._lenient:
            self._number += 1
            self._coming[net] = (self._number, value)
            heappush(self._heap, (time, self._number, net))

    def settle(self) -> None:
        """Let everything happen."""
        for gate in self._new_gates:  # whatever does not fit its inputs at the start
            self.schedule(gate.net, gate.value(self.values), 0)
        self._new_gates = []
        while self._heap:
            time = self._heap[0][0]
            due: dict[int, tuple[_Gate, int, int]] = {}  # net to its gate, shortest fall and rise
            for net in self._changes_at(time):
                for gate, times in self._readers[net]:
                    fall, rise = times[self.values[net]]
                    if gate.net in due:
                        _, other_fall, other_rise = due[gate.net]
                        fall, rise = min(fall, other_fall), min(rise, other_rise)
                    due[gate.net] = (gate, fall, rise)
            for gate, fall, rise in due.values():
                value = gate.value(self.values)
                self.schedule(gate.net, value, time + (rise if value else fall))

    def _changes_at(self, time: int) -> list[int]:
        changed = []
        while self._heap and self._heap[0][0] == time:
            _, number, net = heappop(self._heap)
            last, value = self._coming.get(net, (0, 0))
            if last == number or (self._lenient and last):
                if last == number:
                    del self._coming[net]
                if value != self.values[net]:
                    self.values[net] = value
                    self.transitions[net] += 1
                    changed.append(net)
        return changed


class _Register:
    """A flip-flop: its state, and for each output its net and the (fall, rise) delay from the clock."""

    def __init__(
        self,
        run: _Run,
        instance: Instance,
        flop: FlipFlop,
        outputs: Mapping[str, Expression],
        paths: _Paths,
        enables: Sequence[int],
    ) -> None:
        self._state = 0
        self._flop = flop
        self._pins = instance.pins
        self._enables = enables
        self._names = sorted(flop.next_state.names)
        self._functions: dict[int, Expression] = {}
        self.outputs: list[tuple[int, tuple[int, int]]] = []
        for pin, function in outputs.items():
            if pin in instance.pins:
                net = instance.pins[pin]
                delay = next(paths[source, pin] for source in flop.clock_pins)
                self.outputs.append((net, _fall_and_rise_fs(delay.after_rise)))
                self._functions[net] = function
                run.values[net] = function.evaluate(self._stored(), 1)

    def _stored(self) -> dict[str, int]:
        return {self._flop.state: self._state, self._flop.inverse: 1 - self._state}

    def next_state(self, run: _Run) -> int:
        """What the clock edge stores; what there is, where a gate on the way does not let it through."""
        if not all(run.values[net] for net in self._enables):
            return self._state
        stored = self._stored()
        values = {name: stored[name] if name in stored else run.values[self._pins[name]] for name in self._names}
        return self._flop.next_state.evaluate(values, 1)

    def store(self, run: _Run, state: int) -> None:
        """The clock edge, at time 0."""
        self._state = state
        for net, delays in self.outputs:
            value = self._functions[net].evaluate(self._stored(), 1)
            run.schedule(net, value, delays[value])


def _clocks(netlist: Netlist, cells: LibraryCells, clock: str) -> Mapping[int, ClockNet]:
    """The clock port and what clock gates make of it."""
    gates = ((instance, cells[instance.cell].clock_gate) for instance in netlist.instances)
    plain = {*netlist.inputs[clock], *(instance.pins[gate.output] for instance, gate in gates if gate is not None)}
    return {net: found for net, found in clock_nets(netlist, cells, clock).items() if net in plain}


def _check_plain(instance: Instance, flop: FlipFlop, clocks: Mapping[int, ClockNet]) -> Sequence[int]:
    """The nets at the enables of the clock gates in front of it."""
    found = [clocks.get(instance.pins[pin]) for pin in flop.clock_pins]
    clock = found[0] if len(found) == 1 else None
    if clock is None:
        raise InputError(f"flip-flop {instance.name} must be clocked by the clock port, or by a gate of it")
    for forced in (flop.clear, flop.preset):
        if forced is not None:
            tied = {name: int(instance.pins[name] == ONE_NET) for name in forced.names}
            if any(instance.pins[name] > ONE_NET for name in forced.names) or forced.evaluate(tied, 1):
                raise InputError(f"flip-flop {instance.name} must have its clear and preset tied off")
    return clock.enables
