"""Zero-delay evaluation of a mapped netlist, all cycles at once.

Every net is a Python integer whose bit t is its settled value in cycle t.  Gates are evaluated once
for all cycles, in dependency order.  Registers that do not depend on themselves are a shift by one
cycle.  What remains are loops through registers, taken one strongly connected component at a time:

    one register     its next state is a function of its own present bit, known for every cycle; the
                     functions are composed by parallel prefix (Kogge-Stone) in log2(cycles) steps.
                     Accumulators fall apart into such components, as bit i depends on bits <= i.
    more registers   repeated evaluation until nothing changes, in blocks of cycles; each pass settles
                     at least one more cycle of the block.

Registers start at 0. One behind clock gates keeps what it has in a cycle that ends without their enables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwmodel.library import ONE_NET, And, CellModel, Evaluator, Expression, FlipFlop, LibraryCells, Not, Or, Variable
from siliquant.inputs import InputError

from .clocks import clock_nets
from .netlist import Instance, Netlist
from .schedule import components

_BLOCK_CYCLES = 256


@dataclass(frozen=True, slots=True)
class _Node:
    """How one net gets its value: from gates, or one cycle later through a register."""

    evaluate: Evaluator
    reads: tuple[int, ...]
    is_register: bool


class GateLevel:
    """A netlist made ready for evaluation.

    ``pins[i]`` maps every pin of instance i, connected or not, and the names of its state to net
    numbers.  ``clock_nets``: those that carry the clock, gated ones too.
    ``net_count`` counts the nets with those added for unconnected outputs and states.
    """

    def __init__(self, netlist: Netlist, cells: LibraryCells, clock: str) -> None:
        self.netlist = netlist
        self.net_count = netlist.net_count
        self.pins: list[dict[str, int]] = []
        self.clock_nets = clock_nets(netlist, cells, clock)
        self._clock = clock
        self._nodes: dict[int, _Node] = {}
        for instance in netlist.instances:
            self.pins.append(self._add(instance, cells[instance.cell]))
        self._check_drivers()

    def run(self, stimulus: Mapping[int, int], cycles: int) -> list[int]:
        """The waveform of every net, from those of the input nets; clock nets are held low.

        ValueError when gates form a loop with no register in it.
        """
        ones = (1 << cycles) - 1
        values = [0] * self.net_count
        values[ONE_NET] = ones
        for net, wave in stimulus.items():
            values[net] = wave
        for component in components({net: node.reads for net, node in self._nodes.items()}):
            net, node = component[0], self._nodes[component[0]]
            if len(component) == 1 and net not in node.reads:
                value = node.evaluate(values)
                values[net] = (value << 1) & ones if node.is_register else value
                continue
            registers = [member for member in component if self._nodes[member].is_register]
            gates = self._gate_order(component, registers)
            if len(registers) == 1:
                self._settle_one(registers[0], gates, values, ones)
            else:
                self._settle_many(registers, gates, values, cycles)
        return values

    def _add(self, instance: Instance, model: CellModel) -> dict[str, int]:
        pins = dict(instance.pins)
        for pin in pins:
            if pin not in model.capacitance_pf and pin not in model.outputs:
                raise InputError(f"pin {pin} of {instance.name} must be a pin of {model.name}")
        for pin in model.inputs:
            if pin not in pins:
                raise InputError(f"input {pin} of {instance.name} ({model.name}) must be connected")
        for pin in model.outputs:
            pins.setdefault(pin, self._new_net())
        if model.flip_flop is not None:
            self._add_flip_flop(instance, model.flip_flop, pins)
        else:
            self._check_no_clock(instance, model, pins)
        for pin, function in model.outputs.items():
            self._drive(pins[pin], function, pins, instance)
        return pins

    def _add_flip_flop(self, instance: Instance, flop: FlipFlop, pins: dict[str, int]) -> None:
        clocks = [(pin, self.clock_nets.get(pins[pin])) for pin in sorted(flop.clock_pins)]
        levels = {pin: clock.direct for pin, clock in clocks if clock is not None}
        if len(levels) < len(clocks) or not _rises(flop.clocked_on, levels):
            raise InputError(
                f"flip-flop {instance.name} ({instance.cell}) must be clocked by the rising edge of {self._clock}"
            )
        pins[flop.state], pins[flop.inverse] = self._new_net(), self._new_net()
        stored, holds = flop.next_state, []
        for number, net in enumerate(dict.fromkeys(net for _, clock in clocks if clock for net in clock.enables)):
            name = f"{flop.state} enable {number}"
            pins[name], loads = net, Variable(name)
            holds.append(name)
            stored = Or(And(loads, stored), And(Not(loads), Variable(flop.state)))
        if flop.clear is None and flop.preset is None:
            self._drive(pins[flop.state], stored, pins, instance, is_register=True)
        else:  # level-sensitive: they act on the stored value and, at the edge, on the next one
            hidden = f"{flop.state} stored"
            pins[hidden] = self._new_net()
            self._drive(pins[hidden], _cleared(stored, flop), pins, instance, is_register=True)
            self._drive(pins[flop.state], _cleared(Variable(hidden), flop), pins, instance)
            del pins[hidden]
        self._drive(pins[flop.inverse], Not(Variable(flop.state)), pins, instance)
        for name in holds:
            del pins[name]

    def _check_no_clock(self, instance: Instance, model: CellModel, pins: Mapping[str, int]) -> None:
        gate = model.clock_gate
        if gate is not None and pins[gate.clock] not in self.clock_nets:
            raise InputError(f"clock gate {instance.name} ({model.name}) must be of the clock {self._clock}")
        others = [pin for pin in model.inputs if gate is None or pin != gate.clock]
        clocked = [pin for pin in others if pins[pin] in self.clock_nets]
        if clocked and len(model.inputs) > 1:
            raise InputError(
                f"pin {clocked[0]} of {instance.name} ({model.name}) must not read the clock {self._clock}: "
                "only flip-flops, buffers, inverters and clock gates may"
            )

    def _drive(
        self, net: int, function: Expression, pins: Mapping[str, int], instance: Instance, is_register: bool = False
    ) -> None:
        if net in self._nodes or net <= ONE_NET:
            raise InputError(f"net {self.netlist.net_label(net)} must have one driver, but {instance.name} is another")
        reads = tuple(pins[name] for name in sorted(function.names))
        self._nodes[net] = _Node(function.bind(pins), reads, is_register)

    def _new_net(self) -> int:
        self.net_count += 1
        return self.net_count - 1

    def _check_drivers(self) -> None:
        driven = {net for nets in self.netlist.inputs.values() for net in nets}
        for net in driven:
            if net in self._nodes:
                raise InputError(f"input port bit {self.netlist.net_label(net)} must not be driven inside")
        for node in self._nodes.values():
            for net in node.reads:
                if net > ONE_NET and net not in driven and net not in self._nodes:
                    raise InputError(f"net {self.netlist.net_label(net)} must have a driver")

    def _gate_order(self, component: Sequence[int], registers: Sequence[int]) -> list[tuple[int, Evaluator]]:
        gates = {net: self._nodes[net].reads for net in component if net not in registers}
        order = []
        for part in components(gates):
            if len(part) > 1 or part[0] in gates[part[0]]:
                names = ", ".join(self.netlist.net_label(net) for net in part[:4] if net < self.netlist.net_count)
                raise InputError(f"the netlist must not have loops without a register, but it has one through {names}")
            order.append((part[0], self._nodes[part[0]].evaluate))
        return order

    def _settle_one(self, register: int, gates: Sequence[tuple[int, Evaluator]], values: list[int], ones: int) -> None:
        following = self._nodes[register].evaluate
        after = []
        for assumed in (0, ones):  # the next state if the present one is 0 and if it is 1, for every cycle
            values[register] = assumed
            for net, evaluate in gates:
                values[net] = evaluate(values)
            after.append(following(values))
        from_zero, from_one = after
        span, cycles = 1, ones.bit_length()
        while span < cycles:  # compose each cycle's function with that of the span before it
            early_zero = (from_zero << span) & ones
            early_one = ((from_one << span) & ones) | ((1 << span) - 1)
            from_zero, from_one = (
                (early_zero & from_one) | ((early_zero ^ ones) & from_zero),
                (early_one & from_one) | ((early_one ^ ones) & from_zero),
            )
            span *= 2
        values[register] = (from_zero << 1) & ones
        for net, evaluate in gates:
            values[net] = evaluate(values)

    def _settle_many(
        self, registers: Sequence[int], gates: Sequence[tuple[int, Evaluator]], values: list[int], cycles: int
    ) -> None:
        following = [(net, self._nodes[net].evaluate) for net in registers]
        inside = set(registers).union(net for net, _ in gates)
        outside = {net for member in inside for net in self._nodes[member].reads} - inside
        block = [0] * self.net_count
        start_bits = dict.fromkeys(registers, 0)
        for start in range(0, cycles, _BLOCK_CYCLES):
            length = min(_BLOCK_CYCLES, cycles - start)
            mask = (1 << length) - 1
            for net in outside:
                block[net] = (values[net] >> start) & mask
            block[ONE_NET] = mask
            for net, bit in start_bits.items():
                block[net] = mask if bit else 0
            changed = True
            while changed:
                for net, evaluate in gates:
                    block[net] = evaluate(block)
                changed = False
                ahead = [(net, evaluate(block)) for net, evaluate in following]
                for net, value in ahead:
                    value_now = ((value << 1) & mask) | start_bits[net]
                    if value_now != block[net]:
                        block[net] = value_now
                        changed = True
            start_bits = {net: value >> (length - 1) & 1 for net, value in ahead}
            for net in inside:
                values[net] |= block[net] << start


def _cleared(stored: Expression, flop: FlipFlop) -> Expression:
    if flop.preset is not None:
        stored = Or(stored, flop.preset)
    return And(stored, Not(flop.clear)) if flop.clear is not None else stored


def _rises(clocked_on: Expression, levels: Mapping[str, bool]) -> bool:
    """Whether the clock expression goes from 0 to 1 when the clock does; False levels are inverted nets."""
    low = clocked_on.evaluate({pin: 0 if direct else 1 for pin, direct in levels.items()}, 1)
    high = clocked_on.evaluate({pin: 1 if direct else 0 for pin, direct in levels.items()}, 1)
    return (low, high) == (0, 1)
