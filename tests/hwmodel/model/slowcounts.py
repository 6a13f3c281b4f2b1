"""What hwmodel counts of a design, gate by gate in plain Python: slow, and simple enough to be believed.

Nothing here knows arrays, levels or groups of gates; the product's counts must be the same numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise

import numpy as np
import numpy.typing as npt

from hwmodel.model.flat import OWN_INPUTS
from hwmodel.model.paths import ALONE, Adders, LongestPath, Reach, Step
from hwmodel.model.structure import GATE_PARTS, Part, Planned, Share, Structure, datapath_of
from hwmodel.model.switching import Switching
from hwmodel.operands.stimulus import RESET_CYCLES, StreamPlan, make_stimulus
from hwmodel.yosys.fanout import LARGEST_FANOUT
from rtl.logic.circuit import ONE, ZERO, Bit, Circuit, Gate, Op, Word, gate_delay
from rtl.logic.datapath import Datapath
from rtl.logic.pipeline import Schedule
from rtl.spec.mac import MacSpec

__all__ = ["Node", "longest_path", "nodes_of", "schedule", "shares_of", "structure_of", "switching_of"]


@dataclass(frozen=True)
class Node:
    """One gate, or one bit of a carry-propagate adder; ``part`` is None for inverters.

    stage: the pipeline stage it works in.
    """

    op: Op
    inputs: tuple[Bit, ...]
    outputs: tuple[Bit, ...]
    part: Part | None
    stage: int


def structure_of(spec: MacSpec) -> Structure:
    """The counts of a design."""
    plan = datapath_of(spec)
    shares = shares_of(plan)
    counts: dict[Share, dict[Part, float]] = {share: dict.fromkeys(Part, 0) for share in Share}
    for gate in plan.schedule.gates:
        if gate.op in GATE_PARTS:
            number = len(gate.outputs) if gate.op is Op.ADD else 1
            counts[shares[gate.outputs[0]]][GATE_PARTS[gate.op]] += number
    for port in spec.operand_ports:
        counts[_PORTS.get(port.name, Share.ARRAY)][Part.OPERAND_REGISTERS] += port.width
    counts[Share.ARRAY][Part.OPERAND_REGISTERS] += 1  # clear
    for bits in plan.schedule.crossings:
        for bit in bits:
            counts[shares[bit]][Part.PIPELINE_REGISTERS] += 1
    for bit in plan.schedule.crossings[-1]:
        counts[shares[bit]][Part.HOLDS] += 1
    counts[Share.ELEMENT][Part.HOLDS] += spec.accumulator_width
    counts[Share.ELEMENT][Part.ACCUMULATOR_REGISTERS] = spec.accumulator_width
    counts[Share.ARRAY][Part.CONTROL_REGISTERS] = spec.latency
    operands = [_PORTS.get(port.name, Share.ARRAY) for port in spec.operand_ports for _ in range(port.width)]
    behind = [[shares[bit] for bit in bits] for bits in plan.schedule.crossings]
    behind[-1] += [Share.ELEMENT] * spec.accumulator_width
    for flip_flops in ([*operands, Share.ARRAY], *behind):
        gates = 0
        while len(flip_flops) >= 4 and 24 * gates < len(flip_flops):
            gates += 1
        for share in Share:
            counts[share][Part.CLOCK_GATES] += gates * flip_flops.count(share) / max(1, len(flip_flops))
    return Structure(counts)


_PORTS = {"weights": Share.COLUMN, "activations": Share.ROW}


def shares_of(plan: Datapath) -> dict[Bit, Share]:
    """What every bit of a plan depends on, constants included."""
    shares: dict[Bit, Share] = {}
    for name, bits in plan.circuit.inputs.items():
        share = Share.ELEMENT if name in OWN_INPUTS else _PORTS.get(name, Share.ARRAY)
        shares.update(dict.fromkeys(bits, share))
    shares |= dict.fromkeys((ZERO, ONE), Share.ARRAY)
    for gate in plan.schedule.gates:
        found = {shares[bit] for bit in gate.inputs} - {Share.ARRAY}
        share = Share.ARRAY if not found else found.pop() if len(found) == 1 else Share.ELEMENT
        shares.update(dict.fromkeys(gate.outputs, share))
    return shares


def nodes_of(plan: Datapath) -> list[Node]:
    """The gates in order, carry-propagate adders bit by bit."""
    nodes: list[Node] = []
    fresh = plan.circuit.bits
    for gate in plan.schedule.gates:
        stage = plan.schedule.stage[gate.outputs[0]]
        if gate.op is not Op.ADD:
            nodes.append(Node(gate.op, gate.inputs, gate.outputs, GATE_PARTS.get(gate.op), stage))
            continue
        width, carry = len(gate.outputs), ZERO
        for position, total in enumerate(gate.outputs):
            after, fresh = Bit(fresh), fresh + 1
            pair = (gate.inputs[position], gate.inputs[width + position])
            nodes.append(Node(Op.FULL_ADDER, (*pair, carry), (total, after), Part.CARRY_BITS, stage))
            carry = after
    return nodes


_QUARTERS = {  # delays in quarters of a full adder's sum, rounded from rtl.logic.circuit.DELAY
    Op.NOT: (0,),
    Op.AND: (1,),
    Op.OR: (1,),
    Op.XOR: (2,),
    Op.MUX: (2,),
    Op.FULL_ADDER: (4, 3),
    Op.HALF_ADDER: (2, 1),
}
_GLITCH_CYCLES = 256

Wave = list[tuple[int, int]]
"""Values over time within the cycle: (quarters, one bit a cycle), the first at time -1 what was before."""


def switching_of(spec: MacSpec, plan: StreamPlan) -> Switching:
    """The transitions of a design under a stream."""
    stimulus = make_stimulus(spec, plan)
    words = {name: column[RESET_CYCLES:] for name, column in stimulus.words.items() if name not in ("rst", "in_valid")}
    return _Run(datapath_of(spec), words, "clear").count()


class _Run:
    """One stream through one plan; registers are seen as wires: pipelining delays transitions, it makes none."""

    def __init__(self, plan: Datapath, words: Mapping[str, Sequence[int]], start: str) -> None:
        self.plan = plan
        self.words = {name: column for name, column in words.items() if name in plan.circuit.inputs}
        self.cycles = len(next(iter(self.words.values())))
        self.start = start
        self.feedback = [name for name in plan.circuit.inputs if name not in self.words]
        self.nodes = nodes_of(plan)
        self.shares = shares_of(plan)

    def count(self) -> Switching:
        """The transitions a cycle."""
        waves = self._waves()
        changes = self.cycles - 1
        settled, glitches, pulses = ({share: dict.fromkeys(Part, 0.0) for share in Share} for _ in range(3))
        for part, bits in self._registers().items():
            for bit in bits:
                settled[self.shares[bit]][part] += _toggles(waves[bit], changes) / changes
        for node in self.nodes:
            if node.part is not None:
                toggles = sum(_toggles(waves[bit], changes) for bit in node.outputs)
                settled[self._share(node)][node.part] += toggles / changes
        window = min(changes, _GLITCH_CYCLES)
        for node, number in _glitches(self.nodes, waves, window):
            if node.part is not None:
                glitches[self._share(node)][node.part] += number
        gates, owner = _in_gates(self.nodes)
        _evaluate([gate for gate in gates if gate.outputs[0] not in waves], waves, (1 << self.cycles) - 1)
        for gate, number in _glitches(gates, waves, window):
            if gate.part is not None and gate.outputs[0] in owner:
                pulses[self._share(owner[gate.outputs[0]])][gate.part] += number
        return Switching(settled, glitches, pulses)

    def _share(self, node: Node) -> Share:
        """That of its first output; carries inside adders have that of their sum."""
        return self.shares[node.outputs[0]]

    def _registers(self) -> dict[Part, list[Bit]]:
        inputs = self.plan.circuit.inputs
        return {
            Part.OPERAND_REGISTERS: [bit for name in self.words for bit in inputs[name]],
            Part.PIPELINE_REGISTERS: [bit for bits in self.plan.schedule.crossings for bit in bits],
            Part.ACCUMULATOR_REGISTERS: list(inputs[self.feedback[0]] if self.feedback else self.plan.next_accumulator),
        }

    def _waves(self) -> dict[Bit, int]:
        """Every bit over all cycles, one bit of an integer a cycle."""
        ones = (1 << self.cycles) - 1
        inputs = self.plan.circuit.inputs
        waves: dict[Bit, int] = {ZERO: 0, ONE: ones}
        for name, column in self.words.items():
            waves.update(zip(inputs[name], _transpose(column, len(inputs[name])), strict=True))
        late = _behind(self.nodes, {bit for name in self.feedback for bit in inputs[name]})
        _evaluate([node for node in self.nodes if node.outputs[0] not in late], waves, ones)
        if self.feedback:
            accumulator = self._accumulator(waves, late)
            for name in self.feedback:
                waves.update(zip(inputs[name], accumulator, strict=True))
        _evaluate([node for node in self.nodes if node.outputs[0] in late], waves, ones)
        return waves

    def _accumulator(self, known: Mapping[Bit, int], late: set[Bit]) -> list[int]:
        """The register of the sum over all cycles.

        Modulo its width, a cycle adds to the register what it makes of an empty one; where a sum starts, that is all.
        """
        register, following = self.plan.circuit.inputs[self.feedback[0]], self.plan.next_accumulator
        waves = dict(known) | dict.fromkeys(register, 0)
        ones = (1 << self.cycles) - 1
        _evaluate([node for node in _cone(self.nodes, following) if node.outputs[0] in late], waves, ones)
        places = np.arange(len(following), dtype=np.uint64)[:, None]
        bits = np.stack([_bits(waves[bit], self.cycles) for bit in following])
        added = np.cumsum((bits.astype(np.uint64) << places).sum(axis=0, dtype=np.uint64))
        start = np.array(self.words[self.start])
        before = np.concatenate((np.zeros(1, np.uint64), added))[np.flatnonzero(start)]
        after = added - before[np.cumsum(start) - 1]
        return [wave << 1 & ones for wave in _integers((after >> places & np.uint64(1)).astype(np.uint8))]


def _in_gates(nodes: Sequence[Node]) -> tuple[list[Node], dict[Bit, Node]]:
    """The nodes with full adders as gates, two XORs, two ANDs and an OR; and the adder of each bit that one makes."""
    gates: list[Node] = []
    owner: dict[Bit, Node] = {}
    fresh = count(1 + max((bit for node in nodes for bit in node.outputs), default=0))
    for node in nodes:
        if node.op is not Op.FULL_ADDER:
            gates.append(node)
            continue
        (a, b, c), (total, carry) = node.inputs, node.outputs
        half, both, through = (Bit(next(fresh)) for _ in range(3))
        for op, inputs, output in (
            (Op.XOR, (a, b), half),
            (Op.XOR, (half, c), total),
            (Op.AND, (a, b), both),
            (Op.AND, (half, c), through),
            (Op.OR, (both, through), carry),
        ):
            gates.append(Node(op, inputs, (output,), node.part, node.stage))
            owner[output] = node
    return gates, owner


def _cone(nodes: Sequence[Node], roots: Sequence[Bit]) -> list[Node]:
    """The nodes that ``roots`` depend on, in order."""
    needed = set(roots)
    found = []
    for node in reversed(nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            found.append(node)
    return found[::-1]


def _behind(nodes: Sequence[Node], sources: set[Bit]) -> set[Bit]:
    """The bits that depend on ``sources``, themselves included."""
    found = set(sources)
    for node in nodes:
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return found


def _evaluate(nodes: Sequence[Node], waves: dict[Bit, int], ones: int) -> None:
    for node in nodes:
        waves.update(zip(node.outputs, _apply(node.op, [waves[bit] for bit in node.inputs], ones), strict=True))


def _bits(wave: int, count: int) -> npt.NDArray[np.uint8]:
    """The bits of an integer, the lowest first."""
    packed = np.frombuffer(wave.to_bytes((count + 7) // 8, "little"), np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little")


def _integers(rows: npt.NDArray[np.uint8]) -> list[int]:
    """One integer a row of bits, the lowest first."""
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(rows, axis=1, bitorder="little")]


def _transpose(words: Sequence[int], width: int) -> list[int]:
    """Bit i of every word as one integer, the first word lowest, for each i below ``width``."""
    text = [format(word, f"0{width}b") for word in reversed(words)]
    return [int("".join(column), 2) for column in zip(*text, strict=True)][::-1] if width else []


def _toggles(wave: int, changes: int) -> int:
    return ((wave ^ (wave >> 1)) & ((1 << changes) - 1)).bit_count()


def _apply(op: Op, x: Sequence[int], ones: int) -> tuple[int, ...]:
    match op:
        case Op.NOT:
            return (x[0] ^ ones,)
        case Op.AND:
            return (x[0] & x[1],)
        case Op.OR:
            return (x[0] | x[1],)
        case Op.XOR:
            return (x[0] ^ x[1],)
        case Op.MUX:
            return (x[2] ^ (x[0] & (x[1] ^ x[2])),)
        case Op.HALF_ADDER:
            return x[0] ^ x[1], x[0] & x[1]
        case Op.FULL_ADDER:
            half = x[0] ^ x[1]
            return half ^ x[2], (x[0] & x[1]) | (x[2] & half)
        case Op.ADD:
            raise AssertionError("adders are expanded")


def _glitches(nodes: Sequence[Node], settled: Mapping[Bit, int], changes: int) -> Iterator[tuple[Node, float]]:
    """Transitions beyond one a cycle: every change of the inputs plays through the gates, all cycles side by side."""
    mask = (1 << changes) - 1
    steady = {bit: [(-1, wave & mask), (0, (wave >> 1) & mask)] for bit, wave in settled.items()}
    waves: dict[Bit, Wave] = {}
    made_in: dict[Bit, int] = {}
    for node in nodes:
        # What another stage made comes out of a register: all at once.
        inputs = [waves[bit] if made_in.get(bit) == node.stage else steady[bit] for bit in node.inputs]
        times, rows = _aligned(inputs)
        values = [_apply(node.op, row, mask) for row in rows]
        for number, bit in enumerate(node.outputs):
            wave = _delayed(times, [value[number] for value in values], _QUARTERS[node.op][number])
            waves[bit], made_in[bit] = wave, node.stage
            if len(wave) > 2:
                every = sum((a ^ b).bit_count() for (_, a), (_, b) in pairwise(wave))
                yield node, (every - (wave[0][1] ^ wave[-1][1]).bit_count()) / changes


def _aligned(waves: Sequence[Wave]) -> tuple[list[int], list[list[int]]]:
    """Every time at which one of the waves changes, and the values of all of them there."""
    times = sorted({time for wave in waves for time, _ in wave})
    columns = []
    for wave in waves:
        column, position = [], 0
        for time in times:
            while position + 1 < len(wave) and wave[position + 1][0] <= time:
                position += 1
            column.append(wave[position][1])
        columns.append(column)
    return times, [list(row) for row in zip(*columns, strict=True)]


def _delayed(times: Sequence[int], values: Sequence[int], delay: int) -> Wave:
    """A gate's output: later by ``delay``, without the pulses shorter than that."""
    cleaned = list(values)
    for index in range(1, len(times)):
        new = cleaned[index] ^ cleaned[index - 1]
        later = index + 1
        while new and later < len(times) and times[later] - times[index] < delay:
            back = new & (cleaned[later] ^ cleaned[index])
            for between in range(index, later):
                cleaned[between] ^= back
            new &= ~back
            later += 1
    kept: Wave = [(times[0], cleaned[0])]
    for time, value in zip(times[1:], cleaned[1:], strict=True):
        if value != kept[-1][1]:
            kept.append((time + delay, value))
    return kept


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


