"""What a MAC design is made of, counted from the plan of its datapath: what the cost model knows of a design.

The counts are exact for the RTL (the same graph of gates becomes the Verilog) and need neither Amaranth nor Yosys.
Synthesis then merges, inverts and buffers; what that does to area and energy is left to the fitted coefficients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

from rtl.circuit import ONE, ZERO, Bit, Gate, Op
from rtl.datapath import Datapath
from rtl.spec import MacSpec

__all__ = [
    "FLIP_FLOPS",
    "GATE_PARTS",
    "OWN_INPUTS",
    "Node",
    "Part",
    "Planned",
    "Share",
    "Structure",
    "datapath_of",
    "nodes_of",
    "shares_of",
    "structure_of",
]


class Part(Enum):
    """Kinds of hardware; the value is what tables call it."""

    AND_TERMS = "AND terms"
    OR_GATES = "OR gates"
    XOR_GATES = "XOR gates"
    MULTIPLEXERS = "multiplexers"
    FULL_ADDERS = "full adders"
    HALF_ADDERS = "half adders"
    CARRY_BITS = "carry-propagate bits"
    OPERAND_REGISTERS = "operand flip-flops"
    PIPELINE_REGISTERS = "pipeline flip-flops"
    ACCUMULATOR_REGISTERS = "accumulator flip-flops"
    CONTROL_REGISTERS = "control flip-flops"
    HOLDS = "hold multiplexers"


GATE_PARTS: Mapping[Op, Part] = {
    Op.AND: Part.AND_TERMS,
    Op.OR: Part.OR_GATES,
    Op.XOR: Part.XOR_GATES,
    Op.MUX: Part.MULTIPLEXERS,
    Op.FULL_ADDER: Part.FULL_ADDERS,
    Op.HALF_ADDER: Part.HALF_ADDERS,
    Op.ADD: Part.CARRY_BITS,
}
"""The part each kind of gate belongs to; inverters are counted with what they feed."""
FLIP_FLOPS = (
    Part.OPERAND_REGISTERS,
    Part.PIPELINE_REGISTERS,
    Part.ACCUMULATOR_REGISTERS,
    Part.CONTROL_REGISTERS,
)
"""The parts that are flip-flops."""


class Share(Enum):
    """Which operands a part of a MAC depends on: with how many elements of a broadcast array it can be shared.

    Logic on weights alone is the same in all elements of a column, and synthesis keeps it once.
    """

    ELEMENT = "weights and activations"
    COLUMN = "weights"
    ROW = "activations"
    ARRAY = "neither"


@dataclass(frozen=True)
class Structure:
    """Counts of a design.

    by_share: number of each part by what it depends on; shifters are multiplexers, one a bit.  full_adders_by_column:
    full adders of the compressor trees by the weight (power of two in the accumulator) of their sum; those whose weight
    depends on the precision count at the highest.
    """

    by_share: Mapping[Share, Mapping[Part, int]]
    full_adders_by_column: tuple[int, ...]

    @property
    def counts(self) -> Mapping[Part, int]:
        """Number of each part."""
        return {part: sum(counts[part] for counts in self.by_share.values()) for part in Part}


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


class Planned(Protocol):
    """A specification with a plan of gates: a MAC design or a requantisation unit."""

    @property
    def pipeline_stages(self) -> int:
        """Registers inside the plan."""
        ...

    def build(self) -> Datapath:
        """The plan."""
        ...

    def __hash__(self) -> int:
        """Equal specifications have one plan."""
        ...


@lru_cache(maxsize=64)
def datapath_of(spec: Planned) -> Datapath:
    """The plan of a design, built once while it is in use."""
    return spec.build()


@lru_cache(maxsize=65536)
def structure_of(spec: MacSpec) -> Structure:
    """The counts of a design.  Milliseconds the first time, remembered afterwards."""
    plan = datapath_of(spec)
    shares = shares_of(plan)
    counts = {share: dict.fromkeys(Part, 0) for share in Share}
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
    return Structure(counts, _by_column(plan))


_PORTS = {"weights": Share.COLUMN, "activations": Share.ROW}
OWN_INPUTS = ("accumulator", "result")
"""Inputs of a plan that come from its own accumulator."""


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


def _by_column(plan: Datapath) -> tuple[int, ...]:
    """Weights are found from the accumulator backwards, through sums, carries and shifters."""
    column: dict[Bit, int] = {bit: weight for weight, bit in enumerate(plan.next_accumulator)}
    found: Counter[int] = Counter()
    for gate in reversed(plan.schedule.gates):
        for bits, weight in _inputs(gate, column):
            for bit in bits:
                column[bit] = max(column.get(bit, 0), weight)
        if gate.op is Op.FULL_ADDER and column.keys() & set(gate.outputs):
            found[_weight(gate, column)] += 1
    return tuple(found[weight] for weight in range(max(found, default=-1) + 1))


def _weight(gate: Gate, column: Mapping[Bit, int]) -> int:
    """The weight of a sum output; a carry has one more."""
    total, carry = gate.outputs
    return max(column.get(total, 0), column.get(carry, 0) - 1)


def _inputs(gate: Gate, column: Mapping[Bit, int]) -> list[tuple[tuple[Bit, ...], int]]:
    """The input bits of a gate and the weight each has, where its outputs have any."""
    known = [column[bit] for bit in gate.outputs if bit in column]
    if not known:
        return []
    if gate.op is Op.ADD:
        width = len(gate.outputs)
        return [
            ((gate.inputs[i], gate.inputs[width + i]), column[bit])
            for i, bit in enumerate(gate.outputs)
            if bit in column
        ]
    if gate.op in (Op.FULL_ADDER, Op.HALF_ADDER):
        return [(gate.inputs, _weight(gate, column))]
    return [(gate.inputs[1:] if gate.op is Op.MUX else gate.inputs, max(known))]
