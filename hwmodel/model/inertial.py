"""Transitions of gates with delays, pulses shorter than a gate's own delay left out, of many gates and cycles at once.

Time within a cycle goes in quarters of a full adder's sum. A net has one word of bits a quarter, one bit a cycle, from
the first quarter in which it may change to the last. Gates are taken level by level; those of one kind at one level are
one block of arrays [quarters, gates, words].

An output follows its inputs, later by the delay of the gate, once they have said the same for as long as that delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtl.logic import Op

from .flat import KINDS, NOTHING, Indices, groups_of

__all__ = ["QUARTERS", "Timed", "extra_transitions"]

Words = npt.NDArray[np.uint64]

QUARTERS = {
    Op.AND: (1,),
    Op.OR: (1,),
    Op.XOR: (2,),
    Op.MUX: (2,),
    Op.FULL_ADDER: (4, 3),
    Op.HALF_ADDER: (2, 1),
}
"""Delays of the outputs in quarters of a full adder's sum, rounded from rtl.logic.circuit.DELAY."""
_DELAYS = np.array([(*QUARTERS[op], 0)[:2] for op in KINDS])
_READS = (2, 2, 2, 3, 3, 2)
_ONES = np.uint64(2**64 - 1)
_MOST_BYTES = 1 << 26  # of the words of all nets; more are counted some cycles at a time


@dataclass(frozen=True, eq=False)
class Timed:
    """Gates as in hwmodel.model.flat, of one or several plans, those of one plan beside those of another.

    counted: [gates], whether the transitions of its outputs are asked for.
    """

    kind: Indices
    inputs: Indices
    outputs: Indices
    stage: Indices
    level: Indices
    nets: int
    counted: npt.NDArray[np.bool_]


