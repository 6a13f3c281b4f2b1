"""What a MAC design is made of, counted from the plan of its datapath: what the cost model knows of a design.

The counts are exact for the RTL (the same graph of gates becomes the Verilog) and need neither Amaranth nor Yosys.
Synthesis then merges, inverts and buffers; what that does to area and energy is left to the fitted coefficients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol

import numpy as np

from hwmodel.yosys import clock_gates_of
from rtl.logic import Bit, Datapath, Gate, Op
from rtl.spec import MacSpec

from .flat import KINDS, NOTHING, Flat, Indices, flatten

__all__ = [
    "FLIP_FLOPS",
    "GATE_PARTS",
    "PARTS",
    "SHARES",
    "Part",
    "Planned",
    "Share",
    "Structure",
    "datapath_of",
    "flat_of",
    "full_adders_by_column",
    "nets_of",
    "parts_of",
    "share_of",
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
    CLOCK_GATES = "clock gates"


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


PARTS = tuple(Part)
"""The order of the entries of vectors by part."""
SHARES = tuple(Share)
"""The order of rows by share."""


@dataclass(frozen=True)
class Structure:
    """Counts of a design.

    by_share: number of each part by what it depends on; shifters are multiplexers, one a bit. Hold multiplexers are
    those of what keeps a sum, in libraries without clock gates. Clock gates are as many as hwmodel.yosys.clockgates
    makes of all flip-flops that hold, each a share of those that it clocks.
    """

    by_share: Mapping[Share, Mapping[Part, float]]

    @property
    def counts(self) -> Mapping[Part, float]:
        """Number of each part."""
        return {part: sum(counts[part] for counts in self.by_share.values()) for part in Part}


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


@lru_cache(maxsize=16)
def datapath_of(spec: Planned) -> Datapath:
    """The plan of a design, built once while it is in use."""
    return spec.build()


@lru_cache(maxsize=16)
def flat_of(spec: Planned) -> Flat:
    """The plan of a design as arrays, made once while it is in use."""
    return flatten(datapath_of(spec))


@lru_cache(maxsize=65536)
def structure_of(spec: MacSpec) -> Structure:
    """The counts of a design.  Milliseconds the first time, remembered afterwards."""
    plan, flat = datapath_of(spec), flat_of(spec)
    table = np.bincount(
        share_of(flat, flat.outputs[:, 0]) * len(PARTS) + parts_of(flat), minlength=len(SHARES) * len(PARTS)
    )
    counts: dict[Share, dict[Part, float]] = {
        share: dict(zip(PARTS, line, strict=True))
        for share, line in zip(SHARES, table.reshape(len(SHARES), len(PARTS)).tolist(), strict=True)
    }
    for port in spec.operand_ports:
        counts[_PORTS.get(port.name, Share.ARRAY)][Part.OPERAND_REGISTERS] += port.width
    counts[Share.ARRAY][Part.OPERAND_REGISTERS] += 1  # clear
    crossings = [share_of(flat, nets_of(flat, bits)) for bits in plan.schedule.crossings]
    for part, shares in ((Part.PIPELINE_REGISTERS, np.concatenate(crossings)), (Part.HOLDS, crossings[-1])):
        for share, number in zip(SHARES, np.bincount(shares, minlength=len(SHARES)).tolist(), strict=True):
            counts[share][part] += number
    counts[Share.ELEMENT][Part.HOLDS] += spec.accumulator_width
    counts[Share.ELEMENT][Part.ACCUMULATOR_REGISTERS] = spec.accumulator_width
    counts[Share.ARRAY][Part.CONTROL_REGISTERS] = spec.latency
    held = [{share: counts[share][Part.OPERAND_REGISTERS] for share in SHARES}]
    held += [dict(zip(SHARES, np.bincount(each, minlength=len(SHARES)).tolist(), strict=True)) for each in crossings]
    held[-1][Share.ELEMENT] += spec.accumulator_width
    for flip_flops in held:
        total = int(sum(flip_flops.values()))
        for share, number in flip_flops.items():
            counts[share][Part.CLOCK_GATES] += clock_gates_of(total) * number / max(1, total)
    return Structure(counts)


_PORTS = {"weights": Share.COLUMN, "activations": Share.ROW}
_KIND_PART = np.array([PARTS.index(GATE_PARTS[op]) for op in KINDS])
_SHARE = np.array(
    [
        SHARES.index({0: Share.ARRAY, 1: Share.COLUMN, 2: Share.ROW}.get(operands, Share.ELEMENT))
        for operands in range(8)
    ]
)


def parts_of(flat: Flat) -> Indices:
    """The part of each gate, as its place in :data:`PARTS`."""
    return np.where(flat.word != NOTHING, PARTS.index(Part.CARRY_BITS), _KIND_PART[flat.kind])


def share_of(flat: Flat, nets: Indices) -> Indices:
    """What nets depend on, as the place in :data:`SHARES`."""
    return np.asarray(_SHARE[flat.operands[nets]])


def nets_of(flat: Flat, bits: Sequence[Bit]) -> Indices:
    """The nets of bits, inverted or not."""
    return flat.literal[np.array(bits, np.int64)] >> 1


def full_adders_by_column(plan: Datapath) -> tuple[int, ...]:
    """Full adders of the compressor trees by the weight (power of two in the accumulator) of their sum.

    Those whose weight depends on the precision count at the highest. Weights are found from the accumulator backwards,
    through sums, carries and shifters.
    """
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