@lru_cache(maxsize=8)
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


_SLACK = 1.15


def schedule(circuit: Circuit, stages: int, last: Word, output: Word) -> Schedule:
    """Places ``stages`` registers between the inputs and ``last``; ``output`` lies one stage behind ``last``."""
    live = _live_gates(circuit, (*last, *output))
    if stages == 0:
        return _place(circuit, live, stages, last, output, float("inf"))[0]
    loop = max((circuit.arrival(bit) % 1e3 for bit in last), default=1.0)
    whole = _place(circuit, live, stages, last, output, float("inf"))[1]
    tried, budget = [], 0.0
    while budget < max(whole, 1.5 * loop):
        budget = (len(tried) + 1) * loop / 16
        tried.append(_place(circuit, live, stages, last, output, budget))
    shortest = min(longest for _, longest in tried)
    good = [plan for plan, longest in tried if longest <= shortest * _SLACK]
    return min(good, key=lambda plan: plan.registers)


def _live_gates(circuit: Circuit, roots: Word) -> tuple[Gate, ...]:
    needed = set(roots)
    live = []
    for gate in reversed(circuit.gates):
        if needed.intersection(gate.outputs):
            needed.update(gate.inputs)
            live.append(gate)
    return tuple(reversed(live))


def _place(
    circuit: Circuit, live: tuple[Gate, ...], stages: int, last: Word, output: Word, budget: float
) -> tuple[Schedule, float]:
    """A schedule for one budget, and the length of its longest stage."""
    stage: dict[Bit, int] = dict(circuit.input_stages)
    time: dict[Bit, float] = {}
    longest = 0.0
    for gate in live:
        variable = [bit for bit in gate.inputs if bit > 1]
        at = max(stage[bit] for bit in variable)
        start = max((time.get(bit, 0.0) for bit in variable if stage[bit] == at), default=0.0)
        delays = gate_delay(gate.op, len(gate.inputs))
        if start + max(delays) > budget and at < stages and gate.op is not Op.NOT:
            at, start = at + 1, 0.0
        for bit, delay in zip(gate.outputs, delays, strict=True):
            stage[bit] = at
            time[bit] = start + delay
            if at <= stages:
                longest = max(longest, start + delay)
    return Schedule(live, stage, _crossings(live, stage, stages, last, output)), longest


def _crossings(
    live: tuple[Gate, ...], stage: dict[Bit, int], stages: int, last: Word, output: Word
) -> tuple[Word, ...]:
    until: dict[Bit, int] = {}

    def use(bit: Bit, at: int) -> None:
        if bit > 1:
            until[bit] = max(until.get(bit, 0), at)

    for gate in live:
        for bit in gate.inputs:
            use(bit, stage[gate.outputs[0]])
    for bit in last:
        use(bit, stages)
    for bit in output:
        use(bit, stages + 1)
    return tuple(
        tuple(sorted(bit for bit, end in until.items() if stage[bit] <= crossing < end))
        for crossing in range(stages + 1)
    )