def extra_transitions(gates: Timed, before: Words, after: Words) -> Indices:
    """Transitions of the outputs of each gate beyond those that remain at the end of the cycle, all cycles together.

    before, after: [nets, words], what a net is at the end of a cycle and of the next, one bit a cycle; of nets that
    come from a register, or that a gate of another stage reads.
    """
    found = np.zeros(len(gates.kind), np.int64)
    if not len(gates.kind):
        return found
    laid = _lay_out(gates, len(before))
    words = before.shape[1]
    step = max(1, min(words, _MOST_BYTES // (8 * laid.rows)))
    for start in range(0, words, step):
        part = slice(start, start + step)
        _simulate(laid, before[:, part], after[:, part], found)
    return found


@dataclass(frozen=True, eq=False)
class _Block:
    """Gates of one kind at one level. rows: [inputs][quarters, gates], where the words of an input are, and ``flips``
    [inputs][gates, 1] what inverts them. out: of each output, its first row and its delay.
    """

    kind: Op
    gates: Indices
    rows: tuple[Indices, ...]
    flips: tuple[Words | None, ...]
    out: tuple[tuple[int, int], ...]
    counted: bool


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where everything is: first the nets as registers give them, before and after; then one block after the other."""

    blocks: list[_Block]
    rows: int


def _lay_out(gates: Timed, registers: int) -> _Layout:
    order, slices = groups_of(gates.level, gates.kind, gates.counted.astype(np.int64))
    made_in = np.full(gates.nets, -1)
    for output in gates.outputs.T:
        there = output != NOTHING
        made_in[output[there]] = gates.stage[there]
    roots, flips = gates.inputs >> 1, (gates.inputs & 1).astype(np.uint64) * _ONES
    # What another stage made comes out of a register: all at once. It has the number of its net, else nets + that.
    sources = np.where(made_in[roots] == gates.stage[:, None], roots + gates.nets, roots)
    # Of each source: the first row, rows from one quarter to the next, the quarter of the first, and how many follow.
    base = np.arange(2 * gates.nets)
    stride, since, last = (np.full(2 * gates.nets, value) for value in (registers, -1, 1))
    first, final = np.zeros(2 * gates.nets, np.int64), np.zeros(2 * gates.nets, np.int64)
    rows, blocks = 2 * registers, []
    for part in slices:
        chosen = order[part]
        kind = int(gates.kind[chosen[0]])
        reads, delays = _READS[kind], _DELAYS[kind]
        read = sources[chosen, :reads].T
        starts, ends = first[read].min(axis=0), final[read].max(axis=0)
        start, length = int(starts.min()) - 1, int(ends.max()) - int(starts.min()) + 2
        times = np.arange(start, start + length)[:, None]
        places = tuple(base[one] + stride[one] * np.clip(times - since[one], 0, last[one]) for one in read)
        wanted = flips[chosen, :reads].T
        turns = tuple(one[:, None] if one.any() else None for one in wanted)
        out = []
        for output, delay in zip(gates.outputs[chosen].T, delays.tolist(), strict=True):
            if delay:
                nets = output + gates.nets
                base[nets], stride[nets] = rows + np.arange(len(chosen)), len(chosen)
                since[nets], last[nets] = start + delay, length - 1
                first[nets], final[nets] = starts + delay, ends + delay
                out.append((rows, delay))
                rows += length * len(chosen)
        blocks.append(_Block(KINDS[kind], chosen, places, turns, tuple(out), bool(gates.counted[chosen[0]])))
    return _Layout(blocks, rows)


def _simulate(laid: _Layout, before: Words, after: Words, found: Indices) -> None:
    """Adds the extra transitions of each gate that is counted."""
    nets, words = before.shape
    every = np.empty((laid.rows, words), np.uint64)
    every[:nets], every[nets : 2 * nets] = before, after
    for block in laid.blocks:
        read = []
        for rows, flip in zip(block.rows, block.flips, strict=True):
            values = every[rows]
            if flip is not None:
                values ^= flip
            read.append(values)
        for values, (row, delay) in zip(_values(block.kind, read), block.out, strict=True):
            _settle(values, delay)
            every[row : row + values.shape[0] * values.shape[1]] = values.reshape(-1, words)
            if block.counted and len(values) > 2:
                moved = np.bitwise_count(values[1:] ^ values[:-1]).sum(axis=(0, 2), dtype=np.int64)
                found[block.gates] += moved - np.bitwise_count(values[0] ^ values[-1]).sum(axis=1, dtype=np.int64)


def _values(kind: Op, x: list[Words]) -> tuple[Words, ...]:
    """What the outputs would be at once; the inputs are overwritten."""
    match kind:
        case Op.AND:
            return (np.bitwise_and(x[0], x[1], out=x[0]),)
        case Op.OR:
            return (np.bitwise_or(x[0], x[1], out=x[0]),)
        case Op.XOR:
            return (np.bitwise_xor(x[0], x[1], out=x[0]),)
        case Op.MUX:
            x[1] ^= x[2]
            x[1] &= x[0]
            x[1] ^= x[2]
            return (x[1],)
        case Op.HALF_ADDER:
            return x[0] ^ x[1], np.bitwise_and(x[0], x[1], out=x[0])
    half = x[0] ^ x[1]
    x[0] &= x[1]
    np.bitwise_and(half, x[2], out=x[1])
    x[0] |= x[1]
    half ^= x[2]
    return half, x[0]


def _settle(values: Words, delay: int) -> None:
    """Leaves out what lasts less than ``delay`` quarters: [quarters, ...], in place."""
    if delay < 2 or len(values) < 3:
        return
    changes = values[:-1] ^ values[1:]  # after each quarter
    steady = changes.copy()
    for later in range(1, delay - 1):
        steady[:-later] |= changes[later:]
    np.invert(steady, out=steady)
    for quarter in range(1, len(values) - 1):
        # What is not steady stays as it was.
        now, was = values[quarter], values[quarter - 1]
        now ^= was
        now &= steady[quarter]
        now ^= was
