"""The longest path between registers of a design, in steps that a library gives a delay each.

The plan of the datapath knows every gate and how many inputs each net drives. Two kinds of netlist are told apart: the
smallest, whose carry-propagate adders ripple, and the fastest, whose adders look ahead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from hwmodel.fanout import LARGEST_FANOUT
from hwmodel.structure import OWN_INPUTS, Part, Planned, datapath_of, nodes_of
from rtl.circuit import Bit, Op

__all__ = ["ALONE", "Adders", "LongestPath", "Periods", "Reach", "Step", "longest_path", "periods"]


class Step(Enum):
    """What a path is made of; the value is what tables call it. One delay each, in ns, is fitted a library."""

    START = "clock to output"
    AND = "AND term"
    OR = "OR gate"
    XOR = "XOR gate"
    MUX = "multiplexer"
    SUM = "full adder, sum"
    CARRY = "full adder, carry"
    HALF = "half adder"
    RIPPLE = "carry-propagate adder, carry"  # a bit where adders ripple, log2(bits + 1) where they look ahead
    TOTAL = "carry-propagate adder, sum"
    FAN_OUT = "fan-out, doublings"
    LOAD = "fan-out, inputs driven"
    BUFFERS = "fan-out, layers of buffers"
    SETUP = "hold multiplexer and setup"


class Adders(Enum):
    """How carry-propagate adders are built."""

    RIPPLE = "ripple"
    PREFIX = "prefix"


@dataclass(frozen=True)
class Reach:
    """How many datapaths the registers of weights, of activations and of all other operands drive."""

    weights: int = 1
    activations: int = 1
    others: int = 1

    def of(self, port: str) -> int:
        """That of an operand port."""
        return {"weights": self.weights, "activations": self.activations}.get(port, self.others)


ALONE = Reach()
"""Registers of one datapath: a MAC by itself."""


@dataclass(frozen=True)
class LongestPath:
    """The slowest path under given delays: its time in ns, how often each step occurs, and its pipeline stage."""

    ns: float
    steps: Mapping[Step, float]
    stage: int


@dataclass(frozen=True)
class Periods:
    """Longest paths in ns, where adders ripple and where they look ahead; ``ripple``: which share of the first passes
    through carry-propagate adders, 0 to 1.
    """

    relaxed_ns: float
    fastest_ns: float
    ripple: float


_STEPS: Mapping[Op, tuple[Step | None, ...]] = {
    Op.NOT: (None,),  # costs nothing: what reads it takes the inverted signal
    Op.AND: (Step.AND,),
    Op.OR: (Step.OR,),
    Op.XOR: (Step.XOR,),
    Op.MUX: (Step.MUX,),
    Op.FULL_ADDER: (Step.SUM, Step.CARRY),
    Op.HALF_ADDER: (Step.HALF, Step.HALF),
}


@dataclass(frozen=True)
class _Move:
    """One gate, or one bit or word of an adder: its variable inputs, and each output with the step to it.

    A net is named by its bit, or by the complement of its bit where a register holds it. ``loaded``: whether the
    outputs drive what the fan-out of their bits says.
    """

    inputs: tuple[int, ...]
    outputs: tuple[tuple[Bit, tuple[tuple[Step, float], ...], bool], ...]


@dataclass(frozen=True)
class _Graph:
    """What does not depend on delays. ``ends``: (net, stage, whether a register takes it)."""

    moves: Mapping[Adders, tuple[_Move, ...]]
    fan_out: Mapping[int, tuple[tuple[Step, float], ...]]
    registers: tuple[int, ...]
    ends: tuple[tuple[int, int, bool], ...]


def longest_path(spec: Planned, delays_ns: Mapping[Step, float], adders: Adders, reach: Reach = ALONE) -> LongestPath:
    """The slowest path of a design where each step takes ``delays_ns``, its operands from registers of that reach."""
    graph = _graph(spec, reach)
    load_ns = {net: sum(delays_ns[step] * number for step, number in steps) for net, steps in graph.fan_out.items()}
    ns = {net: delays_ns[Step.START] + load_ns[net] for net in graph.registers}
    reached: dict[int, tuple[int, tuple[tuple[Step, float], ...], bool]] = {}
    for move in graph.moves[adders]:
        before = max(move.inputs, key=ns.__getitem__)
        start = ns[before]
        for bit, steps, loaded in move.outputs:
            time = start
            for step, number in steps:
                time += delays_ns[step] * number
            ns[bit] = time + load_ns[bit] if loaded else time
            reached[bit] = before, steps, loaded
    setup = delays_ns[Step.SETUP]
    net, stage, taken = max(graph.ends, key=lambda end: ns[end[0]] + (setup if end[2] else 0.0))
    found = dict.fromkeys(Step, 0.0)
    found[Step.SETUP] = 1.0 if taken else 0.0
    end_ns = ns[net] + (setup if taken else 0.0)
    while True:
        before, steps, loaded = reached.get(net, (net, ((Step.START, 1.0),), True))
        for step, number in steps:
            found[step] += number
        for step, number in graph.fan_out[net] if loaded else ():
            found[step] += number
        if before == net:
            return LongestPath(end_ns, found, stage)
        net = before


def periods(
    spec: Planned, relaxed_ns: Mapping[Step, float], fastest_ns: Mapping[Step, float], reach: Reach = ALONE
) -> Periods:
    """The longest paths of a design under the delays of both kinds of netlist."""
    relaxed = longest_path(spec, relaxed_ns, Adders.RIPPLE, reach)
    fastest = longest_path(spec, fastest_ns, Adders.PREFIX, reach)
    ripple_ns = relaxed.steps[Step.RIPPLE] * relaxed_ns[Step.RIPPLE]
    return Periods(relaxed.ns, fastest.ns, ripple_ns / relaxed.ns if relaxed.ns else 0.0)


@lru_cache(maxsize=256)
def _graph(spec: Planned, reach: Reach) -> _Graph:
    plan = datapath_of(spec)
    nodes, gates = nodes_of(plan), plan.schedule.gates
    drives = Counter(bit for gate in gates for bit in gate.inputs)
    drives.update((*plan.next_accumulator, *plan.output))
    for port, bits in plan.circuit.inputs.items():
        if port not in OWN_INPUTS:
            for bit in bits:
                drives[bit] *= reach.of(port)
    made_in = {bit: node.stage for node in nodes for bit in node.outputs}
    registers: dict[int, None] = {}

    def net(bit: Bit, stage: int) -> int:
        """The net as a gate of ``stage`` sees it: made there, or out of a register."""
        if made_in.get(bit) == stage:
            return bit
        registers.setdefault(~bit)
        return ~bit

    def nets(bits: Iterable[Bit], stage: int) -> tuple[int, ...]:
        return tuple(net(bit, stage) for bit in bits if bit > 1)

    ripple, prefix = [], []
    for node in nodes:
        inputs = nets(node.inputs, node.stage)
        if node.part is Part.CARRY_BITS:
            total, carry = node.outputs
            ripple.append(_Move(inputs, ((total, ((Step.TOTAL, 1.0),), True), (carry, ((Step.RIPPLE, 1.0),), False))))
            continue
        ripple.append(_Move(inputs, _outputs(node.op, node.outputs)))
    for gate in gates:
        stage = plan.schedule.stage[gate.outputs[0]]
        inputs = nets(gate.inputs, stage)
        if gate.op is Op.ADD:
            steps_of_word = ((Step.TOTAL, 1.0), (Step.RIPPLE, math.log2(len(gate.outputs) + 1)))
            prefix.append(_Move(inputs, tuple((bit, steps_of_word, True) for bit in gate.outputs)))
            continue
        prefix.append(_Move(inputs, _outputs(gate.op, gate.outputs)))
    ends = [(net(bit, spec.pipeline_stages), spec.pipeline_stages, True) for bit in plan.next_accumulator if bit > 1]
    for crossing, bits in enumerate(plan.schedule.crossings):
        ends += [(int(bit), crossing, True) for bit in bits if made_in.get(bit) == crossing]
    last = spec.pipeline_stages + 1
    ends += [(net(bit, last), last, False) for bit in plan.output if bit > 1]
    fan_out = {}
    for bit in {*made_in, *(Bit(~register) for register in registers)}:
        fan_out[int(bit)] = fan_out[~bit] = _fan_out(drives.get(bit, 1))
    return _Graph({Adders.RIPPLE: tuple(ripple), Adders.PREFIX: tuple(prefix)}, fan_out, tuple(registers), tuple(ends))


def _fan_out(inputs: int) -> tuple[tuple[Step, float], ...]:
    """The steps through a net that drives so many inputs: what is more than one output drives comes from buffers."""
    layers = 0
    while inputs > LARGEST_FANOUT:
        inputs, layers = -(-inputs // LARGEST_FANOUT), layers + 1
    most = LARGEST_FANOUT if layers else inputs
    return (Step.FAN_OUT, math.log2(1 + most)), (Step.LOAD, float(most)), (Step.BUFFERS, float(layers))


def _outputs(op: Op, bits: Iterable[Bit]) -> tuple[tuple[Bit, tuple[tuple[Step, float], ...], bool], ...]:
    return tuple(
        (bit, ((step, 1.0),) if step else (), step is not None) for bit, step in zip(bits, _STEPS[op], strict=True)
    )
