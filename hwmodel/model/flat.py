"""Plans of gates as arrays: what is counted of a design is counted of many gates at once.

A net is numbered as its bit. What reads a net is a literal, twice the number of the net and 1 where it is read
inverted: inverters are no gates here. Carry-propagate adders are full adders in a row, with nets of their own for the
carries between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtl.logic import ONE, ZERO, Datapath, Op

__all__ = ["KINDS", "NOTHING", "OWN_INPUTS", "POSITION", "Flat", "Indices", "flatten", "groups_of"]

Indices = npt.NDArray[np.int64]

KINDS = (Op.AND, Op.OR, Op.XOR, Op.MUX, Op.FULL_ADDER, Op.HALF_ADDER)
"""Kinds of gate; a gate has the number of its kind."""
NOTHING = -1
"""In the place of a second output, or of a word, where a gate has none."""
OWN_INPUTS = ("accumulator", "result")
"""Inputs of a plan that come from its own accumulator."""
_KIND = {op: number for number, op in enumerate(KINDS)}
_FULL_ADDER = _KIND[Op.FULL_ADDER]
_WEIGHTS, _ACTIVATIONS, _OWN = 1, 2, 4
_DEPENDS = {"weights": _WEIGHTS, "activations": _ACTIVATIONS} | dict.fromkeys(OWN_INPUTS, _OWN)


POSITION = 12
"""Bits of a level that are the position in a word."""


@dataclass(frozen=True, eq=False)
class Flat:
    """The gates of a plan, those that others depend on first. A net is a bit of the plan, or a carry within a word.

    kind: [gates], see :data:`KINDS`. word: [gates], the number of the carry-propagate adder that it is a bit of, or -1.
    reads: [gates, 3], nets, inverters not seen through; 0 for those that a gate lacks. inputs: the same as literals.
    outputs: [gates, 2], nets. stage: [gates], of the pipeline. level: [gates], higher than those of gates it depends
    on; all bits of a word are between what the word depends on and what depends on it.
    literal: [nets], what a net is, inverters seen through. made_in: [nets], the stage, -1 of inputs. inverters: nets.
    operands: [nets], which operands a net depends on: 1 weights, 2 activations, and 4, or more than one of them, more
    than those of its row or column.
    """

    kind: Indices
    word: Indices
    reads: Indices
    inputs: Indices
    outputs: Indices
    stage: Indices
    level: Indices
    literal: Indices
    made_in: Indices
    inverters: Indices
    operands: Indices

    @property
    def nets(self) -> int:
        """How many there are."""
        return len(self.literal)


def flatten(plan: Datapath) -> Flat:
    """The arrays of a plan."""
    circuit, stage_of = plan.circuit, plan.schedule.stage
    nets = circuit.bits
    literal = list(range(0, 2 * nets, 2))
    literal[ONE] = 2 * ZERO + 1
    level, operands, made_in = [0] * nets, [0] * nets, [-1] * nets
    for name, bits in circuit.inputs.items():
        for bit in bits:
            operands[bit] = _DEPENDS.get(name, 0)
    # Lists by column: one entry a gate would be slower to make and to read.
    kinds, words, firsts, seconds, thirds, sums, carries, stages, levels, inverters = ([] for _ in range(10))  # type: ignore[var-annotated]
    adders = 0
    for op, inputs, outputs in plan.schedule.gates:
        out = outputs[0]
        stage = stage_of[out]
        if op is Op.NOT:
            (a,) = inputs
            literal[out], level[out], operands[out], made_in[out] = literal[a] ^ 1, level[a], operands[a], stage
            inverters.append(out)
            continue
        depth = 1 + max([level[bit] for bit in inputs])
        needed = 0
        for bit in inputs:
            needed |= operands[bit]
        for bit in outputs:
            level[bit], operands[bit], made_in[bit] = depth, needed, stage
        if op is Op.ADD:
            width = len(outputs)
            inner = range(nets, nets + width)
            nets += width
            firsts += inputs[:width]
            seconds += inputs[width:]
            thirds += [ZERO, *inner[:-1]]
            sums += outputs
            carries += inner
            literal += range(2 * inner[0], 2 * nets, 2)
            operands += [needed] * width
            made_in += [stage] * width
            kinds += [_FULL_ADDER] * width
            words += [adders] * width
            stages += [stage] * width
            levels += range(depth << POSITION, (depth << POSITION) + width)
            adders += 1
            continue
        firsts.append(inputs[0])
        seconds.append(inputs[1])
        thirds.append(inputs[2] if len(inputs) == 3 else ZERO)
        sums.append(out)
        carries.append(outputs[1] if len(outputs) == 2 else NOTHING)
        kinds.append(_KIND[op])
        words.append(NOTHING)
        stages.append(stage)
        levels.append(depth << POSITION)
    literals, reads = np.array(literal, np.int64), np.array((firsts, seconds, thirds), np.int64).T
    return Flat(
        kind=np.array(kinds, np.int64),
        word=np.array(words, np.int64),
        reads=reads,
        inputs=literals[reads],
        outputs=np.array((sums, carries), np.int64).T,
        stage=np.array(stages, np.int64),
        level=np.array(levels, np.int64),
        literal=literals,
        made_in=np.array(made_in, np.int64),
        inverters=np.array(inverters, np.int64),
        operands=np.array(operands, np.int64),
    )


def groups_of(*keys: Indices) -> tuple[Indices, list[slice]]:
    """An order in which equal gates are side by side, by the first key first, and the slice of each group in it."""
    order = np.lexsort(keys[::-1])
    if not len(order):
        return order, []
    differs = np.zeros(len(order) - 1, np.bool_)
    for key in keys:
        differs |= np.diff(key[order]) != 0
    ends = [*(np.flatnonzero(differs) + 1).tolist(), len(order)]
    return order, [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
