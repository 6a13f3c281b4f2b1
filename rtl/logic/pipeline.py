"""Placement of pipeline registers in a graph of gates.

Every gate starts as early as its inputs allow; where it would end after the budget of its stage it moves to the
next. The budget is chosen among those whose longest stage is near the shortest possible, for the fewest registers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .circuit import Bit, Circuit, Gate, Op, Word, gate_delay

__all__ = ["FED_BACK", "Schedule", "schedule"]

FED_BACK = 1e3
"""Arrival of a word that comes back from behind the registers, in units of a gate: later than anything else."""

Indices = npt.NDArray[np.int64]

_SLACK = 1.15  # a stage may be this much longer than the best balance where that saves registers
_STEP = 1 / 16  # between budgets, of the longest path from the word that is fed back


@dataclass(frozen=True)
class Schedule:
    """Where each gate and bit lives.

    ``gates`` are the live gates in topological order; ``stage`` gives the pipeline stage of every live bit;
    ``crossings[k]`` are the bits registered between stage k and stage k + 1.
    """

    gates: tuple[Gate, ...]
    stage: dict[Bit, int]
    crossings: tuple[Word, ...]

    @property
    def registers(self) -> int:
        """Flip-flops inside the datapath."""
        return sum(len(bits) for bits in self.crossings)


def schedule(circuit: Circuit, stages: int, last: Word, output: Word) -> Schedule:
    """Places ``stages`` registers between the inputs and ``last``; ``output`` lies one stage behind ``last``."""
    live = _live_gates(circuit, (*last, *output))
    budgets = np.array([math.inf])
    if stages > 0:
        loop = max((circuit.arrival(bit) % FED_BACK for bit in last), default=0.0) or 1.0  # wires alone take no time
        _, (whole,) = _place(circuit, live, stages, budgets)
        budgets = _STEP * loop * np.arange(1, math.ceil(max(whole, 1.5 * loop) / (_STEP * loop)) + 1)
    edges = _edges(live)
    stage, longest = _place(circuit, live, stages, budgets)
    until = _needed_until(edges, stage, stages, last, output)
    registers = np.maximum(until - stage, 0).sum(axis=0, dtype=np.int64)
    good = longest <= longest.min() * _SLACK
    best = int(np.where(good, registers, registers.max() + 1).argmin())
    begins, ends = stage[:, best], until[:, best]
    crossings = tuple(
        tuple(Bit(bit) for bit in np.flatnonzero((begins <= crossing) & (crossing < ends)).tolist())
        for crossing in range(stages + 1)
    )
    known = [*circuit.input_stages, *(bit for gate in live for bit in gate.outputs)]
    return Schedule(live, dict(zip(known, begins[np.array(known, np.int64)].tolist(), strict=True)), crossings)


def _live_gates(circuit: Circuit, roots: Word) -> tuple[Gate, ...]:
    needed = set(roots)
    live = []
    for gate in reversed(circuit.gates):
        if not needed.isdisjoint(gate.outputs):
            needed.update(gate.inputs)
            live.append(gate)
    return tuple(reversed(live))


class _Edges(NamedTuple):
    """Which bit is read by which gate: the bit, and the first output of the gate, an edge each."""

    bits: Indices
    readers: Indices


def _edges(live: tuple[Gate, ...]) -> _Edges:
    counts = np.fromiter((len(gate.inputs) for gate in live), np.int64, len(live))
    firsts = np.fromiter((gate.outputs[0] for gate in live), np.int64, len(live))
    bits = np.fromiter((bit for gate in live for bit in gate.inputs), np.int64, int(counts.sum()))
    return _Edges(bits, np.repeat(firsts, counts))


def _place(
    circuit: Circuit, live: tuple[Gate, ...], stages: int, budgets: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """The stage of each bit, [bits, budgets], and the length of the longest stage, [budgets].

    Gates of one kind of which none reads another are placed together, for all budgets.
    """
    stage = np.zeros((circuit.bits, len(budgets)), np.int8)
    stage[:2] = -1  # constants are in time for any gate
    for bit, at in circuit.input_stages.items():
        stage[bit] = at
    time = np.zeros((circuit.bits, len(budgets)))
    longest = np.zeros(len(budgets))
    for op, gates in _alike(circuit, live):
        inputs = np.array([gate.inputs for gate in gates], np.int64)
        ready = stage[inputs]
        at = ready.max(axis=1)
        start = np.where(ready == at[:, None], time[inputs], 0.0).max(axis=1)
        delays = gate_delay(op, inputs.shape[1])
        most = max(delays)
        if op is not Op.NOT:
            late = (start + most > budgets) & (at < stages)
            at += late
            start[late] = 0.0
        outputs = np.array([gate.outputs for gate in gates], np.int64)
        stage[outputs] = at[:, None]
        time[outputs] = start[:, None] + np.array(delays)[:, None]
        np.maximum(longest, np.where(at <= stages, start + most, 0.0).max(axis=0), out=longest)
    return stage, longest


def _alike(circuit: Circuit, live: tuple[Gate, ...]) -> Iterator[tuple[Op, list[Gate]]]:
    """Gates of one kind and width of which none depends on another; before those that depend on them."""
    level = [0] * circuit.bits
    groups: dict[tuple[int, Op, int], list[Gate]] = {}
    for gate in live:
        op, inputs, outputs = gate
        depth = 1 + max([level[bit] for bit in inputs])
        for bit in outputs:
            level[bit] = depth
        groups.setdefault((depth, op, len(inputs)), []).append(gate)
    for (_, op, _), gates in sorted(groups.items(), key=lambda item: item[0][0]):
        yield op, gates


def _needed_until(
    edges: _Edges, stage: npt.NDArray[np.int8], stages: int, last: Word, output: Word
) -> npt.NDArray[np.int8]:
    """The last stage in which each bit is read, [bits, budgets], -1 where it never is."""
    until = np.full_like(stage, -1)
    if len(edges.bits):
        order = np.argsort(edges.bits, kind="stable")
        bits = edges.bits[order]
        starts = np.flatnonzero(np.diff(bits, prepend=-1))
        until[bits[starts]] = np.maximum.reduceat(stage[edges.readers[order]], starts, axis=0)
    for word, at in ((last, stages), (output, stages + 1)):
        where = np.array(word, np.int64)
        until[where] = np.maximum(until[where], at)
    until[:2] = -1  # constants need no register
    return until
