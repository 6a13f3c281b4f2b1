"""How often each part of a design switches under a stream of operands, from the plan of its datapath alone.

Three counts a part and cycle: transitions without delays (a bit changes at most once a cycle), and the extra ones of
gates with the rough relative delays of rtl.circuit, pulses shorter than a gate's own delay left out, in two ways:

    glitches  of all parts; an adder is one slow cell that keeps most pulses from its outputs
    pulses    of adders made of quick gates, inside and out; more pulses pass, and in deep trees they multiply

Neither is a prediction for a library: real adders lie between the two, and fitted coefficients say where.

Cycles are computed side by side, one bit of a Python integer a cycle: milliseconds for a thousand cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise

import numpy as np
import numpy.typing as npt

from hwmodel.stimulus import RESET_CYCLES, StreamPlan, make_stimulus
from hwmodel.structure import Node, Part, Share, datapath_of, nodes_of, shares_of
from rtl.circuit import ONE, ZERO, Bit, Op
from rtl.datapath import Datapath
from rtl.spec import MacSpec

__all__ = ["Switching", "count_transitions", "switching_of"]

ByShare = Mapping[Share, Mapping[Part, float]]

_QUARTERS = {  # delays in quarters of a full adder's sum, rounded from rtl.circuit.DELAY
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


@dataclass(frozen=True)
class Switching:
    """Transitions a cycle of each part: ``settled`` of its outputs without delays; on top of that, ``glitches`` of them
    and ``pulses`` of the gates in adders. See the module.

    ``*_by_share``: by what the outputs depend on.
    """

    settled_by_share: ByShare
    glitches_by_share: ByShare
    pulses_by_share: ByShare

    @property
    def settled(self) -> Mapping[Part, float]:
        """Of all outputs."""
        return _total(self.settled_by_share)

    @property
    def glitches(self) -> Mapping[Part, float]:
        """Of all outputs."""
        return _total(self.glitches_by_share)

    @property
    def pulses(self) -> Mapping[Part, float]:
        """Of the gates in adders."""
        return _total(self.pulses_by_share)


def _total(by_share: ByShare) -> Mapping[Part, float]:
    return {part: sum(found[part] for found in by_share.values()) for part in Part}


@lru_cache(maxsize=65536)
def switching_of(spec: MacSpec, plan: StreamPlan) -> Switching:
    """The transitions of a design under a stream.  Tens of milliseconds the first time, remembered afterwards."""
    stimulus = make_stimulus(spec, plan)
    words = {name: column[RESET_CYCLES:] for name, column in stimulus.words.items() if name not in ("rst", "in_valid")}
    return count_transitions(datapath_of(spec), words, "clear")


def count_transitions(plan: Datapath, words: Mapping[str, Sequence[int]], start: str) -> Switching:
    """The transitions of a plan.

    words: of the inputs of its circuit, one a cycle; inputs without words are the register that takes its sum. start:
    the input that is 1 where a new sum begins.
    """
    return _Run(plan, words, start).count()


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
